//! The readers of other programs' files: `KEEPSAKE_FUZZ` names the file that holds the bytes, whose ending says what it is.
#![no_main]

use std::{path::PathBuf, sync::LazyLock};

use keepsake_formats::import::{CollectionDetail, Draft, FieldMap, Input, Problem, ReadError, ReadOptions, Sink, detect, read};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

static SPACE: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("space"));
static FILE: LazyLock<PathBuf> = LazyLock::new(|| SPACE.path().join(std::env::var("KEEPSAKE_FUZZ").expect("KEEPSAKE_FUZZ names a file")));

struct Nowhere;

impl Sink for Nowhere {
    fn draft(&mut self, _: Draft) -> Result<(), ReadError> {
        Ok(())
    }

    fn about(&mut self, _: CollectionDetail) {}

    fn problem(&mut self, _: Problem) {}

    fn passed_over(&mut self, _: &str, _: &str) {}
}

fuzz_target!(|bytes: &[u8]| {
    std::fs::write(&*FILE, bytes).expect("written");
    // A sidecar is read with the photo that it lies beside: a JPEG of nothing.
    let sidecar = FILE.file_stem().is_some_and(|stem| stem == "a.jpg");
    if sidecar {
        std::fs::write(FILE.with_extension(""), b"\xff\xd8\xff\xd9").expect("written");
    }
    let options =
        ReadOptions { now: "2024-01-01T00:00:00Z".parse().expect("valid"), zone: None, map: FieldMap::default(), account: String::new() };
    if let Ok(input) = Input::open(if sidecar { SPACE.path() } else { &FILE })
        && let Ok(format) = detect(&input)
    {
        drop(read(format, &input, &options, &mut Nowhere));
    }
});
