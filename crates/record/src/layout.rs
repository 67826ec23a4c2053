//! The layout of the bundle as pure functions: which path holds what. Drawn in docs/FORMAT.md; never changes.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::{LocalDay, MemoryId, Sha256Digest};

/// When a day's memories no longer fit one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardLimits {
    /// The most memories in one file.
    pub memories_max: usize,
    /// The most bytes in one file, newlines included.
    pub bytes_max: u64,
}

impl ShardLimits {
    /// The limits of the format: 512 memories, 1 MiB.
    pub const FORMAT: Self = Self { memories_max: 512, bytes_max: 1 << 20 };
}

/// The path of one local day (or of all undated memories), without an ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DayPath(Option<LocalDay>);

impl DayPath {
    /// The path of a day; `None` for memories without one.
    pub fn new(day: Option<LocalDay>) -> Self {
        Self(day)
    }

    /// The day.
    pub fn day(&self) -> Option<LocalDay> {
        self.0
    }

    /// The file of the whole day, or of one shard when `prefix` has bits.
    pub fn file(&self, prefix: &ShardPrefix) -> String {
        if prefix.is_root() { format!("{self}.ndjson") } else { format!("{self}.split/{prefix}.ndjson") }
    }

    /// The folder of the shards.
    pub fn folder(&self) -> String {
        format!("{self}.split")
    }
}

impl fmt::Display for DayPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(day) => write!(f, "memories/{:04}/{:02}/{day}", day.year(), day.month()),
            None => f.write_str("memories/undated/undated"),
        }
    }
}

impl std::str::FromStr for DayPath {
    type Err = crate::Invalid;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.strip_prefix("memories/").and_then(|rest| rest.rsplit('/').next()).unwrap_or_default();
        let path = if name == "undated" { Self(None) } else { Self(Some(name.parse()?)) };
        if path.to_string() == text { Ok(path) } else { Err(crate::Invalid::new("day path", "is not of the bundle's layout")) }
    }
}

/// The first 64 bits of SHA-256 over a memory's 16 id bytes: its place in the trie of shards.
pub fn shard_key(id: &MemoryId) -> u64 {
    let digest = Sha256::digest(id.as_bytes());
    u64::from_be_bytes(digest[..8].try_into().expect("a digest has 32 bytes"))
}

/// A node of the trie: the leading bits that its memories' shard keys share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardPrefix {
    bits: u64,
    len: u8,
}

impl ShardPrefix {
    /// The root: no bits, every memory.
    pub const ROOT: Self = Self { bits: 0, len: 0 };

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.len == 0
    }

    /// How many bits.
    pub fn depth(&self) -> u8 {
        self.len
    }

    /// The child whose next bit is 0 or 1. At most 64 bits deep.
    pub fn child(&self, bit: bool) -> Self {
        assert!(self.len < 64, "shard keys have 64 bits");
        Self { bits: self.bits | (u64::from(bit) << (63 - self.len)), len: self.len + 1 }
    }

    /// The node above; `None` above the root.
    pub fn parent(&self) -> Option<Self> {
        let len = self.len.checked_sub(1)?;
        Some(Self { bits: self.bits & !(1 << (63 - len)), len })
    }

    /// The smallest and the largest shard key below this node.
    pub fn range(&self) -> (u64, u64) {
        let rest = if self.len == 64 { 0 } else { u64::MAX >> self.len };
        (self.bits, self.bits | rest)
    }

    /// Whether a key is below this node.
    pub fn contains(&self, key: u64) -> bool {
        let (low, high) = self.range();
        (low..=high).contains(&key)
    }

    /// Reads the bits of a shard file's name.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > 64 {
            return None;
        }
        text.bytes().try_fold(Self::ROOT, |node, byte| match byte {
            b'0' => Some(node.child(false)),
            b'1' => Some(node.child(true)),
            _ => None,
        })
    }
}

