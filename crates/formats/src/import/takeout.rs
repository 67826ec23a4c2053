//! Google Photos, as Google Takeout hands them out: folders of years and of albums, and beside each file a sidecar of JSON that says what the
//! file itself does not: when and where it was taken, who is on it, its description, whether it is dear.
//!
//! A file that lies in the folder of its year and in albums is one memory, in these albums: it is known by its bytes and its name. What is in
//! the trash is passed over, and named. A sidecar may be in another archive than its file: all archives of a Takeout are one input.

mod albums;
mod names;
mod pairs;
mod sidecar;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use keepsake_record::{AttachmentRole, Sha256Digest, canonical_line};
use serde_json::{Map, Value};

use self::{
    albums::{Albums, Collections},
    pairs::{Item, Paired, Sidecar},
};
use super::{CollectionDraft, Draft, Input, InputFile, Problem, ReadError, ReadOptions, Sink, media_type, photos};

/// What sidecars have, and files of other programs have not.
const MARK: &str = "\"photoTakenTime\"";
/// So many files are looked at to find out whether they are sidecars.
const LOOKED_AT: usize = 40;
/// Sidecars are shorter.
const SIDECAR_BYTES: u64 = 1 << 20;

/// Whether there are sidecars of Google Photos, most photos are where these are, and there are not more notes of another program.
pub(crate) fn is_one(input: &Input, files: &[&InputFile]) -> bool {
    let json: Vec<_> = files.iter().filter(|file| file.ending() == "json").collect();
    let others = files.iter().filter(|file| ["md", "markdown"].contains(&file.ending().as_str())).count();
    // A Takeout may hold much else: some of all of it are looked at. One that cannot be read says nothing.
    let step = json.len().div_ceil(LOOKED_AT).max(1);
    let is_sidecar = |file: &InputFile| input.whole(&file.path).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(MARK));
    if others > json.len() {
        return false;
    }
    let sidecars = json.iter().step_by(step).filter(|file| file.bytes <= SIDECAR_BYTES && is_sidecar(file));
    let told = Told { roots: sidecars.map(|file| root_of(&file.path)).collect(), ..Told::default() };
    let media = files.iter().filter(|file| media_type::is_media(&file.path));
    let (inside, outside): (Vec<&&InputFile>, Vec<&&InputFile>) = media.partition(|file| told.inside(&file.path).is_some());
    !told.roots.is_empty() && inside.len() >= outside.len()
}

pub(crate) fn read(input: &Input, options: &ReadOptions, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let (system, files): (Vec<InputFile>, Vec<InputFile>) = input.files()?.into_iter().partition(|file| is_of_the_system(&file.path));
    for file in &system {
        sink.passed_over(&file.path, "a file of the system");
    }
    let told = Told::of(input, &files);
    let (inside, outside): (Vec<&InputFile>, Vec<&InputFile>) = files.iter().partition(|file| told.inside(&file.path).is_some());
    for file in outside {
        tell_outside(&file.path, sink);
    }
    let mut takeout = Takeout { input, options, told, copies: BTreeMap::new(), sidecars: Vec::new(), lost: Vec::new() };
    let mut folders: BTreeMap<&str, Vec<&InputFile>> = BTreeMap::new();
    for file in inside {
        folders.entry(folder_of(&file.path)).or_default().push(file);
    }
    for (folder, files) in &folders {
        takeout.folder(folder, files, sink);
    }
    takeout.find_lost(sink);
    let copies = std::mem::take(&mut takeout.copies);
    let used: BTreeSet<&str> = copies.values().flatten().flat_map(Copy::folders).collect();
    let mut albums = takeout.told.albums.collections(&used);
    for detail in albums.details.drain(..) {
        sink.about(detail);
    }
    for (_, file) in takeout.told.album_files.iter().filter(|(folder, _)| !used.contains(folder.as_str())) {
        sink.passed_over(file, "an album of which no photo is there");
    }
    copies.into_values().try_for_each(|copies| takeout.send_all(copies, &albums, sink))
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// What macOS and Windows put between the files of an archive that they packed again.
fn is_of_the_system(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    path.split('/').any(|part| part == "__MACOSX") || name.starts_with("._") || [".DS_Store", "Thumbs.db", "desktop.ini"].contains(&name)
}

/// The folder, with a final `/`, in which the folder of a photo lies.
fn root_of(path: &str) -> String {
    folder_of(path).rsplit_once('/').map_or(String::new(), |(root, _)| format!("{root}/"))
}

/// Tells what a file is that does not lie among the photos; one that could be one of them is missed there.
fn tell_outside(path: &str, sink: &mut dyn Sink) {
    let is_in = |folder: &str| path.split('/').any(|part| part == folder);
    let (is_keep, is_media) = (is_in("Keep"), media_type::is_media(path));
    match (is_keep, is_media) {
        (true, false) => sink.passed_over(path, "of Google Keep: import the notes with --format keep"),
        (true, true) => sink.problem(Problem::new(path, "is of Google Keep and was left out: import the notes with --format keep")),
        (false, true) => {
            let reason = "does not lie among the photos that have sidecars and was left out: import its folder with --format media";
            sink.problem(Problem::new(path, reason));
        }
        (false, false) if path.ends_with("archive_browser.html") => sink.passed_over(path, "the list of what is in the Takeout"),
        (false, false) => sink.passed_over(path, "not of Google Photos"),
    }
}

/// What a file of JSON is that says nothing of a photo or an album.
fn json_is(file: &InputFile) -> &'static str {
    let folder = folder_of(&file.path);
    match file.name() {
        "print-subscriptions.json" => "prints that were ordered",
        "shared_album_comments.json" => "comments on shared albums, which do not say of which",
        "user-generated-memory-titles.json" => "titles of highlights, which do not say of which",
        _ if names::is_year(folder.rsplit('/').next().unwrap_or(folder)) => "says of which year a folder is, or nothing of a photo",
        _ => "says nothing of a photo or an album",
    }
}

