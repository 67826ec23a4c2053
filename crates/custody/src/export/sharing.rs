//! What an export for others holds: memories without what tells more than their owner meant to tell.
//!
//! Out go positions, cameras, custom fields (importers keep there what devices noted), where records came from, and what people know of people beside
//! their names; of photos everything but the picture; whatever no such copy can be made of. Memories that are marked as sensitive are left
//! out unless the filter names them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use keepsake_formats::{copies, site::Originals};
use keepsake_record::{AttachmentRole, Medium, Memory, Sha256Digest, layout, rewrite_links};
use serde_json::{Map, Value};

use super::writing::Omission;
use crate::{CustodyResult, Filter};

/// Longer originals are not decoded.
const PICTURE_BYTES_MAX: u64 = 256 << 20;

/// Fields of small records that go to others; all others stay.
const TOLD: [(&str, &[&str]); 5] = [
    ("collections.ndjson", &["id", "name", "description", "kind"]),
    ("people.ndjson", &["id", "name"]),
    ("places.ndjson", &["id", "name", "locality", "area", "country"]),
    ("tags.ndjson", &["name", "description", "colour"]),
    ("owner.json", &["id", "name", "created", "settings"]),
];

/// The filter of an export for others: what is sensitive is in it only if the filter names that.
pub(super) fn filter(asked: Option<&Filter>) -> CustodyResult<Filter> {
    match asked {
        None => "sensitivity:normal".parse(),
        Some(asked) if asked.names_sensitivity() => Ok(asked.clone()),
        Some(asked) => format!("({}) sensitivity:normal", asked.as_str()).parse(),
    }
}

/// A record that is no memory, without what others need not know; as it is, if it belongs to none of those.
///
/// # Errors
/// It is no record.
pub(super) fn thing(path: &str, line: &[u8]) -> Result<Vec<u8>, String> {
    let Some((_, told)) = TOLD.iter().find(|(name, _)| *name == path) else { return Ok(line.to_vec()) };
    let mut record: Map<String, Value> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    record.retain(|field, _| told.contains(&field.as_str()));
    if let Some(Value::Object(settings)) = record.get_mut("settings") {
        settings.retain(|field, _| field == "language");
    }
    Ok(keepsake_record::canonical_line(&record))
}

/// Makes what goes to others, and remembers which copy is of which original.
pub(super) struct Sharing<'a> {
    originals: &'a dyn Originals,
    /// The originals of copies, and their lengths.
    copies: Mutex<BTreeMap<Sha256Digest, (Sha256Digest, u64)>>,
    /// The paths of the month that are there already.
    there: Mutex<(String, BTreeSet<String>)>,
}

/// A copy of an original: where it stands, and its bytes.
pub(super) type Copied = (String, Vec<u8>);

impl<'a> Sharing<'a> {
    pub fn new(originals: &'a dyn Originals) -> Self {
        Self { originals, copies: Mutex::default(), there: Mutex::default() }
    }

    /// A memory for others. Copies are handed to `out` as they are made; what is left out is answered, each with the reason.
    ///
    /// # Errors
    /// `out` fails.
    pub fn memory(&self, memory: &mut Memory, mut out: impl FnMut(Copied) -> CustodyResult<()>) -> CustodyResult<Vec<Omission>> {
        memory.position = None;
        memory.custom.clear();
        memory.extra.clear();
        memory.provenance.clear();
        memory.source = None;
        let mut omitted = Vec::new();
        // Films behind photos, raws and sidecars hold what the photo must not tell.
        let is_behind = |role| matches!(role, AttachmentRole::LiveVideo | AttachmentRole::Raw | AttachmentRole::Sidecar);
        for attachment in memory.attachments.iter().filter(|attachment| is_behind(attachment.role) && attachment.medium.is_some()) {
            omitted.push((format!("{} of {}", attachment.name, memory.id), "it tells more than the photo that it belongs to".into()));
        }
        memory.attachments.retain(|attachment| !is_behind(attachment.role));
        rename(memory);
        for attachment in &mut memory.attachments {
            attachment.captured = None;
            attachment.problem = None;
            attachment.position = None;
            attachment.camera = None;
            attachment.custom.clear();
            attachment.extra.clear();
            attachment.expected = None;
            let Some(original) = attachment.medium.take() else { continue };
            match self.copy(&original) {
                Ok(copy) => {
                    let medium = Medium { bytes: copy.len() as u64, sha256: Sha256Digest::of(&copy) };
                    self.copies.lock().expect("no holder panics").insert(medium.sha256, (original.sha256, original.bytes));
                    let path = layout::media_path(memory.when.day, &attachment.name, &medium.sha256);
                    attachment.medium = Some(medium);
                    if self.is_new(&path) {
                        out((path, copy))?;
                    }
                }
                Err(reason) => {
                    omitted.push((format!("{} of {}", attachment.name, memory.id), reason.clone()));
                    attachment.problem = Some(reason);
                }
            }
        }
        Ok(omitted)
    }

    fn copy(&self, original: &Medium) -> Result<Vec<u8>, String> {
        if original.bytes > PICTURE_BYTES_MAX {
            return Err("a file so long that no copy for others is made of it".into());
        }
        // What exactly went wrong may name places and files of this machine.
        let bytes = self.originals.read(&original.sha256, original.bytes).map_err(|_| "its file could not be read".to_owned())?;
        // One strange photo does not keep the others from their copies.
        std::panic::catch_unwind(|| copies::stripped(&bytes)).unwrap_or_else(|_| Err("its decoder failed".into()))
    }

    fn is_new(&self, path: &str) -> bool {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut there = self.there.lock().expect("no holder panics");
        if there.0 != folder {
            *there = (folder.to_owned(), BTreeSet::new());
        }
        there.1.insert(path.to_owned())
    }
}

/// Gives attachments keys that say nothing: importers make them of digests and of names at the source. So do names that are digests.
fn rename(memory: &mut Memory) {
    let keys: BTreeMap<String, String> =
        memory.attachments.iter().zip(1..).map(|(attachment, number)| (attachment.key.clone(), format!("a{number}"))).collect();
    for (attachment, number) in memory.attachments.iter_mut().zip(1..) {
        attachment.key = format!("a{number}");
        attachment.of = attachment.of.take().and_then(|of| keys.get(&of).cloned());
        let (stem, ending) = attachment.name.rsplit_once('.').unwrap_or((&attachment.name, ""));
        if [32, 40, 64].contains(&stem.len()) && stem.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let dot = if ending.is_empty() { "" } else { "." };
            attachment.name = format!("file-{number}{dot}{ending}");
        }
    }
    memory.text = rewrite_links(&memory.text, |link| {
        let key = keys.get(link.strip_prefix("keepsake:attachment/")?)?;
        Some(format!("keepsake:attachment/{key}"))
    });
}

impl Originals for Sharing<'_> {
    fn read(&self, digest: &Sha256Digest, _: u64) -> Result<Vec<u8>, String> {
        let original = self.copies.lock().expect("no holder panics").get(digest).copied();
        let (sha256, bytes) = original.ok_or("there is no copy of it")?;
        self.copy(&Medium { bytes, sha256 })
    }
}
