//! A folder of Markdown with front matter: Obsidian, Hugo, and whoever writes plain files.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use keepsake_record::{Attachment, Kind, LocalDay, Sha256Digest, When};
use serde_json::{Map, Value};

use super::{CollectionDraft, Draft, DraftFile, Input, Problem, ReadError, ReadOptions, Sink, front_matter, media_type::media_type, plain};

pub(crate) fn read(input: &Input, options: &ReadOptions, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let mut files = input.files()?;
    // Whoever names the folder around a vault means the vault; what lies beside it is none of its notes.
    if let Some(root) = vault_root(files.iter().map(|f| f.path.as_str())) {
        let (inside, outside): (Vec<_>, Vec<_>) = files.into_iter().partition(|f| f.path.starts_with(&root));
        files = inside;
        for file in &outside {
            sink.passed_over(&file.path, "beside the vault, not in it");
        }
    }
    let is_note = |path: &str| [".md", ".markdown"].iter().any(|e| path.to_ascii_lowercase().ends_with(e));
    let hidden = |path: &str| path.split('/').any(|part| part.starts_with('.'));
    let mut others = Others::default();
    for file in files.iter().filter(|f| !is_note(&f.path) && !hidden(&f.path)) {
        others.add(&file.path);
    }
    let mut used = BTreeSet::new();
    for file in files.iter().filter(|f| is_note(&f.path) && !hidden(&f.path)) {
        let bytes = match input.whole(&file.path) {
            Ok(bytes) => bytes,
            Err(error) => {
                sink.problem(Problem::new(&file.path, error));
                continue;
            }
        };
        note(&file.path, &bytes, &others, &mut used, options, sink)?;
    }
    let mut beside = plain::Folder::beside_notes(input, &files, used, options);
    beside.read(sink)?;
    for file in &files {
        if hidden(&file.path) {
            sink.passed_over(&file.path, "a setting of the app");
        } else if !is_note(&file.path) && !beside.used.contains(&file.path) {
            sink.passed_over(&file.path, "no note, and no note names it");
        }
    }
    Ok(())
}

/// The folder, with a final `/`, of the only Obsidian vault below an input that is none itself.
fn vault_root<'a>(paths: impl Iterator<Item = &'a str>) -> Option<String> {
    const SETTINGS: &str = ".obsidian/";
    let roots: BTreeSet<&str> =
        paths.filter_map(|path| path.find(SETTINGS).map(|at| &path[..at]).filter(|root| root.is_empty() || root.ends_with('/'))).collect();
    let mut roots = roots.into_iter();
    match (roots.next(), roots.next()) {
        (Some(root), None) if !root.is_empty() => Some(root.to_owned()),
        _ => None,
    }
}

/// The files that notes may name, by path and by bare name.
#[derive(Default)]
struct Others {
    paths: BTreeSet<String>,
    by_name: HashMap<String, Vec<String>>,
}

impl Others {
    fn add(&mut self, path: &str) {
        self.paths.insert(path.to_owned());
        let name = path.rsplit('/').next().unwrap_or(path).to_lowercase();
        self.by_name.entry(name).or_default().push(path.to_owned());
    }

    /// The file that a link means: beside the note, from the root, or (as Obsidian does) anywhere by its name.
    fn find(&self, note: &str, target: &str) -> Option<String> {
        let target = percent_decode(target.split(['#', '?']).next().unwrap_or(target));
        let folder = note.rsplit_once('/').map_or("", |(folder, _)| folder);
        let joined = join(folder, &target)?;
        if self.paths.contains(&joined) {
            return Some(joined);
        }
        let rooted = join("", target.trim_start_matches('/'))?;
        if self.paths.contains(&rooted) {
            return Some(rooted);
        }
        let name = rooted.rsplit('/').next()?.to_lowercase();
        self.by_name.get(&name).and_then(|paths| paths.first()).cloned()
    }
}

