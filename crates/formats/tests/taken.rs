//! Takes what a reader sends.

use std::path::{Path, PathBuf};

use keepsake_formats::import::{CollectionDetail, Draft, FieldMap, Format, Input, Problem, ReadError, ReadOptions, Sink, detect, read};

#[derive(Default)]
pub struct Taken {
    pub drafts: Vec<Draft>,
    pub details: Vec<CollectionDetail>,
    pub problems: Vec<String>,
    pub passed_over: Vec<String>,
}

impl Sink for Taken {
    fn draft(&mut self, draft: Draft) -> Result<(), ReadError> {
        self.drafts.push(draft);
        Ok(())
    }

    fn about(&mut self, detail: CollectionDetail) {
        self.details.push(detail);
    }

    fn problem(&mut self, problem: Problem) {
        self.problems.push(format!("{}: {}", problem.origin, problem.reason));
    }

    fn passed_over(&mut self, path: &str, what: &str) {
        self.passed_over.push(format!("{path} ({what})"));
    }
}

pub fn take(path: &Path, format: Option<Format>) -> Result<Taken, ReadError> {
    take_input(&Input::open(path)?, format)
}

pub fn take_input(input: &Input, format: Option<Format>) -> Result<Taken, ReadError> {
    let format = format.map_or_else(|| detect(input), Ok)?;
    let mut taken = Taken::default();
    read(format, input, &options(), &mut taken)?;
    Ok(taken)
}

pub fn options() -> ReadOptions {
    ReadOptions { now: "2024-01-01T00:00:00Z".parse().expect("valid"), zone: None, map: FieldMap::default(), account: String::new() }
}

/// Real data, or `None` with a line that says so; in CI its absence fails.
pub fn genuine(name: &str) -> Option<PathBuf> {
    let root = std::env::var("KEEPSAKE_TEST_DATA").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data").into());
    let path = PathBuf::from(root).join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "no test data at {}", path.display());
    println!("no test data at {}: this test was not run", path.display());
    None
}
