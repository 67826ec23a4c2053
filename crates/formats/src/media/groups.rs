//! Which files of a memory belong together.

use std::collections::{BTreeMap, BTreeSet};

use keepsake_record::{Attachment, AttachmentRole, Memory};

use super::paths;

/// Longer sidecars are none.
const SIDECAR_BYTES_MAX: u64 = 4 << 20;

/// The attachments whose files are written, those that belong together side by side: programs know the film of a live photo, and the raw of a photo, by
/// its name.
pub(super) fn groups(memory: &Memory) -> Vec<Vec<&Attachment>> {
    let is_companion = |attachment: &Attachment| matches!(attachment.role, AttachmentRole::LiveVideo | AttachmentRole::Raw);
    let of = |attachment: &Attachment| {
        let of = attachment.of.as_deref().filter(|_| is_companion(attachment))?;
        memory.attachments.iter().position(|main| main.key == of && !is_companion(main))
    };
    let mains = memory.attachments.iter().filter(|main| main.medium.is_some());
    let merged: BTreeSet<&str> = mains.filter_map(|main| sidecar_of(memory, main)).map(|sidecar| sidecar.key.as_str()).collect();
    let mut groups: BTreeMap<usize, Vec<&Attachment>> = BTreeMap::new();
    for (number, attachment) in memory.attachments.iter().enumerate() {
        if attachment.medium.is_some() && !merged.contains(attachment.key.as_str()) {
            groups.entry(of(attachment).unwrap_or(number)).or_default().push(attachment);
        }
    }
    // Whose photo is not here goes by its own name; of two of one ending, one does.
    let mut settled = Vec::new();
    for mut group in groups.into_values() {
        group.sort_by_key(|attachment| is_companion(attachment));
        let mut endings: Vec<String> = Vec::new();
        let (together, alone): (Vec<_>, Vec<_>) = group.into_iter().partition(|attachment| {
            let ending = paths::parts(attachment).1.to_lowercase();
            let is_new = !endings.contains(&ending);
            endings.push(ending);
            is_new
        });
        settled.push(together);
        settled.extend(alone.into_iter().map(|attachment| vec![attachment]));
    }
    settled
}

/// The sidecar of XMP that an attachment came with: the first one, if it is as short as sidecars are.
pub(super) fn sidecar_of<'m>(memory: &'m Memory, attachment: &Attachment) -> Option<&'m Attachment> {
    memory.attachments.iter().find(|sidecar| {
        sidecar.role == AttachmentRole::Sidecar
            && sidecar.of.as_deref() == Some(attachment.key.as_str())
            && sidecar.name.to_lowercase().ends_with(".xmp")
            && sidecar.medium.as_ref().is_some_and(|medium| medium.bytes <= SIDECAR_BYTES_MAX)
    })
}
