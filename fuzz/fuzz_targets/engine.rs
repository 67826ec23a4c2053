//! The engine's parsers: `KEEPSAKE_FUZZ` names the one that gets the bytes.
#![no_main]

use std::sync::LazyLock;

use keepsake_repository::fuzzing::{PARSERS, parse};
use libfuzzer_sys::fuzz_target;

static PARSER: LazyLock<&str> = LazyLock::new(|| {
    let named = std::env::var("KEEPSAKE_FUZZ").unwrap_or_default();
    PARSERS.into_iter().find(|parser| *parser == named).unwrap_or_else(|| panic!("KEEPSAKE_FUZZ names one of {PARSERS:?}"))
});

fuzz_target!(|bytes: &[u8]| {
    parse(&PARSER, bytes);
});
