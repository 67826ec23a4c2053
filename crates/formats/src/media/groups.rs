//! Which files of a memory belong together.

use std::collections::{BTreeMap, BTreeSet};

use keepsake_record::{Attachment, AttachmentRole, Memory};

use super::{Prepared, paths};

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
    // Whose photo is not here goes by its own name; of two of one ending, or of two films, one does: a group is held at once.
    let mut settled = Vec::new();
    for mut group in groups.into_values() {
        group.sort_by_key(|attachment| is_companion(attachment));
        let (mut endings, mut roles): (Vec<String>, Vec<AttachmentRole>) = (Vec::new(), Vec::new());
        let (together, alone): (Vec<_>, Vec<_>) = group.into_iter().partition(|attachment| {
            let ending = paths::parts(attachment).1.to_lowercase();
            let is_new = !endings.contains(&ending) && !roles.contains(&attachment.role);
            endings.push(ending);
            if is_companion(attachment) {
                roles.push(attachment.role);
            }
            is_new
        });
        settled.push(together);
        settled.extend(alone.into_iter().map(|attachment| vec![attachment]));
    }
    settled
}

/// Files that belong together, without those that a conversion gave an ending that another one has: these go alone.
pub(super) fn apart(files: Vec<Prepared<'_>>) -> Vec<Vec<Prepared<'_>>> {
    let mut endings = BTreeSet::new();
    let (together, alone): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| endings.insert(file.ending.to_lowercase()));
    std::iter::once(together).chain(alone.into_iter().map(|file| vec![file])).collect()
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

#[cfg(test)]
mod tests {
    use keepsake_record::{Medium, MemoryId, Sha256Digest, Timestamp};

    use super::*;
    use crate::media::Body;

    fn memory() -> Memory {
        let mut memory = Memory::new(MemoryId::from_bytes([1; 16]), Timestamp::from_micros(0).expect("an instant"));
        for (key, name, kind, role) in [
            ("still", "IMG_1.JPG", "image/jpeg", AttachmentRole::Original),
            ("film", "IMG_1.MOV", "video/quicktime", AttachmentRole::LiveVideo),
            ("other", "IMG_1.MP4", "video/mp4", AttachmentRole::LiveVideo),
            ("raw", "IMG_1.DNG", "image/x-adobe-dng", AttachmentRole::Raw),
        ] {
            let mut attachment = Attachment::new(key, name, kind);
            attachment.medium = Some(Medium { bytes: 1, sha256: Sha256Digest::of(key.as_bytes()) });
            (attachment.role, attachment.of) = (role, (key != "still").then(|| "still".to_owned()));
            memory.attachments.push(attachment);
        }
        memory
    }

    #[test]
    fn one_of_each_kind_stands_beside_a_photo() {
        let memory = memory();
        let keys: Vec<Vec<&str>> = groups(&memory).iter().map(|group| group.iter().map(|one| one.key.as_str()).collect()).collect();
        assert_eq!(keys, [vec!["still", "film", "raw"], vec!["other"]]);
    }

    #[test]
    fn no_two_get_the_same_ending() {
        let memory = memory();
        let prepared = |(attachment, ending): (usize, &str)| {
            let attachment = &memory.attachments[attachment];
            let medium = attachment.medium.as_ref().expect("it is here");
            let (body, sha256, ending) = (Body::Original, medium.sha256, ending.to_owned());
            Prepared { attachment, medium, ending, body, length: 1, sha256, sidecar: None, merged: None, done: "converted" }
        };
        let apart = apart([(0, "jpg"), (1, "mp4"), (2, "MP4")].into_iter().map(prepared).collect());
        assert_eq!(apart.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    }
}
