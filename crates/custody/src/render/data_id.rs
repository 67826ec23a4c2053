//! The digest of a state.

use std::collections::BTreeMap;

use keepsake_record::Sha256Digest;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::{Body, Rendered, RenderedStream, Renderer};
use crate::CustodyResult;

/// The data ID of a state: SHA-256 over the lines `SHA-256, two spaces, path` of all files below `data/`, sorted by path.
/// It does not depend on how a repository cuts or seals, and anybody can compute it from an export's manifest.
pub(crate) async fn data_id(renderer: Renderer) -> CustodyResult<Sha256Digest> {
    let (out, rendered) = mpsc::channel(64);
    tokio::spawn(renderer.whole(false, out));
    let mut rendered = RenderedStream::new(rendered);
    let mut lines: BTreeMap<String, Sha256Digest> = BTreeMap::new();
    while let Some(next) = rendered.next().await {
        let Rendered { path, body } = next?;
        let digest = match body {
            Body::Medium(digest) => digest,
            Body::Spans(spans) => {
                let mut hasher = Sha256::new();
                spans.iter().for_each(|span| hasher.update(span));
                Sha256Digest::from_bytes(hasher.finalize().into())
            }
            Body::Gone => continue,
        };
        lines.insert(path, digest);
    }
    let mut hasher = Sha256::new();
    for (path, digest) in lines {
        hasher.update(format!("{digest}  {path}\n"));
    }
    Ok(Sha256Digest::from_bytes(hasher.finalize().into()))
}
