//! Notion's exports, as HTML or as Markdown and CSV: a file a page, in folders that are called like the page they belong to, every name with the
//! page's id behind it. A database is a CSV file, and each of its rows a page. The archives in the archive are its parts.
//!
//! Pages are in a collection that has the path of the pages around them. Links between pages stay as they are.

mod dates;
mod links;
mod markdown;
mod page;
mod properties;

use std::collections::{BTreeMap, BTreeSet};

use keepsake_record::{Attachment, Kind, Sha256Digest};

use self::{links::Links, page::Page};
use super::{
    CollectionDraft, Draft, DraftFile, Input, InputFile, Problem, ReadError, ReadOptions, Sink,
    draft::{key_of_file, set_title},
    front_matter::custom,
};

const ID_BYTES: usize = 32;
/// A page's path in its collections: deeper ones are called by the innermost.
const NAME_MAX_CHARS: usize = 1000;

/// Whether most pages and tables have the ids of Notion in their names.
pub(crate) fn is_one(files: &[&InputFile]) -> bool {
    let pages = files.iter().filter(|file| is_page(&file.path) || file.ending() == "csv").filter(|file| !is_contents(&file.path));
    let (mut all, mut named) = (0, 0);
    for file in pages {
        all += 1;
        named += usize::from(named_after(&file.path).is_some());
    }
    named > 0 && named * 2 >= all
}

fn is_page(path: &str) -> bool {
    let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
    ["md", "html", "htm"].iter().any(|known| ending.eq_ignore_ascii_case(known))
}

/// What systems and other programs keep for themselves.
fn is_of_system(path: &str) -> bool {
    path.split('/').any(|part| part.starts_with('.') || part == "__MACOSX")
}

/// The list of all pages, which Notion makes for those who look at the export itself.
fn is_contents(path: &str) -> bool {
    path.rsplit('/').next() == Some("index.html")
}

/// What a file or a folder is called after: the name and the id of a page or a database.
fn named_after(path: &str) -> Option<(&str, String)> {
    let name = path.rsplit('/').next()?;
    let stem = name.rsplit_once('.').filter(|(_, ending)| ending.len() <= 4).map_or(name, |(stem, _)| stem);
    let stem = stem.strip_suffix("_all").unwrap_or(stem);
    let at = stem.len().checked_sub(ID_BYTES)?;
    let (name, id) = (stem.get(..at)?, stem.get(at..)?);
    let title = name.strip_suffix([' ', '-', '_'])?;
    id.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| (title, id.to_ascii_lowercase()))
}

pub(crate) fn read(input: &Input, options: &ReadOptions, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let files = input.files()?;
    let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let mut export = Export { databases: BTreeMap::new(), paths, used: BTreeSet::new(), seen: BTreeMap::new(), options };
    for file in files.iter().filter(|file| file.ending() == "csv") {
        if let Some((name, id)) = named_after(&file.path) {
            export.database(name, id, file, input, sink);
        }
    }
    let databases = std::mem::take(&mut export.databases);
    for file in files.iter().filter(|file| is_page(&file.path) && !is_contents(&file.path)) {
        let Some((title, id)) = named_after(&file.path) else { continue };
        match input.whole(&file.path) {
            Ok(bytes) => export.page(title, &id, &bytes, &file.path, &databases, sink)?,
            Err(error) => sink.problem(Problem::new(&file.path, error)),
        }
    }
    for database in databases.into_values() {
        export.table(&database, sink)?;
    }
    for file in files.iter().filter(|file| !export.used.contains(&file.path)) {
        if is_contents(&file.path) {
            sink.passed_over(&file.path, "the list of the pages");
        } else if is_page(&file.path) && named_after(&file.path).is_none() && !is_of_system(&file.path) {
            let reason = "has no id of Notion in its name, no page names it, and it was left out: export it again, \
                or import Markdown by itself with --format markdown";
            sink.problem(Problem::new(&file.path, reason));
        } else {
            sink.passed_over(&file.path, "no page, and no page names it");
        }
    }
    Ok(())
}

/// A database: its tables, and what their columns are called.
struct Database {
    id: String,
    name: String,
    files: Vec<String>,
    columns: BTreeSet<String>,
    digests: Vec<Sha256Digest>,
}

struct Export<'a> {
    /// Databases by the path of the folder that holds their pages.
    databases: BTreeMap<String, Database>,
    paths: BTreeSet<&'a str>,
    used: BTreeSet<String>,
    /// Pages by id, with where they were first.
    seen: BTreeMap<String, String>,
    options: &'a ReadOptions,
}

