//! Every parser of outside bytes, callable by name, for programs that feed them with damaged ones. Each ends with an answer or
//! an error, never with a panic, and takes no more memory than its input can fill.

use crate::{Id, MasterKey, Snapshot, Tree, config::Config, frame, go_json, index_file, key_file, lock::LockInfo, pack, reading::unpack};

/// The parsers, by name; each has a folder of inputs in testdata/corpus.
pub const PARSERS: [&str; 9] = ["config", "frame", "index", "key", "lock", "name", "pack", "snapshot", "tree"];

/// The key that seals the headers of packs in the corpus: bytes that everybody knows.
pub fn key() -> MasterKey {
    MasterKey::from_bytes(&[7; 64])
}

/// Gives bytes to a parser; answers whether it could read them.
///
/// # Panics
/// The parser is unknown, or what it read does not read back as the same.
pub fn parse(parser: &str, bytes: &[u8]) -> bool {
    let id = Id::of(bytes);
    match parser {
        "config" => Config::read(bytes).is_ok(),
        "frame" => {
            // A declared length that the bytes cannot have takes no memory.
            let declared = bytes.first_chunk::<4>().map_or(0, |length| u32::from_le_bytes(*length) as usize);
            unpack(bytes.get(4..).unwrap_or_default(), declared.min(64 << 20), &mut Vec::new());
            frame::unwrap("a file", bytes.to_vec()).is_ok()
        }
        "index" => index_file::decode(id, bytes).is_ok_and(|packs| {
            let again = index_file::decode(id, &index_file::encode(&packs)).expect("what was read can be written and read");
            assert_eq!(again, packs);
            true
        }),
        "key" => key_file::info(bytes).is_some(),
        "lock" => serde_json::from_slice::<LockInfo>(bytes).is_ok(),
        "name" => std::str::from_utf8(bytes).ok().and_then(go_json::unquote).is_some_and(|name| {
            assert_eq!(go_json::unquote(&go_json::quote(&name)).as_deref(), Some(name.as_slice()), "a name comes back");
            true
        }),
        "pack" => pack::read_header(id, bytes, &key()).is_ok(),
        "snapshot" => Snapshot::read(id, bytes).is_ok(),
        "tree" => Tree::decode(id, bytes).is_ok_and(|tree| {
            let again = Tree::decode(id, &tree.encode()).expect("what was read can be written and read");
            assert_eq!(again.encode(), tree.encode());
            true
        }),
        other => panic!("there is no parser called {other}"),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, sync::Arc};

    use keepsake_storage::LocalStore;

    use super::*;
    use crate::{BlobKind, Password, Repository, SystemAmbient, pack::PackBuilder};

    /// Writes what can be read into the corpus, where `KEEPSAKE_WRITE_CORPUS` names its folder: out of the golden
    /// repositories, and what only our own writers make.
    #[test]
    fn the_corpus_can_be_written() {
        let space = tempfile::tempdir().expect("space");
        let root = std::env::var_os("KEEPSAKE_WRITE_CORPUS").map_or_else(|| space.path().to_owned(), std::path::PathBuf::from);
        let write = |parser: &str, name: &str, bytes: &[u8]| {
            fs::create_dir_all(root.join(parser)).expect("a folder");
            fs::write(root.join(parser).join(name), bytes).expect("written");
        };
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/golden");
        for from in ["keepsake-1", "restic-0.14", "restic-0.19"] {
            let store = Arc::new(LocalStore::open(golden.join(from)).expect("golden"));
            let repository = Repository::open(store, &Password::new("correct horse".into()), Arc::new(SystemAmbient)).expect("open");
            let mut number = 0;
            let mut each = |place: &str, bytes: &[u8]| {
                let kind =
                    if place.starts_with("pack") { "tree" } else { place.split(' ').next().unwrap_or_default().trim_end_matches('s') };
                if parse(kind, bytes) {
                    number += 1;
                    write(kind, &format!("good-{from}-{number}"), bytes);
                }
            };
            repository.each_plaintext(&mut each).expect("everything opens");
            write("config", &format!("good-{from}"), &serde_json::to_vec(&repository.config).expect("plain"));
            let keys = fs::read_dir(golden.join(from).join("keys")).expect("keys").next().expect("one").expect("an entry");
            write("key", &format!("good-{from}"), &fs::read(keys.path()).expect("readable"));
        }
        write("frame", "good-framed", &frame::wrap(br#"{"packs":[]}"#));
        write("frame", "good-plain", br#"{"packs":[]}"#);
        write(
            "lock",
            "good",
            br#"{"time":"2020-01-01T00:00:00Z","exclusive":true,"hostname":"elsewhere","username":"someone","pid":4711}"#,
        );
        write("name", "good", go_json::quote("q\"uo'te\\\t\n<&>漢字😀\u{2028}".as_bytes()).trim_matches('"').as_bytes());
        let mut pack = PackBuilder::default();
        for (kind, text) in [(BlobKind::Data, "one"), (BlobKind::Tree, "two"), (BlobKind::Data, "three")] {
            pack.push(&key(), [1; 16], kind, Id::of(text.as_bytes()), text.as_bytes(), if kind == BlobKind::Data { 7 } else { 0 });
        }
        write("pack", "good", &pack.finish(&key(), &SystemAmbient).1);
        for (parser, name, bytes) in [
            ("config", "bad-version", &br#"{"version":99,"id":"","chunker_polynomial":"0"}"#[..]),
            ("frame", "bad-first-byte", b"\x07nothing"),
            ("frame", "bad-bomb", b"\x02\x28\xb5\x2f\xfd\xa4\xff\xff\xff\xff"),
            ("index", "bad-offset", br#"{"packs":[{"id":"00","blobs":[{"id":"11","type":"data","offset":-1,"length":1e999}]}]}"#),
            ("key", "bad-cost", br#"{"kdf":"scrypt","N":9223372036854775808,"r":8,"p":1,"salt":"","data":""}"#),
            ("lock", "bad", br#"{"time":7}"#),
            ("name", "bad-escape", br"\ud800\xzz"),
            ("pack", "bad-length", b"\xff\xff\xff\xff"),
            ("snapshot", "bad-tree", br#"{"time":"2020","tree":"zz","paths":null}"#),
            ("tree", "bad-leaves", br#"{"nodes":[{"name":"../x","type":"file"}]}"#),
            ("tree", "bad-deep", "[".repeat(5000).as_bytes()),
        ] {
            assert!(!parse(parser, bytes), "{parser}/{name}");
            write(parser, name, bytes);
        }
    }
}
