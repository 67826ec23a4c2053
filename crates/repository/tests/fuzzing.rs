//! The corpus of every parser, replayed whole and in thousands of damaged forms.

use std::{collections::BTreeMap, fs, path::PathBuf};

use keepsake_repository::fuzzing::{PARSERS, parse};

fn corpus(parser: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/corpus").join(parser);
    let files = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let read = |entry: fs::DirEntry| (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).expect("readable"));
    files.map(|entry| read(entry.expect("an entry"))).collect()
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % limit.max(1) as u64) as usize
    }

    /// One to four changes: bits, lengths, pieces that come twice, go, or come from another input; numbers and words that
    /// break things.
    fn damage(&mut self, bytes: &[u8], other: &[u8]) -> Vec<u8> {
        const WORDS: [&[u8]; 12] = [
            b"-1",
            b"1e999",
            b"18446744073709551616",
            b"null",
            b"\"\"",
            b"[]",
            b"{}",
            b"\\u0000",
            b"\\ud800",
            b"../",
            b"\xff\xff\xff\xff",
            b"\0",
        ];
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            let end = (at + self.below(40)).min(bytes.len());
            match self.below(7) {
                0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                1 => bytes.truncate(at),
                2 => drop(bytes.drain(at..end)),
                3 => {
                    let piece = bytes[at..end].to_vec();
                    drop(bytes.splice(at..at, piece));
                }
                4 => {
                    let from = self.below(other.len() + 1);
                    let piece = other[from..(from + self.below(60)).min(other.len())].to_vec();
                    drop(bytes.splice(at..end, piece));
                }
                _ => drop(bytes.splice(at..end, WORDS[self.below(WORDS.len())].iter().copied())),
            }
        }
        bytes
    }
}

/// `KEEPSAKE_TEST_SEED` chooses other damage, `KEEPSAKE_TEST_STEPS` more of it.
#[test]
fn no_bytes_make_a_parser_panic() {
    let number = |name: &str, default: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (seed, steps) = (number("KEEPSAKE_TEST_SEED", 7), number("KEEPSAKE_TEST_STEPS", 4000));
    println!("seed {seed}, {steps} forms a parser");
    for parser in PARSERS {
        let corpus = corpus(parser);
        assert!(corpus.keys().any(|name| name.starts_with("good")), "{parser}: something that can be read");
        for (name, bytes) in &corpus {
            assert_eq!(parse(parser, bytes), name.starts_with("good"), "{parser}/{name}");
        }
        let inputs: Vec<&Vec<u8>> = corpus.values().collect();
        let mut dice = Dice(seed);
        for _ in 0..steps {
            let (one, other) = (inputs[dice.below(inputs.len())], inputs[dice.below(inputs.len())]);
            let damaged = dice.damage(one, other);
            let parsed = std::panic::catch_unwind(|| parse(parser, &damaged));
            assert!(parsed.is_ok(), "{parser}, seed {seed}: {}", damaged.escape_ascii());
        }
    }
}