impl fmt::Display for ShardPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (0..self.len).try_for_each(|i| f.write_str(if self.bits >> (63 - i) & 1 == 1 { "1" } else { "0" }))
    }
}

/// The day and the shard that a file's path, as [`DayPath::file`] made it, belongs to.
pub fn day_file(path: &str) -> Option<(DayPath, ShardPrefix)> {
    let stem = path.strip_suffix(".ndjson")?;
    match stem.split_once(".split/") {
        Some((day, bits)) => Some((day.parse().ok()?, ShardPrefix::parse(bits).filter(|prefix| !prefix.is_root())?)),
        None => Some((stem.parse().ok()?, ShardPrefix::ROOT)),
    }
}

/// Whether memories of this count and size share one file, at this depth of the trie.
pub fn is_leaf(count: usize, bytes: u64, depth: u8, limits: ShardLimits) -> bool {
    count <= 1 || depth >= 64 || (count <= limits.memories_max && bytes <= limits.bytes_max)
}

/// Cuts one day's memories into files: `keys` are `(shard key, bytes with newline)`; the answer names, for each file,
/// its prefix and the indices of its memories. A function of the set alone, not of its order.
pub fn split(keys: &[(u64, u64)], limits: ShardLimits) -> Vec<(ShardPrefix, Vec<usize>)> {
    let mut leaves = Vec::new();
    split_below(ShardPrefix::ROOT, (0..keys.len()).collect(), keys, limits, &mut leaves);
    leaves
}

fn split_below(node: ShardPrefix, members: Vec<usize>, keys: &[(u64, u64)], limits: ShardLimits, out: &mut Vec<(ShardPrefix, Vec<usize>)>) {
    if members.is_empty() {
        return;
    }
    let bytes = members.iter().map(|i| keys[*i].1).sum();
    if is_leaf(members.len(), bytes, node.depth(), limits) {
        out.push((node, members));
        return;
    }
    let right = node.child(true);
    let (ones, zeros) = members.into_iter().partition(|i| right.contains(keys[*i].0));
    split_below(node.child(false), zeros, keys, limits, out);
    split_below(right, ones, keys, limits, out);
}

/// Whether a file of memories is cut, for storage, after a memory with this shard key, when this many bytes have gathered:
/// a function of the memories near it, so that an edit moves few cuts.
pub fn cuts_after(key: u64, gathered: usize) -> bool {
    gathered >= 128 << 10 || (gathered >= 8 << 10 && key & 0xf == 0)
}

/// The path of an original: a function of the local day, the sanitised stem and the digest alone.
pub fn media_path(day: Option<LocalDay>, name: &str, digest: &Sha256Digest) -> String {
    let (stem, ending) = split_ending(name);
    let folder = day.map_or_else(|| "undated".to_owned(), |d| format!("{:04}/{:02}", d.year(), d.month()));
    format!("media/{folder}/{}.{}.{ending}", safe_stem(stem), digest.short_base32())
}

fn split_ending(name: &str) -> (&str, String) {
    let ok = |ending: &str| (1..=10).contains(&ending.len()) && ending.bytes().all(|b| b.is_ascii_alphanumeric());
    match name.rsplit_once('.') {
        Some((stem, ending)) if ok(ending) => (stem, ending.to_ascii_lowercase()),
        _ => (name, "bin".to_owned()),
    }
}

/// The stem of a name of which nothing is left.
pub const NO_STEM: &str = "file";

/// A stem that every file system takes: at most 40 of `a-z 0-9 _ -`, never a name that Windows reserves.
pub fn safe_stem(stem: &str) -> String {
    let mut safe = String::new();
    for c in stem.chars().take(400) {
        let c = if c.is_ascii_alphanumeric() || c == '_' { c.to_ascii_lowercase() } else { '-' };
        if !(c == '-' && safe.ends_with('-')) {
            safe.push(c);
        }
    }
    let mut safe: String = safe.trim_matches('-').chars().take(40).collect();
    safe.truncate(safe.trim_end_matches('-').len());
    let device = ["con", "prn", "aux", "nul"].contains(&safe.as_str())
        || (safe.len() == 4 && (safe.starts_with("com") || safe.starts_with("lpt")) && safe.as_bytes()[3].is_ascii_digit());
    match (safe.is_empty(), device) {
        (true, _) => NO_STEM.into(),
        (_, true) => format!("_{safe}"),
        _ => safe,
    }
}

