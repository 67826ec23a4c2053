//! The corpus of every parser, replayed whole and in thousands of damaged forms.

use std::path::Path;

use keepsake_repository::fuzzing::{PARSERS, parse};

#[test]
fn no_bytes_make_a_parser_panic() {
    for parser in PARSERS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/corpus").join(parser);
        keepsake_testing::replay(&folder, 4000, |bytes| parse(parser, bytes));
    }
}
