//! How much an export takes, and where its parts begin: known before the first byte is written.

use keepsake_record::{Memory, Sha256Digest};
use serde::{Deserialize, Serialize};

use super::{
    reading::{Piece, Shape, Spot},
    selection::Selected,
};
use crate::{CustodyResult, Monitor, render::RenderedStream};

/// What an export will hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportPlan {
    /// Memories.
    pub memories: u64,
    /// Originals.
    pub media: u64,
    /// Bytes of records and originals together, before anything is compressed.
    pub bytes: u64,
    /// Where each part begins.
    pub(super) parts: Vec<Spot>,
}

impl ExportPlan {
    /// All memories in one part, of which the bytes were not counted.
    pub(super) fn of_all(memories: u64) -> Self {
        Self { memories, parts: vec![Spot::default()], ..Self::default() }
    }

    /// How many parts there will be.
    pub fn parts(&self) -> usize {
        self.parts.len()
    }
}

/// Goes through all pieces and cuts them into parts of at most so many bytes, as far as pieces allow: what stands at one spot stays together.
pub(super) fn plan(
    mut pieces: RenderedStream<Piece>,
    part_bytes: Option<u64>,
    is_selected: bool,
    monitor: &dyn Monitor,
) -> CustodyResult<(ExportPlan, Option<Selected>)> {
    let mut plan = ExportPlan { parts: vec![Spot::default()], ..ExportPlan::default() };
    let mut selected = is_selected.then(Selected::default);
    let (mut in_part, mut last) = (0, Spot::default());
    while let Some(piece) = pieces.blocking_next() {
        if monitor.cancelled() {
            return Err(keepsake_repository::RepositoryError::Cancelled.into());
        }
        let piece = piece?;
        let length = piece.length();
        match &piece.body {
            super::reading::Content::Medium(..) => plan.media += 1,
            super::reading::Content::Bytes(bytes) if piece.path.starts_with("memories/") => {
                for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                    plan.memories += 1;
                    // What was selected was read already.
                    if let (Some(selected), Ok(memory)) = (&mut selected, Memory::from_line(line)) {
                        selected.note(&memory);
                    }
                }
            }
            super::reading::Content::Bytes(_) | super::reading::Content::Unreadable(_) => {}
        }
        if part_bytes.is_some_and(|most| in_part > 0 && in_part + length > most) && piece.spot != last {
            plan.parts.push(piece.spot.clone());
            in_part = 0;
        }
        in_part += length;
        plan.bytes += length;
        last = piece.spot;
    }
    Ok((plan, selected))
}

/// What the pieces of a part are.
pub(super) fn shape(mut pieces: RenderedStream<Piece>, until: Option<&Spot>) -> CustodyResult<Sha256Digest> {
    let mut shape = Shape::default();
    while let Some(piece) = pieces.blocking_next() {
        let piece = piece?;
        if until.is_some_and(|until| piece.spot >= *until) {
            break;
        }
        shape.note(&piece);
    }
    Ok(shape.digest())
}