/// What the files of JSON are.
#[derive(Default)]
struct Told {
    sidecars: HashMap<String, About>,
    broken: HashMap<String, String>,
    albums: Albums,
    /// The file of each album by its folder, and files that say it once more.
    album_files: BTreeMap<String, String>,
    album_again: BTreeSet<String>,
    /// The folders, with a final `/`, in which the folders of photos lie.
    roots: BTreeSet<String>,
}

/// What the matching of a sidecar needs to know.
struct About {
    title: String,
    is_trashed: bool,
    /// What tells its photo apart from all others: when it was taken, and its address.
    of: (Value, Value),
}

impl Told {
    fn of(input: &Input, files: &[InputFile]) -> Self {
        let mut told = Self::default();
        let mut albums = Vec::new();
        for file in files.iter().filter(|file| file.ending() == "json") {
            match object(input, file) {
                Ok(fields) if fields.contains_key("photoTakenTime") => {
                    told.roots.insert(root_of(&file.path));
                    let value = |name: &str| fields.get(name).cloned().unwrap_or_default();
                    let title = value("title").as_str().unwrap_or_default().to_owned();
                    let is_trashed = value("trashed") == Value::Bool(true);
                    let about = About { title, is_trashed, of: (value("photoTakenTime"), value("url")) };
                    told.sidecars.insert(file.path.clone(), about);
                }
                Ok(fields) => albums.extend(Albums::fields(Value::Object(fields)).map(|fields| (file, fields))),
                Err(reason) => drop(told.broken.insert(file.path.clone(), reason)),
            }
        }
        // Without any sidecar, nothing says where the photos are; they are all that is there.
        if told.roots.is_empty() {
            told.roots.insert(String::new());
        }
        for (file, fields) in albums {
            let folder = told.album_folder(folder_of(&file.path)).filter(|folder| !folder.is_empty() || told.roots.contains(""));
            let Some(folder) = folder.filter(|folder| !names::is_year(folder) || albums::is_described(&fields)) else { continue };
            if told.albums.add(&folder, fields) {
                told.album_files.insert(folder, file.path.clone());
            } else {
                told.album_again.insert(file.path.clone());
            }
        }
        told
    }

    /// What comes behind the folder of all photos in a path. What stands before it may be the name of an archive.
    fn inside<'p>(&self, path: &'p str) -> Option<&'p str> {
        self.roots.iter().rev().find_map(|root| {
            let at = if path.starts_with(root.as_str()) { 0 } else { path.find(&format!("/{root}"))? + 1 };
            Some(&path[at + root.len()..])
        })
    }

    /// The folder that is an album, whichever archive it comes from.
    fn album_folder(&self, folder: &str) -> Option<String> {
        self.inside(&format!("{folder}/")).map(|inside| inside.trim_end_matches('/').to_owned())
    }
}

fn object(input: &Input, file: &InputFile) -> Result<Map<String, Value>, String> {
    if file.bytes > SIDECAR_BYTES {
        return Err("is longer than 1 MiB and was left out".into());
    }
    let bytes = input.whole(&file.path).map_err(|error| error.to_string())?;
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Ok(Map::new()),
        Err(error) => Err(format!("is not JSON and was left out: {error}")),
    }
}

/// A photo in one folder.
struct Copy<'a> {
    item: Item<'a>,
    folder: String,
    sidecar: Option<&'a InputFile>,
    /// Sidecars in folders of albums that have no file for it.
    more: Vec<(String, &'a InputFile)>,
}