impl Export<'_> {
    /// Learns what the columns of a table are called.
    fn database(&mut self, name: &str, id: String, file: &InputFile, input: &Input, sink: &mut dyn Sink) {
        let folder = file.path.rsplit_once('.').map_or(file.path.as_str(), |(stem, _)| stem);
        let folder = folder.strip_suffix("_all").unwrap_or(folder);
        let digest = match input.digest(&file.path) {
            Ok(digest) => digest,
            Err(error) => return sink.problem(Problem::new(&file.path, error)),
        };
        let new = || Database { id, name: name.to_owned(), files: Vec::new(), columns: BTreeSet::new(), digests: Vec::new() };
        let database = self.databases.entry(folder.to_owned()).or_insert_with(new);
        database.files.push(file.path.clone());
        database.digests.push(digest);
        let header = input.open_file(&file.path).map_err(|error| error.to_string()).and_then(|reader| {
            let head = std::io::Read::take(reader, 1 << 20);
            csv::ReaderBuilder::new().flexible(true).from_reader(head).headers().cloned().map_err(|error| error.to_string())
        });
        match header {
            Ok(header) => database.columns.extend(header.iter().map(|name| name.trim_start_matches('\u{feff}').trim().to_owned())),
            Err(error) => sink.problem(Problem::new(&file.path, format!("is no table and is kept as it is: {error}"))),
        }
    }

    fn page(
        &mut self,
        title: &str,
        id: &str,
        bytes: &[u8],
        path: &str,
        databases: &BTreeMap<String, Database>,
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        self.used.insert(path.to_owned());
        if let Some(first) = self.seen.insert(id.to_owned(), path.to_owned()) {
            sink.passed_over(path, "the same page once more");
            self.seen.insert(id.to_owned(), first);
            return Ok(());
        }
        let mut draft = Draft::new("notion", id, path, Sha256Digest::of(bytes), self.options);
        draft.memory.kind = Kind::Note;
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let database = databases.get(folder);
        draft.collections.extend(collection(folder, database.is_some()));
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text).to_owned(),
            Err(_) => {
                sink.problem(Problem::new(path, "is not UTF-8; what could not be read stands as U+FFFD"));
                String::from_utf8_lossy(bytes).into_owned()
            }
        };
        let mut links = Links {
            folder,
            paths: &self.paths,
            used: &mut self.used,
            draft: &mut draft,
            keys: BTreeMap::new(),
            missing: BTreeSet::new(),
            sink,
        };
        let page = if path.to_ascii_lowercase().ends_with(".md") {
            markdown::read(&text, database.map(|database| &database.columns), &mut links)
        } else {
            page::read(&text, &mut links)
        };
        fill(page, title, &mut draft, self.options, sink);
        sink.draft(draft)
    }

    /// The memory of a database: its tables as they are.
    fn table(&mut self, database: &Database, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let Some(origin) = database.files.first() else { return Ok(()) };
        let folder = origin.rsplit_once('/').map_or("", |(folder, _)| folder);
        let digests: Vec<u8> = database.digests.iter().flat_map(|digest| *digest.as_bytes()).collect();
        let mut draft = Draft::new("notion", format!("{} table", database.id), origin, Sha256Digest::of(&digests), self.options);
        draft.memory.kind = Kind::Document;
        set_title(&mut draft.memory, &database.name);
        draft.collections.extend(collection(folder, false));
        for path in &database.files {
            let name = path.rsplit('/').next().unwrap_or(path);
            let key = key_of_file(&draft.memory, name);
            draft.memory.attachments.push(Attachment::new(key.clone(), name.replace('\\', "-"), "text/csv"));
            draft.files.push(DraftFile { key, path: path.clone() });
            self.used.insert(path.clone());
        }
        sink.draft(draft)
    }
}

/// Moves what a page says into its draft.
fn fill(page: Page, title: &str, draft: &mut Draft, options: &ReadOptions, sink: &mut dyn Sink) {
    if let Some(problem) = page.problem {
        sink.problem(Problem::new(&draft.origin, problem));
        custom(draft, "html".into(), page.source.into());
    }
    draft.memory.text = page.text;
    // Names of files are cut; titles are not.
    let title = page.title.as_deref().filter(|title| !title.trim().is_empty()).unwrap_or(title);
    if !set_title(&mut draft.memory, title.trim()) {
        custom(draft, "title".into(), title.into());
    }
    properties::apply(page.properties, options.zone.as_ref(), draft);
    for (field, value) in [("page-description", page.description), ("page-icon", page.icon), ("page-cover", page.cover)] {
        if let Some(value) = value.filter(|value| !value.trim().is_empty()) {
            draft.memory.custom.entry(field.into()).or_insert_with(|| value.trim().into());
        }
    }
}

/// The collection of what is in a folder: the names of the pages around it.
fn collection(folder: &str, is_database: bool) -> Option<CollectionDraft> {
    let is_root = |name: &&str| !(name.starts_with("Export-") && name.len() >= "Export-".len() + ID_BYTES);
    let names: Vec<&str> = folder.split('/').filter(|name| !name.is_empty()).filter(is_root).collect();
    let innermost = names.last()?;
    let kind = match named_after(innermost) {
        Some(_) if is_database => "database",
        Some(_) => "page",
        None => "folder",
    };
    let called = |name: &&str| named_after(name).map_or_else(|| (*name).to_owned(), |(title, _)| title.to_owned());
    let path = names.iter().map(called).collect::<Vec<_>>().join("/");
    Some(CollectionDraft { name: if path.chars().count() > NAME_MAX_CHARS { called(innermost) } else { path }, kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_which_page() {
        let id = "1590080aa5a3802488c2e857dea7aa7d";
        for name in [
            "a/My page 1590080aa5a3802488c2e857dea7aa7d.md",
            "My page 1590080AA5A3802488C2E857DEA7AA7D_all.csv",
            "My page-1590080aa5a3802488c2e857dea7aa7d",
        ] {
            assert_eq!(named_after(name), Some(("My page", id.to_owned())), "{name}");
        }
        for name in ["1590080aa5a3802488c2e857dea7aa7d.md", "My page.md", "é1590080aa5a3802488c2e857dea7aa7d.md", ""] {
            assert_eq!(named_after(name), None, "{name}");
        }
        let folder = format!("Export-950ad927-7171-4abf-9001-821e5310d286/Shared/Outer {id}/Inner {id}");
        let found = collection(&folder, true).expect("a collection");
        assert_eq!((found.name.as_str(), found.kind), ("Shared/Outer/Inner", "database"));
        assert!(collection("Export-950ad927-7171-4abf-9001-821e5310d286", false).is_none());
    }
}
