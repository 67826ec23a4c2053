//! TextBundle (textbundle.org): a folder `NAME.textbundle` with a text, what is known of it (`info.json`) and its files (`assets/`); as
//! Bear, Ulysses and others write it, single, zipped (`.textpack`) or many in one archive (`.bear2bk`, the ZIP of Ulysses).
//!
//! Bear says when a note was made and changed, and writes tags into the text. Notes in Bear's trash are passed over, and named. A bundle
//! without an id is known by its name and its words, so that another one of that name never replaces it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use keepsake_record::{
    ATTACHMENTS_MAX, Attachment, Expected, Kind, Sha256Digest, Timestamp, When, Zone, canonical_line, rewrite_links, settle_value,
};
use serde_json::{Map, Value};
use unicode_normalization::UnicodeNormalization;

use super::{
    CollectionDraft, Draft, DraftFile, Input, InputFile, Problem, ReadError, ReadOptions, Sink,
    draft::{key_of_file, take_list},
    front_matter::custom,
    html,
    markdown::percent_decode,
    media_type::media_type,
    spans::{may_begin_tag, spans, up_to},
};

/// What a bundle's folder is called.
const ENDING: &str = ".textbundle";
/// What archives of bundles are called, as whose folder they unpack.
const ARCHIVES: [&str; 4] = [".bear2bk", ".bearbk", ".textpack", ".zip"];
/// Where Bear keeps what the format has no field for.
const BEAR: &str = "net.shinyfrog.bear";
/// Which text counts, where there are several.
const TEXTS: [&str; 4] = ["md", "markdown", "txt", "html"];

/// Whether most files are in bundles, or make one together.
pub(crate) fn is_one(files: &[&InputFile]) -> bool {
    let are_most = |is_inside: fn(&InputFile) -> bool| {
        let inside: Vec<&&InputFile> = files.iter().filter(|file| is_inside(file)).collect();
        inside.len() * 2 >= files.len() && inside.iter().any(|file| is_text(file))
    };
    let has_info = files.iter().any(|file| file.path == "info.json");
    are_most(|file| bundle_of(&file.path).is_some()) || (has_info && are_most(is_of_one))
}

/// Whether a file is where a bundle that is the input itself has it.
fn is_of_one(file: &InputFile) -> bool {
    let is_top = file.depth() == 0 && (file.path == "info.json" || is_text(file));
    is_top || ["assets/", "QuickLook/"].iter().any(|folder| file.path.starts_with(folder))
}

fn is_text(file: &InputFile) -> bool {
    file.name().rsplit_once('.').is_some_and(|(stem, _)| stem == "text")
}

fn is_of_system(path: &str) -> bool {
    path.split('/').any(|part| part.starts_with('.') || part == "__MACOSX")
}

/// The folder of the bundle that a file is in, with its final `/`.
fn bundle_of(path: &str) -> Option<&str> {
    let at = path.find(&format!("{ENDING}/"))?;
    Some(&path[..=at + ENDING.len()]).filter(|root| !is_of_system(root))
}

pub(crate) fn read(input: &Input, options: &ReadOptions, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let files = input.files()?;
    let is_alone = !files.iter().any(|file| bundle_of(&file.path).is_some());
    let mut bundles: BTreeMap<&str, Vec<&InputFile>> = BTreeMap::new();
    for file in &files {
        let root = if is_alone { Some("") } else { bundle_of(&file.path) };
        match root {
            _ if is_of_system(&file.path) => sink.passed_over(&file.path, "a file of the system"),
            Some(root) => bundles.entry(root).or_default().push(file),
            None if file.name() == "tags.json" => sink.passed_over(&file.path, "the list of tags"),
            None if ["textpack", "bear2bk", "bearbk"].contains(&file.ending().as_str()) => {
                sink.passed_over(&file.path, "an archive of notes: import it by itself");
            }
            None => sink.passed_over(&file.path, "in no bundle"),
        }
    }
    for (root, files) in bundles {
        Bundle { root, input, files, used: BTreeSet::new(), options }.read(sink)?;
    }
    Ok(())
}

struct Bundle<'a> {
    root: &'a str,
    input: &'a Input,
    files: Vec<&'a InputFile>,
    used: BTreeSet<&'a str>,
    options: &'a ReadOptions,
}

