//! Memories in the order in which they happened, day after day, the undated last.

use keepsake_record::{Memory, layout::DayPath};
use keepsake_vault::{AsOf, PastRow};
use tokio::sync::mpsc;

use crate::{CustodyResult, filter::Chosen};

/// The memories of a day.
#[derive(Default)]
pub(crate) struct Day {
    pub memories: Vec<Memory>,
    /// Records that are none, by id, each with the reason.
    pub damaged: Vec<(String, String)>,
}

/// What a reader sends: a day, or `None` once all were sent. One that ends without it has died.
pub(crate) type Message = CustodyResult<Option<Day>>;

/// Sends day after day, and that it was the last one.
pub(crate) async fn read_days(mut state: AsOf, chosen: Option<Chosen>, out: mpsc::Sender<Message>) {
    let sent = send_days(&mut state, chosen.as_ref(), &out).await;
    // If nobody receives any more, nobody waits for the end either.
    drop(out.send(sent.map(|()| None)).await);
}

/// Sends the memories of day after day; that it was the last one says who called.
pub(crate) async fn send_days(state: &mut AsOf, chosen: Option<&Chosen>, out: &mpsc::Sender<Message>) -> CustodyResult<()> {
    // All of a day at once, for its memories come in the order of shards.
    let mut rows: Vec<PastRow> = Vec::new();
    let mut of: Option<DayPath> = None;
    loop {
        let page = state.memories().await?;
        let is_end = page.is_empty();
        for row in page {
            if of != Some(row.day) && !send(std::mem::take(&mut rows), chosen, out).await {
                return Ok(());
            }
            of = Some(row.day);
            rows.push(row);
        }
        if is_end {
            send(rows, chosen, out).await;
            return Ok(());
        }
    }
}

/// `false`: nobody receives any more.
async fn send(rows: Vec<PastRow>, chosen: Option<&Chosen>, out: &mpsc::Sender<Message>) -> bool {
    if rows.is_empty() {
        return true;
    }
    let mut day = Day::default();
    for row in rows {
        match Memory::from_line(row.record.as_bytes()) {
            Ok(memory) if chosen.is_none_or(|chosen| chosen.takes(&memory)) => day.memories.push(memory),
            Ok(_) => {}
            Err(error) => day.damaged.push((row.id, error.to_string())),
        }
    }
    day.memories.sort_by_key(|memory| (memory.when.sort_micros(), memory.created, memory.id));
    out.send(Ok(Some(day))).await.is_ok()
}