impl Copy<'_> {
    /// The folders that it is in.
    fn folders(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.folder.as_str()).chain(self.more.iter().map(|(folder, _)| folder.as_str()))
    }

    /// What is to be told of what is known of it.
    fn problem(&self) -> Option<Problem> {
        let reason = match self.sidecar {
            None => {
                let advice = "if the Takeout came in several archives, name all of them in one import";
                format!("has no sidecar, and is kept with what it says itself; {advice}")
            }
            Some(sidecar) if self.item.is_of_another => {
                format!("is kept with what {} says, whose own file is not there", sidecar.name())
            }
            Some(_) => return None,
        };
        Some(Problem::new(&self.item.main.path, reason))
    }
}

struct Takeout<'a> {
    input: &'a Input,
    options: &'a ReadOptions,
    told: Told,
    /// Photos that may be the same: with the same name and length.
    copies: BTreeMap<(String, u64), Vec<Copy<'a>>>,
    /// The sidecars that photos have.
    sidecars: Vec<(&'a InputFile, (String, u64))>,
    /// Those that none has.
    lost: Vec<(&'a InputFile, String)>,
}

impl<'a> Takeout<'a> {
    fn folder(&mut self, folder: &str, files: &[&'a InputFile], sink: &mut dyn Sink) {
        let (json, others): (Vec<&InputFile>, Vec<&InputFile>) = files.iter().partition(|file| file.ending() == "json");
        let mut sidecars = Vec::new();
        for file in json {
            if let Some(about) = self.told.sidecars.get(&file.path) {
                sidecars.push(Sidecar { file, title: about.title.clone() });
            } else if let Some(reason) = self.told.broken.get(&file.path) {
                sink.problem(Problem::new(&file.path, reason));
            } else if self.told.album_again.contains(&file.path) {
                sink.passed_over(&file.path, "the same album once more");
            } else if !self.told.album_files.values().any(|known| *known == file.path) {
                sink.passed_over(&file.path, json_is(file));
            }
        }
        let Paired { items, left, others } = pairs::pair(&others, &sidecars);
        for file in others {
            sink.passed_over(&file.path, "no photo, film or recording");
        }
        let folder = self.told.album_folder(folder).unwrap_or_default();
        self.lost.extend(left.into_iter().map(|at| (sidecars[at].file, folder.clone())));
        for item in items {
            let sidecar = item.sidecar.map(|at| sidecars[at].file);
            if sidecar.is_some_and(|sidecar| self.told.sidecars[&sidecar.path].is_trashed) {
                let all = sidecar.into_iter().chain([item.main]).chain(item.companions.iter().map(|(file, _)| *file));
                all.for_each(|file| sink.passed_over(&file.path, "in the trash of Google Photos"));
                continue;
            }
            let key = (item.name.clone(), item.main.bytes);
            self.sidecars.extend(sidecar.map(|sidecar| (sidecar, key.clone())));
            self.copies.entry(key).or_default().push(Copy { item, folder: folder.clone(), sidecar, more: Vec::new() });
        }
    }

    /// Sidecars without a file: in an album, they may say that a photo of another folder is in it, too.
    fn find_lost(&mut self, sink: &mut dyn Sink) {
        let same = |about: &About| (about.title.clone(), about.of.0.to_string(), about.of.1.to_string());
        let known: HashMap<_, _> = self.sidecars.iter().map(|(file, key)| (same(&self.told.sidecars[&file.path]), (*file, key))).collect();
        for (file, folder) in std::mem::take(&mut self.lost) {
            let about = &self.told.sidecars[&file.path];
            let has_address = about.of.1.as_str().is_some_and(|address| !address.is_empty());
            if about.is_trashed {
                sink.passed_over(&file.path, "in the trash of Google Photos");
            } else if let Some((sidecar, key)) = known.get(&same(about)).filter(|_| has_address)
                && let Some(copies) = self.copies.get_mut(*key)
                && let Some(copy) = copies.iter_mut().find(|copy| copy.sidecar == Some(*sidecar))
            {
                copy.more.push((folder, file));
            } else {
                let title = if about.title.is_empty() { "a file" } else { &about.title };
                let advice = "name all archives of the Takeout in one import to add it";
                sink.problem(Problem::new(&file.path, format!("describes {title}, which is not there for it; {advice}")));
            }
        }
    }

    /// Tells photos of one name and length apart by their bytes.
    fn send_all(&self, copies: Vec<Copy<'a>>, albums: &Collections, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let mut by_bytes: Vec<(Sha256Digest, Vec<Copy<'a>>)> = Vec::new();
        for copy in copies {
            match self.input.digest(&copy.item.main.path) {
                Ok(digest) => match by_bytes.iter_mut().find(|(known, _)| *known == digest) {
                    Some((_, same)) => same.push(copy),
                    None => by_bytes.push((digest, vec![copy])),
                },
                Err(error) => sink.problem(Problem::new(&copy.item.main.path, error)),
            }
        }
        by_bytes.into_iter().try_for_each(|(digest, copies)| self.send(digest, copies, albums, sink))
    }

    fn send(&self, digest: Sha256Digest, mut copies: Vec<Copy<'a>>, albums: &Collections, sink: &mut dyn Sink) -> Result<(), ReadError> {
        // The one that most is known of speaks for all.
        copies.sort_by_key(|copy| (copy.sidecar.is_none(), copy.item.is_of_another));
        let Some(first) = copies.first() else { return Ok(()) };
        let main = first.item.main;
        let mut folders = BTreeSet::new();
        for copy in &copies {
            if !folders.insert(folder_of(&copy.item.main.path)) {
                sink.passed_over(&copy.item.main.path, "the same file once more");
            }
        }
        let fields = self.fields(&copies);
        let named = copies.iter().flat_map(Copy::folders).filter_map(|folder| albums.by_folder.get(folder).cloned());
        let collections: BTreeSet<CollectionDraft> = named.collect();
        let id = format!("{}#{digest}", first.item.name.chars().take(200).collect::<String>());
        let mut draft = Draft::new("takeout-photos", id, &main.path, said(&fields, digest, &collections), self.options);
        draft.memory.kind = media_type::kind(&main.path);
        draft.collections = collections.into_iter().collect();
        let mut problems = vec![photos::attach(self.input, main, "original", AttachmentRole::Original, self.options, &mut draft)];
        problems.extend(self.companions(&copies, &mut draft));
        problems.push(first.problem());
        let reasons = sidecar::apply(fields, self.options, &mut draft);
        // Without a sidecar, nothing is to be expected of it.
        problems.extend(first.sidecar.iter().flat_map(|sidecar| reasons.iter().map(|reason| Some(Problem::new(&sidecar.path, reason)))));
        let attachment = &draft.memory.attachments[0];
        if draft.memory.text.is_empty() && attachment.caption.is_none() {
            draft.memory.title = Some(names::split(&attachment.name).0.chars().take(1000).collect());
        }
        problems.into_iter().flatten().for_each(|problem| sink.problem(problem));
        sink.draft(draft)
    }

    /// What the sidecars of all copies say.
    fn fields(&self, copies: &[Copy<'a>]) -> Map<String, Value> {
        let mut sidecars = copies.iter().flat_map(|copy| copy.sidecar.into_iter().chain(copy.more.iter().map(|(_, file)| *file)));
        let read = |file: &InputFile| object(self.input, file).unwrap_or_default();
        let first = sidecars.next().map(read).unwrap_or_default();
        sidecar::merge(first, sidecars.map(|file| (file.path.clone(), read(file))).collect())
    }

    /// Attaches films, raw files and edited copies, each once.
    fn companions(&self, copies: &[Copy<'a>], draft: &mut Draft) -> Vec<Option<Problem>> {
        let mut known: Vec<(AttachmentRole, u64, Sha256Digest)> = Vec::new();
        let mut problems = Vec::new();
        for (file, role) in copies.iter().flat_map(|copy| &copy.item.companions) {
            if copies.len() > 1 {
                let same = match self.input.digest(&file.path) {
                    Ok(digest) => (*role, file.bytes, digest),
                    Err(error) => {
                        problems.push(Some(Problem::new(&file.path, error)));
                        continue;
                    }
                };
                if known.contains(&same) {
                    continue;
                }
                known.push(same);
            }
            let word = match role {
                AttachmentRole::Raw => "raw",
                AttachmentRole::Edited => "edited",
                _ => "film",
            };
            let number = draft.memory.attachments.iter().filter(|attachment| attachment.role == *role).count() + 1;
            problems.push(photos::attach(self.input, file, &format!("{word}-{number}"), *role, self.options, draft));
            if let Some(attachment) = draft.memory.attachments.last_mut()
                && *role == AttachmentRole::LiveVideo
                && !media_type::is_media(&file.path)
            {
                attachment.media_type = "video/mp4".into();
            }
        }
        problems
    }
}

/// The digest over what a Takeout says of a photo, but for what is only counted.
fn said(fields: &Map<String, Value>, digest: Sha256Digest, collections: &BTreeSet<CollectionDraft>) -> Sha256Digest {
    let mut fields = sidecar::settled(fields);
    fields.remove(sidecar::COUNT);
    let collections: Vec<&str> = collections.iter().map(|collection| collection.name.as_str()).collect();
    Sha256Digest::of(&canonical_line(&(fields, digest.to_string(), collections)))
}
