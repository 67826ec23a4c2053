//! Replaying a corpus: inputs of a parser that are known, and damaged forms of them.

use std::{
    collections::BTreeMap,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use crate::{Dice, number};

/// Gives a parser every input of a folder, then thousands of damaged ones. `parse` answers whether it could read the bytes, which
/// it must where the file's name begins with `good` and nowhere else. `KEEPSAKE_TEST_SEED` chooses other damage,
/// `KEEPSAKE_TEST_STEPS` more of it.
///
/// # Panics
/// The parser panics or is wrong about an input; the message has the bytes.
pub fn replay(folder: &Path, steps: u64, parse: impl Fn(&[u8]) -> bool) {
    let (seed, steps) = (number("KEEPSAKE_TEST_SEED", 7), number("KEEPSAKE_TEST_STEPS", steps));
    let shown = folder.display();
    println!("{shown}: seed {seed}, {steps} damaged forms");
    let files = fs::read_dir(folder).unwrap_or_else(|e| panic!("{shown}: {e}"));
    let read = |entry: fs::DirEntry| (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).expect("readable"));
    let corpus: BTreeMap<String, Vec<u8>> = files.map(|entry| read(entry.expect("an entry"))).collect();
    assert!(corpus.keys().any(|name| name.starts_with("good")), "{shown}: something that can be read");
    for (name, bytes) in &corpus {
        assert_eq!(parse(bytes), name.starts_with("good"), "{shown}/{name}");
    }
    let inputs: Vec<&Vec<u8>> = corpus.values().collect();
    let mut dice = Dice(seed);
    for _ in 0..steps {
        let (one, other) = (inputs[dice.below(inputs.len())], inputs[dice.below(inputs.len())]);
        let damaged = dice.damage(one, other);
        let parsed = catch_unwind(AssertUnwindSafe(|| parse(&damaged)));
        assert!(parsed.is_ok(), "{shown}, seed {seed}: {}", damaged.escape_ascii());
    }
}
