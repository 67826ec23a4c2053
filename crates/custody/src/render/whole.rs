//! The whole bundle, in the order that trees need.

use keepsake_record::{
    Entity,
    layout::{self, DayPath, SEGMENT_CHANGES, ShardPrefix},
};
use tokio::sync::mpsc;

use super::{Body, Rendered, Renderer, SMALL_FILES, day_spans, stream::Message};
use crate::CustodyResult;

/// A page ends after so many bytes, or after as many files as a file may hold memories.
const PAGE_BYTES: usize = 8 << 20;

impl Renderer {
    /// The whole bundle, in the order that trees need. In pages, without the files that every replay writes: the header, the
    /// head of the history and its open end.
    pub async fn whole(mut self, with_history: bool, out: mpsc::Sender<Message>) {
        let sent = self.send_whole(with_history, &out).await;
        self.turn_page(&out).await;
        // The reader has gone when this fails: then nobody waits for the end either.
        drop(out.send(sent.map(|()| None)).await);
    }

    /// Sends a file, or keeps it for the end of the page.
    async fn send(&mut self, rendered: Rendered, out: &mpsc::Sender<Message>) {
        if rendered.body == Body::Gone {
            return;
        }
        self.page_bytes += rendered.length();
        self.page.push(rendered);
        if self.pages.is_none() || self.page_bytes >= PAGE_BYTES || self.page.len() >= self.limits.memories_max {
            self.turn_page(out).await;
        }
    }

    /// Sends what is kept. In pages, the state is let go first: however long the reader takes, no transaction waits for it.
    async fn turn_page(&mut self, out: &mpsc::Sender<Message>) {
        if self.pages.is_some() {
            self.state = None;
        }
        self.page_bytes = 0;
        for rendered in std::mem::take(&mut self.page) {
            self.unheard |= out.send(Ok(Some(rendered))).await.is_err();
        }
    }

    async fn send_whole(&mut self, with_history: bool, out: &mpsc::Sender<Message>) -> CustodyResult<()> {
        let (before, after) = SMALL_FILES.split_at(2);
        for (entity, path) in before {
            let file = self.entity_file(*entity, None, path).await?;
            self.send(file, out).await;
        }
        let mut names = self.state().await?.insight_names().await?;
        // As files they sort with their ending: `a-b.ndjson` before `a.ndjson`.
        names.sort_by_key(|name| format!("{name}.ndjson"));
        for name in names {
            let file = self.entity_file(Entity::Insight, Some(&name), &format!("insights/{name}.ndjson")).await?;
            self.send(file, out).await;
        }
        if self.pages.is_none() {
            let header = self.header().await?;
            self.send(header, out).await;
        }
        let mut last = String::new();
        loop {
            let page = self.state().await?.media_after(&last, 1000).await?;
            let Some((path, _)) = page.last() else { break };
            last.clone_from(path);
            for (path, digest) in page {
                self.send(Rendered { path: format!("data/{path}"), body: Body::Medium(digest) }, out).await;
            }
        }
        let mut day = String::new();
        loop {
            let page = self.state().await?.days_after(&day, 400).await?;
            let Some(last) = page.last().and_then(DayPath::day) else { break };
            day = last.to_string();
            for path in page {
                self.send_day(path, out).await?;
                if self.unheard {
                    return Ok(());
                }
            }
        }
        self.send_day(DayPath::new(None), out).await?;
        let owner = self.owner_file();
        self.send(owner, out).await;
        for (entity, path) in after {
            let file = self.entity_file(*entity, None, path).await?;
            self.send(file, out).await;
        }
        if with_history { self.send_history(out).await } else { Ok(()) }
    }

    async fn send_history(&mut self, out: &mpsc::Sender<Message>) -> CustodyResult<()> {
        let replayed = self.pages.is_some();
        if !replayed {
            let head = self.history_head().await?;
            self.send(head, out).await;
        }
        // Segment folders sort as text: 1/f before 2/10, all before the tail.
        for segment in 0..self.head.seq / SEGMENT_CHANGES {
            let segment = self.segment(segment).await?;
            self.send(segment, out).await;
        }
        if !replayed {
            let tail = self.tail().await?;
            self.send(tail, out).await;
        }
        let mut last = String::new();
        loop {
            let page = self.state().await?.history_media_after(&last, 1000).await?;
            let Some(digest) = page.last() else { return Ok(()) };
            last = digest.to_string();
            for digest in page {
                let path = format!("history/{}", layout::history_media_path(&digest));
                self.send(Rendered { path, body: Body::Medium(digest) }, out).await;
            }
        }
    }

    /// All files of one day, in order.
    async fn send_day(&mut self, day: DayPath, out: &mpsc::Sender<Message>) -> CustodyResult<()> {
        let mut nodes = vec![ShardPrefix::ROOT];
        while let Some(node) = nodes.pop() {
            let limit = self.limits.memories_max + 1;
            let (count, bytes) = self.state().await?.measure(day, node, limit).await?;
            if count == 0 {
                continue;
            }
            if layout::is_leaf(count, bytes, node.depth(), self.limits) {
                let rows = self.state().await?.day_rows(day, node).await?;
                self.send(Rendered::spans(format!("data/{}", day.file(&node)), day_spans(&rows)), out).await;
            } else {
                nodes.extend([node.child(true), node.child(false)]);
            }
        }
        Ok(())
    }
}
