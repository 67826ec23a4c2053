//! A folder of photos, audio and video: each a memory, with what its makers wrote into it.
//!
//! Files that belong together become one memory: the film of a live photo, the raw file of a JPEG, an `.xmp` beside it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufReader, Read},
};

use keepsake_record::{Attachment, AttachmentRole, Kind, Provenance};

use super::{Draft, DraftFile, Input, InputFile, Problem, ReadError, ReadOptions, Sink, exif, media_type, plain, quicktime, xmp};
use crate::copies;

/// A packet that an export put into a photo ends before so many bytes of it: behind profiles of colours, or behind the picture.
const PICTURE_BYTES_MAX: u64 = 64 << 20;

pub(crate) fn read(input: &Input, options: &ReadOptions, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let files = input.files()?;
    let mut groups: BTreeMap<String, Vec<&InputFile>> = BTreeMap::new();
    for file in files.iter().filter(|f| media_type::is_media(&f.path)) {
        groups.entry(stem(&file.path).to_lowercase()).or_default().push(file);
    }
    let sidecars: BTreeMap<String, &InputFile> =
        files.iter().filter(|f| f.ending() == "xmp").map(|f| (stem(&f.path).to_lowercase(), f)).collect();
    let (mut used, mut own) = (BTreeSet::new(), BTreeSet::new());
    for group in groups.values() {
        for (main, companions) in pair(group) {
            let sidecar = sidecars.get(&main.path.to_lowercase()).or_else(|| sidecars.get(&stem(&main.path).to_lowercase()));
            let others = companions.iter().filter_map(|(file, _)| Some((*file, *sidecars.get(&file.path.to_lowercase())?))).collect();
            let sidecars = Sidecars { main: sidecar.copied(), others };
            used.extend(sidecars.all().map(|s| s.path.clone()));
            memory(input, main, &companions, &sidecars, &mut own, options, sink)?;
        }
    }
    for file in &files {
        if !media_type::is_media(&file.path) && !used.contains(&file.path) {
            let is_text = plain::is_text(&file.path);
            let what =
                if is_text { "a text, no photo, film or recording: import it with --format plain" } else { "no photo, film or recording" };
            sink.passed_over(&file.path, what);
        }
    }
    Ok(())
}

/// What lies beside the files of a memory.
struct Sidecars<'a> {
    main: Option<&'a InputFile>,
    /// Beside its companions.
    others: Vec<(&'a InputFile, &'a InputFile)>,
}

impl<'a> Sidecars<'a> {
    fn all(&self) -> impl Iterator<Item = &'a InputFile> {
        self.main.into_iter().chain(self.others.iter().map(|(_, sidecar)| *sidecar))
    }
}

fn stem(path: &str) -> &str {
    path.rsplit_once('.').filter(|(_, ending)| !ending.contains('/')).map_or(path, |(stem, _)| stem)
}

type Companion<'a> = (&'a InputFile, AttachmentRole);

/// Tells which files of one stem are memories, and which belong to them.
fn pair<'a>(group: &[&'a InputFile]) -> Vec<(&'a InputFile, Vec<Companion<'a>>)> {
    let still = |f: &InputFile| ["jpg", "jpeg", "heic", "heif"].contains(&f.ending().as_str());
    let film = |f: &InputFile| ["mov", "mp4"].contains(&f.ending().as_str());
    let stills: Vec<_> = group.iter().filter(|f| still(f)).collect();
    let [main] = stills[..] else { return group.iter().map(|f| (*f, Vec::new())).collect() };
    let films = group.iter().filter(|f| film(f)).count();
    let mut companions = Vec::new();
    let mut memories = Vec::new();
    for file in group.iter().filter(|f| *f != main) {
        if media_type::is_raw(&file.path) {
            companions.push((*file, AttachmentRole::Raw));
        } else if film(file) && films == 1 {
            companions.push((*file, AttachmentRole::LiveVideo));
        } else {
            memories.push((*file, Vec::new()));
        }
    }
    memories.insert(0, (*main, companions));
    memories
}