impl<'a> Bundle<'a> {
    fn read(mut self, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let here = self.root.trim_end_matches('/');
        let origin = if here.is_empty() { self.input.describe().trim_end_matches('/').to_owned() } else { plain_name(here) };
        let rank = |file: &InputFile| TEXTS.iter().position(|ending| *ending == file.ending()).unwrap_or(TEXTS.len());
        let root = self.root;
        let texts = self.files.iter().copied().filter(|file| file.path.len() == root.len() + file.name().len() && is_text(file));
        let Some(text) = texts.min_by_key(|file| rank(file)) else {
            sink.problem(Problem::new(origin, "has no text file and was left out; its files are named below"));
            self.pass_over(sink);
            return Ok(());
        };
        self.used.insert(&text.path);
        let bytes = match self.input.whole(&text.path) {
            Ok(bytes) => bytes,
            Err(error) => {
                sink.problem(Problem::new(&text.path, format!("{error}; it was left out")));
                self.pass_over(sink);
                return Ok(());
            }
        };
        let mut info = self.info(&origin, sink);
        let mut settled = Value::Object(info.clone());
        settle_value(&mut settled);
        let digest = Sha256Digest::of(&[canonical_line(&settled), bytes.clone()].concat());
        let mut bear = match info.remove(BEAR) {
            Some(Value::Object(bear)) => bear,
            Some(other) => Map::from_iter([(BEAR.to_owned(), other)]),
            None => Map::new(),
        };
        if is_set(bear.get("trashed")) {
            sink.passed_over(&text.path, "a note in Bear's trash");
            self.used.extend(self.files.iter().map(|file| file.path.as_str()));
            return Ok(());
        }
        let name = if here.is_empty() { own_name(self.input) } else { origin.rsplit('/').next().unwrap_or(&origin).to_owned() };
        let name = name.chars().take(200).collect::<String>();
        let own = bear.remove("uniqueIdentifier").and_then(|id| id.as_str().filter(|id| (1..=256).contains(&id.len())).map(str::to_owned));
        let mut draft = Draft::new("textbundle", own.unwrap_or_else(|| format!("{name}#{digest}")), &origin, digest, self.options);
        draft.memory.kind = Kind::Note;
        self.text(text, &bytes, &mut info, &mut draft, sink);
        let is_bear = !bear.is_empty();
        let stem = name.strip_suffix(ENDING).unwrap_or(&name);
        self.bear(bear, &mut draft, sink);
        title((!is_bear).then_some(stem), &mut draft);
        self.collection(&origin, &mut draft);
        self.assets(&mut draft, sink);
        for container in ["version", "transient"] {
            info.remove(container);
        }
        info.into_iter().for_each(|(field, value)| custom(&mut draft, field, value));
        self.pass_over(sink);
        sink.draft(draft)
    }