/// Changes in one journal segment.
pub const SEGMENT_CHANGES: u64 = 4096;

/// The path, below `history/`, of the sealed journal segment that holds a change: `journal/2/1/a.ndjson` is segment 0x1a.
/// The first folder says how many hexadecimal digits follow, so that no folder has more than 16 entries of a kind.
pub fn segment_path(segment: u64) -> String {
    let digits = format!("{segment:x}");
    let mut path = format!("journal/{}", digits.len());
    for digit in digits.chars() {
        path.push('/');
        path.push(digit);
    }
    path.push_str(".ndjson");
    path
}

/// The path, below `history/`, of the open tail of the journal.
pub const TAIL_PATH: &str = "journal/tail.ndjson";

/// The segment that holds change `seq` (from 1).
pub fn segment_of(seq: u64) -> u64 {
    (seq.max(1) - 1) / SEGMENT_CHANGES
}

/// The path, below `history/`, of a medium that only the journal still names.
pub fn history_media_path(digest: &Sha256Digest) -> String {
    format!("media/{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_names_are_safe_everywhere() {
        let digest = Sha256Digest::of(b"x");
        let name = |n: &str| media_path(None, n, &digest).trim_start_matches("media/undated/").replace(&digest.short_base32(), "H");
        assert_eq!(name("IMG_0001.JPG"), "img_0001.H.jpg");
        assert_eq!(name("Ünïcode & co?.heic"), "n-code-co.H.heic");
        assert_eq!(name("CON.txt"), "_con.H.txt");
        assert_eq!(name("..."), "file.H.bin");
        assert_eq!(name("no ending"), "no-ending.H.bin");
        assert_eq!(name(&"a".repeat(500)), format!("{}.H.bin", "a".repeat(40)));
    }

    #[test]
    fn segments_fan_out_by_sixteen() {
        assert_eq!(segment_path(0), "journal/1/0.ndjson");
        assert_eq!(segment_path(0x1a), "journal/2/1/a.ndjson");
        assert_eq!((segment_of(1), segment_of(4096), segment_of(4097)), (0, 0, 1));
    }

    #[test]
    fn prefixes_name_ranges() {
        let node = ShardPrefix::ROOT.child(true).child(false);
        assert_eq!(node.to_string(), "10");
        assert_eq!(ShardPrefix::parse("10"), Some(node));
        assert_eq!(node.range(), (1 << 63, (1 << 63) | (u64::MAX >> 2)));
        assert_eq!(ShardPrefix::ROOT.range(), (0, u64::MAX));
        let above: Vec<String> = std::iter::successors(Some(node), ShardPrefix::parent).map(|n| n.to_string()).collect();
        assert_eq!(above, ["10", "1", ""]);
    }

    #[test]
    fn day_paths_read_back() {
        for text in ["memories/2024/03/2024-03-17", "memories/undated/undated"] {
            assert_eq!(text.parse::<DayPath>().expect("valid").to_string(), text);
        }
        assert!("memories/2024/04/2024-03-17".parse::<DayPath>().is_err());
        let day: DayPath = "memories/2024/03/2024-03-17".parse().expect("valid");
        for prefix in [ShardPrefix::ROOT, ShardPrefix::ROOT.child(true).child(false)] {
            assert_eq!(day_file(&day.file(&prefix)), Some((day, prefix)));
        }
        assert_eq!(day_file("memories/2024/03/2024-03-17.split/.ndjson"), None);
    }
}