fn memory(
    input: &Input,
    main: &InputFile,
    companions: &[Companion<'_>],
    sidecars: &Sidecars<'_>,
    known: &mut BTreeSet<String>,
    options: &ReadOptions,
    sink: &mut dyn Sink,
) -> Result<(), ReadError> {
    // Cameras use their names again: a photo is known by its bytes and its name, so that another one never replaces it.
    let digest = match input.digest(&main.path) {
        Ok(digest) => digest,
        Err(error) => {
            sink.problem(Problem::new(&main.path, error));
            return Ok(());
        }
    };
    let packet = match sidecars.main {
        Some(sidecar) => Some((sidecar, input.whole(&sidecar.path).map_err(|e| e.to_string()))),
        None => own_packet(input, main).map(|packet| (main, Ok(packet))),
    };
    // An export of media puts what is in several collections into the folder of each.
    let own = packet.as_ref().and_then(|(_, packet)| xmp::own_id(packet.as_ref().ok()?)).map(|own| format!("{own}#{digest}"));
    if let Some(own) = &own
        && !known.insert(own.clone())
    {
        let files = std::iter::once(main).chain(companions.iter().map(|(file, _)| *file)).chain(sidecars.all());
        files.for_each(|file| sink.passed_over(&file.path, "the same file of the same memory stands in another folder, too"));
        return Ok(());
    }
    let id = own.unwrap_or_else(|| format!("{}#{digest}", main.path.chars().take(400).collect::<String>()));
    let mut draft = Draft::new("media", id, &main.path, digest, options);
    draft.memory.kind = media_type::kind(&main.path);
    let mut problems = vec![attach(input, main, "original", AttachmentRole::Original, options, &mut draft)];
    for (number, (file, role)) in companions.iter().enumerate() {
        let key = format!("{}-{}", if *role == AttachmentRole::Raw { "raw" } else { "film" }, number + 1);
        problems.push(attach(input, file, &key, *role, options, &mut draft));
        if let Some((_, sidecar)) = sidecars.others.iter().find(|(main, _)| main.path == file.path) {
            push(sidecar, &format!("{key}-sidecar"), AttachmentRole::Sidecar, &mut draft).of = Some(key.clone());
        }
    }
    let mut is_told = false;
    if let Some((file, packet)) = packet {
        match packet.and_then(|packet| xmp::apply(&packet, options.zone.as_ref(), &mut draft)) {
            Ok(told) => is_told = told,
            Err(reason) => problems.push(Some(Problem::new(&file.path, reason))),
        }
    }
    if let Some(sidecar) = sidecars.main {
        push(sidecar, "sidecar", AttachmentRole::Sidecar, &mut draft);
    }
    let first = &draft.memory.attachments[0];
    let (captured, position, caption) = (first.captured.clone(), first.position, first.caption.clone());
    if let Some(when) = captured.filter(|_| !is_told) {
        draft.memory.when = when;
        draft.memory.provenance.insert("when".into(), Provenance::Observed);
    }
    if let Some(at) = draft.memory.when.instant {
        (draft.memory.created, draft.memory.modified) = (at, at);
    }
    if position.is_some() {
        draft.memory.position = position;
        draft.memory.provenance.insert("position".into(), Provenance::Observed);
    }
    if draft.memory.title.is_none() && caption.is_none() && !is_told {
        draft.memory.title = Some(stem(main.name()).chars().take(1000).collect());
    }
    problems.into_iter().flatten().for_each(|problem| sink.problem(problem));
    sink.draft(draft)
}

/// What an export of media put into a photo.
fn own_packet(input: &Input, file: &InputFile) -> Option<Vec<u8>> {
    if !["jpg", "jpeg", "png", "webp"].contains(&file.ending().as_str()) {
        return None;
    }
    let mut bytes = Vec::new();
    input.open_file(&file.path).ok()?.take(PICTURE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    let packet = copies::packet(&bytes)?;
    packet.windows(xmp::OWN.len()).any(|some| some == xmp::OWN).then_some(packet)
}

fn push<'d>(file: &InputFile, key: &str, role: AttachmentRole, draft: &'d mut Draft) -> &'d mut Attachment {
    let mut attachment = Attachment::new(key, file.name().replace('\\', "-"), media_type(&file.path));
    attachment.role = role;
    attachment.of = (role != AttachmentRole::Original).then(|| "original".to_owned());
    draft.files.push(DraftFile { key: key.into(), path: file.path.clone() });
    draft.memory.attachments.push(attachment);
    draft.memory.attachments.last_mut().expect("it was pushed just now")
}

/// Adds a file to a draft, with what its makers wrote into it; answers what was wrong with that.
pub(super) fn attach(
    input: &Input,
    file: &InputFile,
    key: &str,
    role: AttachmentRole,
    options: &ReadOptions,
    draft: &mut Draft,
) -> Option<Problem> {
    let attachment = push(file, key, role, draft);
    let kind = media_type::kind(&file.path);
    let exif_may_be = kind == Kind::Photo && !["gif", "bmp", "svg", "jxl"].contains(&file.ending().as_str());
    let boxes_may_be = ["mp4", "mp", "m4v", "mov", "qt", "m4a", "3gp"].contains(&file.ending().as_str());
    let reason = if !exif_may_be && !boxes_may_be {
        None
    } else if file.bytes == 0 {
        Some("the file is empty".to_owned())
    } else {
        match input.open_seekable(&file.path).map(BufReader::new) {
            Ok(mut reader) if exif_may_be => exif::read(&mut reader, options.zone.as_ref(), attachment),
            Ok(mut reader) => quicktime::read(&mut reader, options.zone.as_ref(), attachment),
            Err(error) => Some(error.to_string()),
        }
    };
    attachment.problem.clone_from(&reason);
    reason.map(|reason| Problem::new(&file.path, format!("{reason}; the file itself is kept as it is")))
}
