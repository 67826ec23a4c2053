//! What must be where before what, so that a repository is whole at every moment, wherever it is copied to.

use keepsake_storage::{ObjectName, Order};

/// Of names `PLACE/gN/FOLDER/…`, where `N` is the generation of the repository. What stands beside the generations (recovery files)
/// comes last: it opens what is there then.
pub const ORDER: Order = Order { rank, hashed, rewritten, passing };

fn folder(name: &ObjectName) -> Option<&str> {
    let mut parts = name.as_str().split('/').skip_while(|part| !is_generation(part)).skip(1);
    parts.next()
}

fn is_generation(part: &str) -> bool {
    part.strip_prefix('g').is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

fn rank(name: &ObjectName) -> u8 {
    match folder(name) {
        Some("data") => 0,
        Some("keys" | "config") => 1,
        Some("index") => 2,
        Some("snapshots") => 3,
        _ => 4,
    }
}

fn hashed(name: &ObjectName) -> bool {
    matches!(folder(name), Some("data" | "index" | "snapshots" | "keys"))
}

fn rewritten(name: &ObjectName) -> bool {
    folder(name).is_none() && name.file_name().starts_with("recovery-")
}

fn passing(name: &ObjectName) -> bool {
    folder(name) == Some("locks")
}
