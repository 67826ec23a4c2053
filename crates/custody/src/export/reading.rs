//! What an export is made of, in its order: what is small first, then month by month the memories of its days and their originals, the undated
//! last. Read at one moment of the owner's history, however long it takes and whatever is written meanwhile.

use std::collections::BTreeMap;

use keepsake_record::{
    Entity, Memory, OwnerId, Sha256Digest, bundle, canonical_line,
    layout::{self, DayPath, ShardLimits},
};
use keepsake_vault::{AsOf, Moment, PastRow, Vault};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::{
    leaves::{Leaf, Leaves},
    selection::{Selected, Selection},
};
use crate::{CustodyResult, render::Message};

/// A piece of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub spot: Spot,
    /// Its path below `data/`.
    pub path: String,
    pub body: Content,
}

/// What a piece holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// Lines, or a document.
    Bytes(Vec<u8>),
    /// An original, with the length that its memory tells.
    Medium(Sha256Digest, u64),
    /// A record that is none, and why.
    Unreadable(String),
}

impl Piece {
    pub fn length(&self) -> u64 {
        match &self.body {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Medium(_, length) => *length,
            Content::Unreadable(_) => 0,
        }
    }
}

/// What pieces are: equal for the same pieces of the same moment, another one once something of them was erased.
#[derive(Default)]
pub(super) struct Shape(Sha256);

impl Shape {
    pub fn note(&mut self, piece: &Piece) {
        self.0.update(format!("{} {}\n", piece.path, piece.length()));
        // What is small may change without its length: the head counts memories. Memories are there or not.
        if let (true, Content::Bytes(bytes)) = (piece.spot == Spot::default(), &piece.body) {
            self.0.update(bytes);
        }
    }

    pub fn digest(self) -> Sha256Digest {
        Sha256Digest::from_bytes(self.0.finalize().into())
    }
}

/// Where a piece stands in the order: a month, and within it a day or the path of an original. Parts begin at one, so that what is erased
/// between two of them moves no border.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Spot {
    /// `YYYY-MM`, or `undated`; nothing: what is small.
    pub month: String,
    /// `YYYY-MM-DD`, or the path of an original, which sorts after all days.
    pub item: String,
}

impl Spot {
    fn of_day(day: DayPath) -> Self {
        match day.day() {
            Some(day) => Self { month: day.to_string()[..7].to_owned(), item: day.to_string() },
            None => Self { month: UNDATED.into(), item: String::new() },
        }
    }

    /// The first day of its month; `None`: it is before all memories.
    fn first_day(&self) -> Option<DayPath> {
        match self.month.as_str() {
            "" => None,
            UNDATED => Some(DayPath::new(None)),
            month => Some(DayPath::new(format!("{month}-01").parse().ok())),
        }
    }
}

/// Sorts after all months.
const UNDATED: &str = "undated";

/// Reads pieces, from a spot on.
pub(super) struct Reading {
    pub vault: Vault,
    pub owner: OwnerId,
    pub moment: Moment,
    pub limits: ShardLimits,
    pub selection: Selection,
    /// How many memories there will be.
    pub memories: u64,
    /// What the memories that are selected name, where not all are.
    pub selected: Option<Selected>,
    /// What collections are inside is nothing that others need to know.
    pub for_sharing: bool,
    pub from: Spot,
}

impl Reading {
    /// The state that is read.
    pub fn state(&self) -> AsOf {
        self.vault.as_of(self.owner, self.moment.clone())
    }

    /// Sends all pieces from its spot on, then that this was all.
    pub async fn send(self, out: mpsc::Sender<Message<Piece>>) {
        let sent = self.send_all(&out).await;
        // If nobody receives any more, nobody waits for the end either.
        drop(out.send(sent.map(|()| None)).await);
    }

