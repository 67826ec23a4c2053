//! Trying a template on made-up memories.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use keepsake_formats::{
    pictures::printable,
    template::{
        Engine, Kind, Per, Problem, Set, Setter, Sheet, sample,
        view::{self, Head, PictureFile, View, Viewer},
    },
};

use super::{
    TemplateCheck,
    giving_up::{GivenUp, Limits, bounded},
    shelf,
};
use crate::{CustodyResult, Filter, Silent, drawn_photo};

/// What a template may take that is tried on a few memories.
const LIMITS: Limits = Limits { seconds: 60, bytes: 2 << 30 };
const PICTURE_PATH: &str = "/m/0";

pub(super) fn check(home: &Path, name: &str, setter: &Arc<dyn Setter>) -> CustodyResult<TemplateCheck> {
    let mut found = TemplateCheck { name: name.into(), problems: Vec::new(), warnings: Vec::new(), tried: Vec::new() };
    let set = match shelf::load(home, name)? {
        Ok(set) => Arc::new(set),
        Err(problems) => {
            found.problems = problems;
            return Ok(found);
        }
    };
    found.warnings = set.reaches_out();
    if let Some(Err(error)) = set.manifest.filter.as_deref().map(str::parse::<Filter>) {
        found.problems.push(Problem::of("template.toml", format!("`filter`: {error}")));
    }
    let (full, bare) = (views(&set, true), views(&set, false));
    let empty = bare.last().cloned().into_iter().collect();
    let tries: Vec<(&str, Vec<View>)> = match set.manifest.per {
        Per::Export => vec![
            ("memories in which everything says something", full),
            ("the same without pictures", bare),
            ("a memory of which nothing is known", empty),
            ("no memory at all", Vec::new()),
        ],
        Per::Memory => vec![
            ("a memory in which everything says something", full[..1].to_vec()),
            ("the same without pictures", bare[..1].to_vec()),
            ("a memory of which nothing is known", empty),
        ],
    };
    let mut problems = BTreeSet::new();
    for (what, views) in tries {
        let tried = tried(&set, views, setter);
        found.tried.push(what.into());
        match tried {
            Ok(Ok(())) => {}
            Ok(Err(wrong)) => problems.extend(wrong),
            // Its thread may go on: another one would take as much again.
            Err(given_up) => {
                problems.insert(given_up);
                break;
            }
        }
    }
    found.problems.extend(problems);
    Ok(found)
}

/// The outer error: it was given up.
fn tried(set: &Arc<Set>, views: Vec<View>, setter: &Arc<dyn Setter>) -> Result<Result<(), Vec<Problem>>, Problem> {
    let (set, setter) = (Arc::clone(set), Arc::clone(setter));
    let work = move || fill(&set, &views, &*setter);
    bounded(LIMITS, &Silent, work).map_err(|given_up| {
        Problem::new(match given_up {
            GivenUp::TooMuch(what) => format!("{what} for a few memories, and was given up"),
            GivenUp::Died | GivenUp::Cancelled => "it makes what sets it fail".into(),
        })
    })
}

fn fill(set: &Arc<Set>, views: &[View], setter: &dyn Setter) -> Result<(), Vec<Problem>> {
    let (head, alone) = (head(set, views.len() as u64), set.manifest.per == Per::Memory);
    let left_out = [("clip.mp4 of a memory".to_owned(), "a made-up reason".to_owned())];
    if set.manifest.kind != Kind::Typst {
        return Engine::new(set)?.fill(&head, views, alone, &left_out).map(drop).map_err(|problem| vec![problem]);
    }
    let pictures = picture().map(|(jpeg, ..)| (PICTURE_PATH.to_owned(), jpeg));
    let sheet = Sheet {
        set: Arc::clone(set),
        data: view::data(&head, views, alone, &left_out),
        pictures: pictures.into_iter().collect(),
        date: head.state.at,
        ident: "a try".into(),
    };
    setter.set(&sheet).map(drop)
}

/// What all made-up memories have in common.
pub(super) fn head(set: &Set, count: u64) -> Head {
    sample::head(&set.manifest.name, count, set.manifest.filter.as_deref().or(Some("from:2024 not tag:\"<other>\"")))
}

/// The made-up memories as a template sees them.
pub(super) fn views(set: &Set, has_picture: bool) -> Vec<View> {
    let (memories, names) = (sample::memories(), sample::names());
    let here = memories.iter().map(|memory| memory.id).collect();
    let file = picture().map(|(_, width, height)| PictureFile { path: PICTURE_PATH.into(), width, height });
    let file = file.filter(|_| has_picture && set.manifest.media.pictures());
    let viewer = Viewer { kind: set.manifest.kind, names: &names, here: &here, language: "en" };
    let shown = |memory| sample::shown(memory, &names, file.as_ref());
    (1..).zip(&memories).map(|(number, memory)| viewer.memory(memory, number, &shown(memory))).collect()
}

/// A small drawn photo: a JPEG and its sides.
fn picture() -> Option<(Vec<u8>, u32, u32)> {
    let picture = printable(&drawn_photo(1, 160, 120), 160).ok()?;
    Some((picture.jpeg, picture.width, picture.height))
}