    /// What is known of the text.
    fn info(&mut self, origin: &str, sink: &mut dyn Sink) -> Map<String, Value> {
        let path = format!("{}info.json", self.root);
        let Some(file) = self.files.iter().find(|file| file.path == path) else {
            sink.problem(Problem::new(origin, "has no info.json; the text is kept without what it would say"));
            return Map::new();
        };
        self.used.insert(&file.path);
        let parsed = self.input.whole(&path).map_err(|e| e.to_string()).and_then(|bytes| {
            serde_json::from_slice::<Map<String, Value>>(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes)).map_err(|e| e.to_string())
        });
        parsed.unwrap_or_else(|error| {
            sink.problem(Problem::new(plain_name(&path), format!("cannot be read: {error}; the text is kept without what it says")));
            Map::new()
        })
    }

    fn text(&self, file: &InputFile, bytes: &[u8], info: &mut Map<String, Value>, draft: &mut Draft, sink: &mut dyn Sink) {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text).to_owned(),
            Err(_) => {
                sink.problem(Problem::new(plain_name(&file.path), "is not UTF-8; what could not be read stands as U+FFFD"));
                String::from_utf8_lossy(bytes).into_owned()
            }
        };
        let kind = info.get("type").and_then(Value::as_str).unwrap_or_default();
        if kind != "public.html" && file.ending() != "html" {
            if kind == "net.daringfireball.markdown" {
                info.remove("type");
            }
            draft.memory.text = text;
            return;
        }
        draft.memory.text = html::to_markdown(&text).unwrap_or_else(|words| {
            let reason = "its HTML is nested too deep or too long to be read; its words are kept";
            sink.problem(Problem::new(plain_name(&file.path), reason));
            words
        });
    }

    /// What Bear says.
    fn bear(&self, mut bear: Map<String, Value>, draft: &mut Draft, sink: &mut dyn Sink) {
        if bear.is_empty() {
            return;
        }
        let mut time = |name: &str| {
            let at = bear.get(name)?.as_str()?.parse::<Timestamp>().ok()?;
            bear.remove(name);
            Some(at)
        };
        let (created, modified) = (time("creationDate"), time("modificationDate"));
        match created.or(modified) {
            Some(at) => {
                draft.memory.created = at;
                draft.memory.modified = modified.unwrap_or(at);
                draft.memory.when = When::instant(at, self.options.zone.clone().unwrap_or_else(Zone::utc));
            }
            None => sink.problem(Problem::new(&draft.origin, "has no readable `creationDate`; it is kept without a date")),
        }
        if is_set(bear.get("encrypted")) {
            let reason = "is encrypted: remove the password in Bear and export it again; what Bear says of it is kept";
            sink.problem(Problem::new(&draft.origin, reason));
        }
        if let Some(Value::String(title)) = bear.get("title").cloned() {
            draft.memory.title = Some(title).filter(|title| !title.is_empty());
            bear.remove("title");
        }
        let mut others = Vec::new();
        for item in take_list(&mut bear, "tags") {
            match item.as_str().and_then(|name| name.parse().ok()) {
                Some(name) => drop(draft.memory.tags.insert(name)),
                None => others.push(item),
            }
        }
        if !others.is_empty() {
            bear.insert("tags".into(), Value::Array(others));
        }
        for (piece, _) in spans(&draft.memory.text).into_iter().filter(|(_, is_code)| !is_code) {
            draft.memory.tags.extend(tags(piece).into_iter().filter_map(|tag| tag.parse().ok()));
        }
        // Nothing is pinned, archived or in the trash that is not said to be.
        let is_usual = |value: &Value| value.is_null() || *value == 0 || *value == Value::Bool(false) || *value == Value::Array(Vec::new());
        for (field, value) in bear.into_iter().filter(|(_, value)| !is_usual(value)) {
            custom(draft, field, value);
        }
    }

    /// The folders that the bundle is in; the archive's own is none.
    fn collection(&self, origin: &str, draft: &mut Draft) {
        let Some((folders, _)) = origin.rsplit_once('/').filter(|_| !self.root.is_empty()) else { return };
        let is_archive = |part: &str| ARCHIVES.iter().any(|ending| part.ends_with(ending));
        let name = folders.split('/').filter(|part| !is_archive(part)).collect::<Vec<_>>().join("/");
        if !name.is_empty() {
            draft.collections.push(CollectionDraft { name, kind: "folder" });
        }
    }

    /// Makes attachments of the files that the text names, and of all others in `assets/`.
    fn assets(&mut self, draft: &mut Draft, sink: &mut dyn Sink) {
        let files: Vec<(String, &'a InputFile)> =
            self.files.iter().map(|file| (plain_name(&file.path[self.root.len()..]), *file)).collect();
        let by_name: BTreeMap<String, &'a InputFile> = files.iter().map(|(name, file)| (name.nfc().collect(), *file)).collect();
        let mut keys: BTreeMap<String, Option<String>> = BTreeMap::new();
        let text = old_links(&draft.memory.text);
        let text = rewrite_links(&text, |target| {
            let name: String = percent_decode(target.strip_prefix("./").unwrap_or(target)).nfc().collect();
            let found = by_name.get(&name).copied().filter(|file| !is_text(file) && file.name() != "info.json");
            if found.is_none() && !(name.starts_with("assets/") && name.len() > "assets/".len() && name.len() <= 255) {
                return None;
            }
            let key = keys.entry(name.clone()).or_insert_with(|| self.attach(&name, found, draft, sink));
            key.as_ref().map(|key| format!("keepsake:attachment/{key}"))
        });
        draft.memory.text = text;
        for (name, file) in files.iter().filter(|(name, _)| name.starts_with("assets/")) {
            if !self.used.contains(file.path.as_str()) {
                self.attach(name, Some(file), draft, sink);
            }
        }
    }

    /// The key of the attachment that a file becomes; `None`: there are too many.
    fn attach(&mut self, name: &str, found: Option<&'a InputFile>, draft: &mut Draft, sink: &mut dyn Sink) -> Option<String> {
        self.used.extend(found.map(|file| file.path.as_str()));
        if draft.memory.attachments.len() >= ATTACHMENTS_MAX {
            let reason = format!("has more than 1,000 files; {} is beyond them and was left out", name.escape_debug());
            sink.problem(Problem::new(&draft.origin, reason));
            return None;
        }
        let file_name = name.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("file").replace(['\\', '\0'], "-");
        let key = key_of_file(&draft.memory, &file_name);
        let mut attachment = Attachment::new(key.clone(), &file_name, media_type(&file_name));
        match found {
            Some(file) => draft.files.push(DraftFile { key: key.clone(), path: file.path.clone() }),
            None => {
                let reason = format!("its file {} is not in the bundle; put it there and import again to add it", name.escape_debug());
                sink.problem(Problem::new(&draft.origin, reason));
                attachment.expected = Some(Expected { md5: None, path: Some(name.to_owned()) });
            }
        }
        draft.memory.attachments.push(attachment);
        Some(key)
    }

    fn pass_over(&self, sink: &mut dyn Sink) {
        for file in self.files.iter().filter(|file| !self.used.contains(file.path.as_str())) {
            let is_preview = file.path[self.root.len()..].starts_with("QuickLook/");
            sink.passed_over(&file.path, if is_preview { "a preview of the text" } else { "the text does not name it" });
        }
    }
}