    async fn send_all(&self, out: &mpsc::Sender<Message<Piece>>) -> CustodyResult<()> {
        let mut state = self.state();
        let (first, last) = self.selection.0.as_ref().map_or((None, None), |chosen| chosen.days());
        let from = self.from.first_day();
        match (from, first) {
            (Some(month), first) => state.seek(if month.day().is_some() { DayPath::new(month.day().max(first)) } else { month }),
            (None, _) => {
                for (path, bytes) in self.small_files(&mut state).await? {
                    if out.send(Ok(Some(Piece { spot: Spot::default(), path, body: Content::Bytes(bytes) }))).await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
        if let (None, Some(first)) = (from, first) {
            state.seek(DayPath::new(Some(first)));
        }
        let mut leaves = Leaves::new(self.limits);
        let mut month = Month::default();
        loop {
            let page = state.memories().await?;
            let is_end = page.is_empty();
            // What is left of those with a day is too late; those without may mean an earlier one.
            if page.last().and_then(|row| row.day.day()).is_some_and(|day| last.is_some_and(|last| day > last)) {
                state.seek(DayPath::new(None));
            }
            for row in page {
                match self.selection.takes(&row.record) {
                    Ok(true) => leaves.push(row),
                    Ok(false) => {}
                    Err(reason) => {
                        let (spot, path) = (Spot::of_day(row.day), format!("memory {}", row.id));
                        let piece = Piece { spot, path, body: Content::Unreadable(reason) };
                        if piece.spot >= self.from && out.send(Ok(Some(piece))).await.is_err() {
                            return Ok(());
                        }
                    }
                }
            }
            if is_end {
                leaves.finish();
            }
            while let Some(leaf) = leaves.pop() {
                let spot = Spot::of_day(leaf.day);
                if spot.month != month.name && !self.send_media(&mut month, out).await {
                    return Ok(());
                }
                month.name.clone_from(&spot.month);
                for (id, reason) in month.note(&leaf) {
                    let piece = Piece { spot: spot.clone(), path: format!("originals of memory {id}"), body: Content::Unreadable(reason) };
                    if spot >= self.from && out.send(Ok(Some(piece))).await.is_err() {
                        return Ok(());
                    }
                }
                if spot >= self.from && out.send(Ok(Some(lines(spot, leaf)))).await.is_err() {
                    return Ok(());
                }
            }
            if is_end {
                self.send_media(&mut month, out).await;
                return Ok(());
            }
        }
    }

    /// Sends the originals of the month that ended. `false`: nobody receives any more.
    async fn send_media(&self, month: &mut Month, out: &mpsc::Sender<Message<Piece>>) -> bool {
        for (path, (digest, length)) in std::mem::take(&mut month.media) {
            let spot = Spot { month: month.name.clone(), item: path.clone() };
            let piece = Piece { spot, path, body: Content::Medium(digest, length) };
            if piece.spot >= self.from && out.send(Ok(Some(piece))).await.is_err() {
                return false;
            }
        }
        true
    }

    /// The files of what is small, with the head of the bundle.
    async fn small_files(&self, state: &mut AsOf) -> CustodyResult<Vec<(String, Vec<u8>)>> {
        let mut counts = BTreeMap::from([("memories".to_owned(), self.memories)]);
        let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut selected = self.selected.clone();
        for (entity, plural) in bundle::SMALL {
            let things = state.things(entity).await?;
            if let (Entity::Collection, Some(selected), false) = (entity, &mut selected, self.for_sharing) {
                selected.note_parents(&things);
            }
            for (id, record) in things {
                if selected.as_ref().is_some_and(|selected| !selected.names(entity, &id)) {
                    continue;
                }
                let path = match entity {
                    Entity::Insight => format!("insights/{}.ndjson", series(&record)?),
                    _ => format!("{plural}.ndjson"),
                };
                let file = files.entry(path).or_default();
                file.extend_from_slice(record.as_bytes());
                file.push(b'\n');
                *counts.entry(plural.to_owned()).or_default() += 1;
            }
        }
        files.insert("owner.json".into(), canonical_line(&state.owner().await?));
        files.insert("keepsake.json".into(), canonical_line(&bundle::Header::new(self.owner, counts)));
        Ok(files.into_iter().collect())
    }
}

/// The series that an insight belongs to.
fn series(record: &str) -> CustodyResult<String> {
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    let named: Named = serde_json::from_str(record).map_err(|e| crate::CustodyError::Damaged(format!("an insight's record: {e}")))?;
    Ok(named.name)
}

fn lines(spot: Spot, leaf: Leaf) -> Piece {
    let mut bytes = Vec::with_capacity(leaf.rows.iter().map(|row| row.record.len() + 1).sum());
    for row in leaf.rows {
        bytes.extend_from_slice(row.record.as_bytes());
        bytes.push(b'\n');
    }
    Piece { spot, path: leaf.path, body: Content::Bytes(bytes) }
}

/// The originals of a month, by path: memories of several days can share one.
#[derive(Default)]
struct Month {
    name: String,
    media: BTreeMap<String, (Sha256Digest, u64)>,
}

impl Month {
    /// Takes note of the originals of memories; answers the records that are none, by id, each with the reason.
    fn note(&mut self, leaf: &Leaf) -> Vec<(String, String)> {
        let mut bad = Vec::new();
        for row in leaf.rows.iter().filter(|row| names_media(row)) {
            let memory = match Memory::from_line(row.record.as_bytes()) {
                Ok(memory) => memory,
                Err(error) => {
                    bad.push((row.id.clone(), error.to_string()));
                    continue;
                }
            };
            for (attachment, medium) in memory.attachments.iter().filter_map(|a| Some((a, a.medium.as_ref()?))) {
                let path = layout::media_path(memory.when.day, &attachment.name, &medium.sha256);
                self.media.insert(path, (medium.sha256, medium.bytes));
            }
        }
        bad
    }
}

/// Whether a record may have originals: most have none, and need not be understood for it.
fn names_media(row: &PastRow) -> bool {
    row.record.contains("\"medium\":")
}
