//! Takes what a reader sends.

use std::path::Path;

use keepsake_formats::import::{Draft, FieldMap, Format, Input, Problem, ReadError, ReadOptions, Sink, detect, read};

#[derive(Default)]
pub struct Taken {
    pub drafts: Vec<Draft>,
    pub problems: Vec<String>,
    pub passed_over: Vec<String>,
}

impl Sink for Taken {
    fn draft(&mut self, draft: Draft) -> Result<(), ReadError> {
        self.drafts.push(draft);
        Ok(())
    }

    fn problem(&mut self, problem: Problem) {
        self.problems.push(format!("{}: {}", problem.origin, problem.reason));
    }

    fn passed_over(&mut self, path: &str, what: &str) {
        self.passed_over.push(format!("{path} ({what})"));
    }
}

pub fn take(path: &Path, format: Option<Format>) -> Result<Taken, ReadError> {
    let input = Input::open(path)?;
    let format = format.map_or_else(|| detect(&input), Ok)?;
    let options =
        ReadOptions { now: "2024-01-01T00:00:00Z".parse().expect("valid"), zone: None, map: FieldMap::default(), account: String::new() };
    let mut taken = Taken::default();
    read(format, &input, &options, &mut taken)?;
    Ok(taken)
}