/// What the input itself is called, however its path was typed.
fn own_name(input: &Input) -> String {
    let typed = PathBuf::from(input.describe());
    let path = fs::canonicalize(&typed).unwrap_or(typed);
    path.file_name().map(|name| name.to_string_lossy().chars().filter(|c| !c.is_control()).collect()).unwrap_or_default()
}

/// Bear writes 1 and 0.
fn is_set(value: Option<&Value>) -> bool {
    value.is_some_and(|value| *value == Value::Bool(true) || value.as_i64().is_some_and(|number| number != 0))
}

/// Where the text opens with a heading, that is the title; else what the bundle is called.
fn title(stem: Option<&str>, draft: &mut Draft) {
    let first = draft.memory.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let words = first.trim_start_matches('#');
    let heading = (first.len() - words.len() <= 6 && words.len() < first.len() && words.starts_with([' ', '\t'])).then(|| words.trim());
    let heading = heading.filter(|words| !words.is_empty()).map(str::to_owned);
    let title = draft.memory.title.take().or(heading).or_else(|| stem.map(str::to_owned));
    draft.memory.title = title.map(|title| title.chars().take(1000).collect());
}

/// Bear once wrote `[assets/NAME]` where a file stands.
fn old_links(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("[assets/") {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        let inner = up_to(&after[1..], "]").filter(|inner| !inner.contains(['[', '(']));
        let found = inner.map(|inner| (inner, &after[inner.len() + 2..]));
        match found.filter(|(_, behind)| !behind.starts_with(['(', '[', ':'])) {
            Some((inner, behind)) => {
                out.push_str(&format!("![]({})", inner.replace(' ', "%20")));
                rest = behind;
            }
            None => {
                out.push('[');
                rest = &after[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// `#word`, `#word/deeper`, and `#several words#`.
fn tags(piece: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut at, mut line_end) = (0, 0);
    while let Some(next) = piece[at..].find('#').map(|next| at + next) {
        // The end of a line is looked for once, however many marks are on it.
        if next >= line_end {
            line_end = piece[next..].find('\n').map_or(piece.len(), |end| next + end);
        }
        let after = &piece[next + 1..line_end];
        at = next + 1;
        let is_begin = after.chars().next().is_some_and(|first| first.is_alphanumeric() || !(first.is_ascii() || first.is_whitespace()));
        if !is_begin || !may_begin_tag(&piece[..next]) {
            continue;
        }
        let closes = after.find('#').filter(|end| {
            let behind = after[end + 1..].chars().next();
            !after[..*end].ends_with(char::is_whitespace) && behind.is_none_or(|c| c.is_whitespace() || ".,;:!?)]}，。、".contains(c))
        });
        match closes {
            Some(end) => {
                found.push(&after[..end]);
                at += end + 1;
            }
            None => {
                let end = after.find(|c: char| c.is_whitespace() || c == '#').unwrap_or(after.len());
                found.push(
                    after[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '}', '"', '\'', '*', '_', '，', '。', '、']),
                );
                at += end;
            }
        }
    }
    found
}

/// The upper half of code page 437, in which names of archives are read that do not say that they are UTF-8.
const UPPER: &str =
    "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// A name as its author wrote it: macOS packs UTF-8 without saying so.
fn plain_name(name: &str) -> String {
    if name.is_ascii() {
        return name.to_owned();
    }
    let byte = |c: char| if c.is_ascii() { Some(c as u8) } else { u8::try_from(128 + UPPER.chars().position(|known| known == c)?).ok() };
    let bytes: Option<Vec<u8>> = name.chars().map(byte).collect();
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_else(|| name.to_owned())
}