/// Joins relative paths; `None` where the result would leave the root.
pub(crate) fn join(folder: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|p| !p.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            other => parts.push(other),
        }
    }
    Some(parts.join("/"))
}

pub(crate) fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let decoded =
            (*first == b'%').then(|| after.get(..2)).flatten().and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(decoded.unwrap_or(*first));
        rest = if decoded.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

fn note(
    path: &str,
    bytes: &[u8],
    others: &Others,
    used: &mut BTreeSet<String>,
    options: &ReadOptions,
    sink: &mut dyn Sink,
) -> Result<(), ReadError> {
    let mut draft = Draft::new("markdown", path, path, Sha256Digest::of(bytes), options);
    let mut problems = Vec::new();
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text).to_owned(),
        Err(_) => {
            problems.push(Problem::new(path, "is not UTF-8; what could not be read stands as U+FFFD"));
            String::from_utf8_lossy(bytes).into_owned()
        }
    };
    let stem = path.rsplit('/').next().unwrap_or(path);
    let stem = stem.rsplit_once('.').map_or(stem, |(stem, _)| stem);
    draft.memory.kind = Kind::Note;
    let body = match split(&text) {
        Matter::None(body) => body,
        Matter::Fields(fields, body) => {
            front_matter::apply(fields, options.zone.as_ref(), &mut draft, &mut problems);
            body
        }
        Matter::Broken(reason) => {
            problems.push(Problem::new(path, format!("its front matter cannot be read and is kept as text: {reason}")));
            text.as_str()
        }
    };
    draft.memory.text = body.to_owned();
    draft.memory.title.get_or_insert_with(|| stem.chars().take(1000).collect());
    if draft.memory.when == When::default()
        && let Some(day) = stem.get(..10).and_then(|d| d.parse::<LocalDay>().ok())
    {
        draft.memory.when = When::day(day);
    }
    if let Some((folder, _)) = path.rsplit_once('/') {
        draft.collections.push(CollectionDraft { name: folder.to_owned(), kind: "folder" });
    }
    attach(path, others, used, &mut draft, &mut problems);
    problems.into_iter().for_each(|problem| sink.problem(problem));
    sink.draft(draft)
}

enum Matter<'a> {
    None(&'a str),
    Fields(Map<String, Value>, &'a str),
    Broken(String),
}

/// Splits front matter from the text: `---` YAML, `+++` TOML, or a JSON object at the very beginning.
fn split(text: &str) -> Matter<'_> {
    let fenced = |fence: &str| {
        let rest = text.strip_prefix(fence)?.strip_prefix(['\n', '\r'])?;
        let mut at = 0;
        for line in rest.split_inclusive('\n') {
            if line.trim_end() == fence {
                return Some((&rest[..at], &rest[at + line.len()..]));
            }
            at += line.len();
        }
        None
    };
    let fields = |parsed: Result<Value, String>, body| match parsed {
        Ok(Value::Object(fields)) => Matter::Fields(fields, body),
        Ok(Value::Null) => Matter::Fields(Map::new(), body),
        Ok(_) => Matter::Broken("it is no list of fields".into()),
        Err(reason) => Matter::Broken(reason),
    };
    if let Some((matter, body)) = fenced("---") {
        return fields(yaml(matter), body);
    }
    if let Some((matter, body)) = fenced("+++") {
        let parsed = toml::from_str::<toml::Table>(matter).map(|table| from_toml(toml::Value::Table(table)));
        return fields(parsed.map_err(|e| e.to_string()), body);
    }
    if text.starts_with("{\n") || text.starts_with("{\r\n") {
        let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        if let Some(Ok(value)) = stream.next() {
            return fields(Ok(value), text[stream.byte_offset()..].trim_start_matches(['\r', '\n']));
        }
    }
    Matter::None(text)
}

fn yaml(matter: &str) -> Result<Value, String> {
    let value: serde_yaml_ng::Value = serde_yaml_ng::from_str(matter).map_err(|e| e.to_string())?;
    from_yaml(value)
}

