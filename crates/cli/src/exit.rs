//! Exit codes: one table, the same as in docs/COMMANDS.md.

use keepsake_custody::{CustodyError, ErrorKind};

pub const COMPLETE: u8 = 0;
pub const FAILED: u8 = 1;
pub const USAGE: u8 = 2;
pub const SKIPPED: u8 = 3;
pub const REFUSED: u8 = 4;
pub const DAMAGED: u8 = 5;
pub const NO_REPOSITORY: u8 = 10;
pub const LOCKED: u8 = 11;
pub const WRONG_KEY: u8 = 12;
pub const INTERRUPTED: u8 = 130;

/// Every code with its name in JSON and its meaning.
pub const TABLE: [(u8, &str, &str); 10] = [
    (COMPLETE, "complete", "everything was done"),
    (FAILED, "failed", "it failed; what was there before is untouched"),
    (USAGE, "usage", "it was asked for in the wrong way"),
    (SKIPPED, "skipped", "finished, but items were skipped or a copy was missed; each is named"),
    (REFUSED, "refused", "refused: a hold, an approval, a permission, or something in the way"),
    (DAMAGED, "damaged", "damage was found"),
    (NO_REPOSITORY, "no-repository", "there is no repository"),
    (LOCKED, "locked", "somebody else is at it"),
    (WRONG_KEY, "wrong-key", "the password or key is the wrong one"),
    (INTERRUPTED, "interrupted", "stopped as asked"),
];

/// The code of an error.
pub fn of(error: &CustodyError) -> u8 {
    match error.kind() {
        ErrorKind::Failed => FAILED,
        ErrorKind::Usage => USAGE,
        ErrorKind::Refused => REFUSED,
        ErrorKind::Damaged => DAMAGED,
        ErrorKind::NoRepository => NO_REPOSITORY,
        ErrorKind::Locked => LOCKED,
        ErrorKind::WrongKey => WRONG_KEY,
        ErrorKind::Cancelled => INTERRUPTED,
    }
}

/// The name of a code in JSON.
pub fn name(code: u8) -> &'static str {
    TABLE.iter().find(|(known, ..)| *known == code).map_or("failed", |(_, name, _)| name)
}
