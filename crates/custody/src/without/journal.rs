//! The journal of a bundle in which nothing is told of some memories. Its entries stay, so that the numbers have no gaps.
//!
//! The open end of the journal is another file in every snapshot, and nearly all of its spans are those of the one before:
//! spans that tell nothing are kept by their ids, unread, and where one changes the file is cut anew until the cuts meet the
//! old ones again.

use std::{
    collections::{BTreeSet, HashMap},
    rc::Rc,
};

use keepsake_record::{Change, Entity, Insight, Memory, MemoryId, Op, canonical_line, layout};
use keepsake_repository::{Id, Node, Repository, RepositoryResult};

use super::{Span, finding::Finder, lines, unusable};
use crate::render::change_key;

/// Whether a change tells of one of some memories.
pub(crate) fn is_about(change: &Change, ids: &BTreeSet<MemoryId>) -> bool {
    match change.entity {
        Entity::Memory => change.id.parse().is_ok_and(|id| ids.contains(&id)),
        Entity::Insight => {
            let before: Option<Insight> = change.before.clone().and_then(|before| serde_json::from_value(before).ok());
            before.is_some_and(|insight| insight.derived_from.iter().any(|id| ids.contains(id)))
        }
        _ => false,
    }
}

/// A change of which only that it happened is told.
fn redacted(change: &Change) -> Change {
    Change { before: None, op: Op::Erased, paths: Vec::new(), ..change.clone() }
}

/// A file of the journal in its new form.
#[derive(Default)]
pub(crate) struct Redacted {
    /// `None`: it tells nothing, and stays as it is.
    pub spans: Option<Vec<Span>>,
    /// The versions of memories that went.
    pub gone: Vec<Memory>,
}

/// The lines of one span in their new form.
struct Lines {
    lines: Vec<(u64, Vec<u8>)>,
    gone: Vec<Memory>,
    changed: bool,
}

/// Remembers the spans that it has read.
#[derive(Default)]
pub(crate) struct Redactor {
    spans: HashMap<Id, Rc<Lines>>,
}

impl Redactor {
    /// Redacts one file.
    pub fn file(
        &mut self,
        repository: &Repository,
        path: &str,
        node: &Node,
        ids: &BTreeSet<MemoryId>,
        by_id: &mut Finder,
    ) -> RepositoryResult<Redacted> {
        let (mut spans, mut gone, mut changed) = (Vec::new(), Vec::new(), false);
        let mut open = Vec::new();
        for id in node.content.iter().flatten() {
            let lines = if by_id.is_in_span(repository, id)? { Some(self.span(repository, path, id, ids)?) } else { None };
            let stays = lines.as_ref().is_none_or(|lines| !lines.changed);
            if stays && open.is_empty() {
                let length = repository.locate(keepsake_repository::BlobKind::Data, id).map_or(0, |place| place.plain_length());
                spans.push(Span { id: *id, length, bytes: None });
                continue;
            }
            let lines = match lines {
                Some(lines) => lines,
                None => Rc::new(read(path, &repository.content(id)?, ids)?),
            };
            changed |= lines.changed;
            gone.extend(lines.gone.iter().cloned());
            for (seq, line) in &lines.lines {
                open.extend_from_slice(line);
                open.push(b'\n');
                if layout::cuts_after(change_key(*seq), open.len()) {
                    spans.push(Span::new(&open));
                    open.clear();
                }
            }
        }
        if !open.is_empty() {
            spans.push(Span::new(&open));
        }
        Ok(Redacted { spans: changed.then_some(spans), gone })
    }

    fn span(&mut self, repository: &Repository, path: &str, id: &Id, ids: &BTreeSet<MemoryId>) -> RepositoryResult<Rc<Lines>> {
        if let Some(known) = self.spans.get(id) {
            return Ok(known.clone());
        }
        let lines = Rc::new(read(path, &repository.content(id)?, ids)?);
        self.spans.insert(*id, lines.clone());
        Ok(lines)
    }
}

fn read(path: &str, bytes: &[u8], ids: &BTreeSet<MemoryId>) -> RepositoryResult<Lines> {
    let mut out = Lines { lines: Vec::new(), gone: Vec::new(), changed: false };
    for (change, line) in lines::<Change>(path, bytes)? {
        let seq = change.seq;
        let told = is_about(&change, ids).then(|| redacted(&change)).filter(|redacted| *redacted != change);
        let Some(redacted) = told else {
            out.lines.push((seq, line));
            continue;
        };
        out.changed = true;
        if let (Entity::Memory, Some(before)) = (change.entity, change.before) {
            out.gone.push(serde_json::from_value(before).map_err(|e| unusable(path, e.to_string()))?);
        }
        out.lines.push((seq, canonical_line(&redacted)));
    }
    Ok(out)
}