/// TOML as JSON; dates become text.
fn from_toml(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => Value::from(number),
        toml::Value::Boolean(flag) => Value::Bool(flag),
        toml::Value::Datetime(at) => Value::String(at.to_string()),
        toml::Value::Array(items) => Value::Array(items.into_iter().map(from_toml).collect()),
        toml::Value::Table(pairs) => Value::Object(pairs.into_iter().map(|(key, value)| (key, from_toml(value))).collect()),
    }
}

/// YAML as JSON; keys that are no text become text.
fn from_yaml(value: serde_yaml_ng::Value) -> Result<Value, String> {
    use serde_yaml_ng::Value as Yaml;
    Ok(match value {
        Yaml::Null => Value::Null,
        Yaml::Bool(flag) => Value::Bool(flag),
        Yaml::Number(number) => serde_json::to_value(&number).map_err(|e| e.to_string())?,
        Yaml::String(text) => Value::String(text),
        Yaml::Sequence(items) => Value::Array(items.into_iter().map(from_yaml).collect::<Result<_, _>>()?),
        Yaml::Mapping(pairs) => {
            let mut fields = Map::new();
            for (key, value) in pairs {
                let key = match key {
                    Yaml::String(key) => key,
                    Yaml::Number(key) => key.to_string(),
                    Yaml::Bool(key) => key.to_string(),
                    _ => return Err("a key is neither text nor number".into()),
                };
                fields.insert(key, from_yaml(value)?);
            }
            Value::Object(fields)
        }
        Yaml::Tagged(tagged) => from_yaml(tagged.value)?,
    })
}

/// Makes attachments of the files that a note embeds or links to, and points its links at them.
fn attach(path: &str, others: &Others, used: &mut BTreeSet<String>, draft: &mut Draft, problems: &mut Vec<Problem>) {
    let mut keys: BTreeMap<String, String> = BTreeMap::new();
    let mut key_of = |found: String| {
        used.insert(found.clone());
        let next = format!("file-{}", keys.len() + 1);
        keys.entry(found).or_insert(next).clone()
    };
    let text = keepsake_record::rewrite_links(&draft.memory.text, |target| {
        let external = target.contains("://") || target.starts_with(['#', '<']) || target.starts_with("mailto:");
        let found = (!external).then(|| others.find(path, target)).flatten()?;
        Some(format!("keepsake:attachment/{}", key_of(found)))
    });
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find("![[") {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        let Some((inner, tail)) = after[3..].split_once("]]").filter(|(inner, _)| !inner.contains('\n')) else {
            out.push_str("![[");
            rest = &after[3..];
            continue;
        };
        let (target, label) = inner.split_once('|').map_or((inner, ""), |(t, l)| (t, l));
        match others.find(path, target) {
            Some(found) => out.push_str(&format!("![{label}](keepsake:attachment/{})", key_of(found))),
            None => {
                if super::media_type::is_media(target) {
                    problems.push(Problem::new(
                        path,
                        format!("its file {} is not there; put it there and import again to add it", target.escape_debug()),
                    ));
                }
                out.push_str(&after[..after.len() - tail.len()]);
            }
        }
        rest = tail;
    }
    out.push_str(rest);
    draft.memory.text = out;
    // Front matter may name files too: `cover: "[[photo.jpg]]"`.
    for value in draft.memory.custom.values() {
        let texts = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice).iter().filter_map(Value::as_str);
        for target in texts.filter_map(|t| t.strip_prefix("[[")?.strip_suffix("]]")) {
            if let Some(found) = others.find(path, target.split('|').next().unwrap_or(target)) {
                key_of(found);
            }
        }
    }
    for (file, key) in keys {
        let name = file.rsplit('/').next().unwrap_or(&file).to_owned();
        draft.memory.attachments.push(Attachment::new(key.clone(), name, media_type(&file)));
        draft.files.push(DraftFile { key, path: file });
    }
}
