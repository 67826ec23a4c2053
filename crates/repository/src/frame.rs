//! The framing of index, snapshot and lock files: `0x02` and one zstd stream, or raw JSON.

use std::io::Read;

use crate::{RepositoryError, RepositoryResult};

/// The longest plaintext of one such file; a larger one is an attack or an accident.
const PLAIN_MAX_BYTES: u64 = 1 << 30;

/// Wraps JSON for sealing.
pub(crate) fn wrap(json: &[u8]) -> Vec<u8> {
    let mut framed = vec![2];
    framed.extend(zstd::bulk::compress(json, 3).expect("compressing into memory succeeds"));
    framed
}

/// Unwraps what was opened.
pub(crate) fn unwrap(object: &str, framed: Vec<u8>) -> RepositoryResult<Vec<u8>> {
    match framed.first() {
        None | Some(b'{' | b'[') => Ok(framed),
        Some(2) => {
            let mut plain = Vec::new();
            let decoder = zstd::stream::read::Decoder::new(&framed[1..]).map_err(|e| RepositoryError::damaged(object, e))?;
            decoder.take(PLAIN_MAX_BYTES + 1).read_to_end(&mut plain).map_err(|e| RepositoryError::damaged(object, e))?;
            if plain.len() as u64 > PLAIN_MAX_BYTES {
                Err(RepositoryError::damaged(object, "it unpacks to more than 1 GiB"))
            } else {
                Ok(plain)
            }
        }
        Some(other) => Err(RepositoryError::damaged(object, format!("it begins with the unknown byte {other}"))),
    }
}
