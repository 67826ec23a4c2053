//! Roam Research's JSON export: one list of pages a graph, each a tree of blocks.
//!
//! A page is a memory, its blocks a nested list of Markdown. A block that names another, `((uid))`, has the words of that one there; a page
//! is named as Roam does, `[[Title]]`. What else is said of blocks (when each was written, by whom, its settings) is kept as the custom
//! field `blocks`, by uid. Pictures are in Roam's cloud, and stay links.

mod marks;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use keepsake_record::{Kind, LocalDay, Sha256Digest, Timestamp, When, Zone, canonical_line, settle_value};
use serde_json::{Map, Value};

use super::{Draft, Input, InputFile, Problem, ReadError, ReadOptions, Sink, front_matter::custom, spans::spans};
use marks::{fences, is_of_uid, is_uid, italics, tags};

/// A block that names a block that names a block is followed so far, and so many bytes of other blocks come into a page.
const FOLLOWED_MAX: usize = 4;
const FOLLOWED_BYTES: usize = 1 << 20;
/// What two fields say that a third one says, or the text.
const SAID_TWICE: [&str; 3] = [":block/refs", "refs", ":block/props"];
const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];

/// Whether files of JSON are graphs, and most files are such.
pub(crate) fn is_one(input: &Input, files: &[&InputFile]) -> Result<bool, ReadError> {
    let (mut json, mut graphs) = (0, 0);
    for file in files.iter().filter(|file| file.ending() == "json").take(5) {
        let mut head = Vec::new();
        let io = |source| ReadError::Io { path: file.path.clone(), source };
        std::io::Read::read_to_end(&mut std::io::Read::take(input.open_file(&file.path)?, 4096), &mut head).map_err(io)?;
        let head = String::from_utf8_lossy(&head);
        let has = |marks: &[&str]| marks.iter().any(|mark| head.contains(mark));
        json += 1;
        let is_list = head.trim_start_matches('\u{feff}').trim_start().starts_with('[');
        graphs += usize::from(
            is_list && has(&["\"title\"", "\"string\""]) && has(&["\"edit-time\"", "\"create-time\"", "\"children\"", "\":log/id\""]),
        );
    }
    Ok(graphs > 0 && graphs * 2 >= json && files.iter().filter(|file| file.ending() == "json").count() * 2 >= files.len())
}

pub(crate) fn read(input: &Input, options: &ReadOptions, sink: &mut dyn Sink) -> Result<(), ReadError> {
    for file in input.files()? {
        if file.ending() != "json" && !input.is_single_file() {
            sink.passed_over(&file.path, "no graph: Roam's JSON export is one file");
            continue;
        }
        let bytes = input.whole(&file.path)?;
        let pages = match serde_json::from_slice::<Value>(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes)) {
            Ok(Value::Array(pages)) => pages,
            Ok(_) => {
                sink.problem(Problem::new(&file.path, "is no list of pages and was left out: export the graph from Roam as JSON"));
                continue;
            }
            Err(error) => {
                let problem = format!("is not JSON and was left out: {error}; export the graph from Roam again");
                sink.problem(Problem::new(format!("{}:{}", file.path, error.line()), problem));
                continue;
            }
        };
        let graph = Graph { blocks: blocks(&pages), options };
        for (number, page) in pages.iter().enumerate() {
            let origin = format!("{}: page {}", file.path, number + 1);
            match page.as_object() {
                Some(fields) => graph.page(fields, &origin, sink)?,
                None => sink.problem(Problem::new(origin, "is no object and was left out")),
            }
        }
    }
    Ok(())
}

/// Every block by its uid: its words, and the title of its page.
fn blocks(pages: &[Value]) -> HashMap<&str, (&str, &str)> {
    let mut found = HashMap::new();
    for page in pages {
        let title = page.get("title").and_then(Value::as_str).unwrap_or_default();
        let mut waiting = vec![page];
        while let Some(block) = waiting.pop() {
            waiting.extend(block.get("children").and_then(Value::as_array).into_iter().flatten());
            if let (Some(uid), Some(text)) = (block.get("uid").and_then(Value::as_str), block.get("string").and_then(Value::as_str)) {
                found.insert(uid, (text, title));
            }
        }
    }
    found
}

struct Graph<'a> {
    blocks: HashMap<&'a str, (&'a str, &'a str)>,
    options: &'a ReadOptions,
}

/// What comes together while the blocks of a page are read.
#[derive(Default)]
struct Outline {
    text: String,
    /// What is said of blocks besides their words.
    said: Map<String, Value>,
    /// The blocks that others name, each with the page that it is on.
    named: BTreeMap<String, String>,
    lost: BTreeSet<String>,
    /// Bytes of other blocks so far.
    followed: usize,
    times: Vec<Timestamp>,
    edits: Vec<Timestamp>,
    has_words: bool,
}

impl Graph<'_> {
    fn page(&self, page: &Map<String, Value>, origin: &str, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let mut fields = page.clone();
        let title = fields.get("title").and_then(Value::as_str).unwrap_or_default().to_owned();
        let origin = if title.is_empty() { origin.to_owned() } else { format!("{origin} “{}”", title.escape_debug()) };
        let uid = fields.get("uid").and_then(Value::as_str).filter(|uid| !uid.is_empty() && uid.len() <= 256).map(str::to_owned);
        let mut outline = Outline::default();
        match fields.remove("children") {
            Some(Value::Array(children)) => self.list(&children, 0, &origin, &mut outline, sink),
            Some(Value::Null) | None => {}
            Some(other) => drop(fields.insert("children".into(), other)),
        }
        if !outline.has_words && !fields.contains_key("children") {
            sink.passed_over(&origin, "a page with nothing on it");
            return Ok(());
        }
        let own = take_time(&mut fields, "create-time");
        let created = own.or_else(|| outline.times.iter().min().copied());
        let edited = take_time(&mut fields, "edit-time").into_iter().chain(outline.edits.iter().copied()).max();
        let day = day(&title);
        let Some(id) = id(uid.as_deref(), &title, own, day) else {
            sink.problem(Problem::new(origin, "has neither `uid` nor `title` and was left out"));
            return Ok(());
        };
        // A page has the words of blocks of other pages, and changes with them.
        let mut settled = Value::Array(vec![Value::Object(page.clone()), Value::String(outline.text.clone())]);
        settle_value(&mut settled);
        let digest = Sha256Digest::of(&canonical_line(&settled));
        let mut draft = Draft::new("roam", id, &origin, digest, self.options);
        fields.remove("uid");
        draft.memory.kind = Kind::Note;
        if let Some(at) = created.or(edited) {
            draft.memory.created = at;
            draft.memory.modified = edited.unwrap_or(at).max(at);
            draft.memory.when = When::instant(at, self.options.zone.clone().unwrap_or_else(Zone::utc));
        } else if day.is_none() {
            sink.problem(Problem::new(&origin, "has no readable `create-time`; it is kept without a date"));
        }
        if let Some(day) = day {
            draft.memory.when = When { zone: self.options.zone.clone(), ..When::day(day) };
        }
        self.put(fields, title, outline, &mut draft, sink);
        sink.draft(draft)
    }

    /// Puts the words of a page, its title and its tags where they belong, and keeps the rest.
    fn put(&self, mut fields: Map<String, Value>, title: String, outline: Outline, draft: &mut Draft, sink: &mut dyn Sink) {
        draft.memory.text = outline.text;
        draft.memory.title = Some(title).filter(|title| !title.is_empty());
        if draft.memory.title.is_some() && draft.memory.validate().is_ok() {
            fields.remove("title");
        } else {
            draft.memory.title = None;
        }
        for (piece, _) in spans(&draft.memory.text).into_iter().filter(|(_, is_code)| !is_code) {
            draft.memory.tags.extend(tags(piece).into_iter().filter_map(|tag| tag.parse().ok()));
        }
        if !outline.lost.is_empty() {
            let lost = outline.lost.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            sink.problem(Problem::new(&draft.origin, format!("names blocks that are not in the export; they stand as {lost}")));
        }
        if !outline.named.is_empty() {
            let named = outline.named.into_iter().map(|(uid, page)| (uid, Value::String(page))).collect();
            custom(draft, "references".into(), Value::Object(named));
        }
        if !outline.said.is_empty() {
            custom(draft, "blocks".into(), Value::Object(outline.said));
        }
        for (field, value) in fields.into_iter().filter(|(field, _)| !SAID_TWICE.contains(&field.as_str())) {
            custom(draft, field, value);
        }
    }

    /// Blocks as a list; the reader of JSON goes down 128 levels, so that this goes down half as many.
    fn list(&self, blocks: &[Value], depth: usize, origin: &str, outline: &mut Outline, sink: &mut dyn Sink) {
        for block in blocks {
            let Some(fields) = block.as_object() else {
                sink.problem(Problem::new(origin, "a block is no object and was left out"));
                continue;
            };
            let mut fields = fields.clone();
            let children = match fields.remove("children") {
                Some(Value::Array(children)) => children,
                Some(Value::Null) | None => Vec::new(),
                Some(other) => {
                    fields.insert("children".into(), other);
                    Vec::new()
                }
            };
            let words = match fields.remove("string") {
                Some(Value::String(words)) => words,
                None => String::new(),
                Some(other) => {
                    sink.problem(Problem::new(origin, "the words of a block are no text; they are kept in the custom field `blocks`"));
                    fields.insert("string".into(), other);
                    String::new()
                }
            };
            outline.has_words |= !words.trim().is_empty() || fields.contains_key("string");
            // Roam keeps a block for whoever wants to write the next line.
            if !words.is_empty() || !children.is_empty() {
                self.item(&words, &mut fields, depth, outline);
            }
            outline.times.extend(fields.get("create-time").and_then(time));
            outline.edits.extend(fields.get("edit-time").and_then(time));
            let uid = fields.remove("uid");
            fields.retain(|field, _| !SAID_TWICE.contains(&field.as_str()));
            match uid {
                Some(Value::String(uid)) if !fields.is_empty() => drop(outline.said.insert(uid, Value::Object(fields))),
                Some(Value::String(_)) => {}
                _ if fields.is_empty() => {}
                _ => drop(outline.said.insert(format!("block {}", outline.said.len() + 1), Value::Object(fields))),
            }
            self.list(&children, depth + 1, origin, outline, sink);
        }
    }

    /// One block as an item of a list.
    fn item(&self, words: &str, fields: &mut Map<String, Value>, depth: usize, outline: &mut Outline) {
        let mut words = self.prose(words, 0, outline);
        for (mark, shown) in [("{{[[TODO]]}}", "[ ]"), ("{{TODO}}", "[ ]"), ("{{[[DONE]]}}", "[x]"), ("{{DONE}}", "[x]")] {
            if let Some(rest) = words.strip_prefix(mark) {
                words = format!("{shown} {}", rest.trim_start());
                break;
            }
        }
        if let Some(level) = fields.get("heading").and_then(Value::as_u64).filter(|level| *level <= 6) {
            fields.remove("heading");
            if level > 0 {
                words = format!("{} {words}", "#".repeat(level as usize));
            }
        }
        let indent = "  ".repeat(depth);
        for (number, line) in fences(&words).iter().enumerate() {
            let lead = if number == 0 { "- " } else { "  " };
            // A line with nothing on it has no spaces at its end.
            let (before, line) = if line.trim().is_empty() {
                (format!("{indent}{lead}").trim_end().to_owned(), "")
            } else {
                (format!("{indent}{lead}"), line.as_str())
            };
            outline.text.push_str(&format!("{before}{line}\n"));
        }
    }

    /// Words with the blocks that they name, and with Markdown's marks for what Roam marks in its own way.
    fn prose(&self, words: &str, followed: usize, outline: &mut Outline) -> String {
        let pieces = spans(words).into_iter().map(|(piece, is_code)| match is_code {
            true => piece.to_owned(),
            false => self.named(&italics(piece), followed, outline),
        });
        pieces.collect()
    }

    /// Puts the words of blocks where they are named.
    fn named(&self, piece: &str, followed: usize, outline: &mut Outline) -> String {
        let mut out = String::with_capacity(piece.len());
        let mut rest = piece;
        while let Some(at) = rest.find("((") {
            let (before, after) = rest.split_at(at);
            out.push_str(before);
            let uid = &after[2..];
            let uid = &uid[..uid.find(|c: char| !is_of_uid(c)).unwrap_or(uid.len())];
            let is_whole = after[2 + uid.len()..].starts_with("))") && !uid.is_empty();
            if !is_whole {
                out.push('(');
                rest = &after[1..];
                continue;
            }
            let reference = &after[..uid.len() + 4];
            rest = &after[reference.len()..];
            match self.blocks.get(uid) {
                Some((words, page)) => {
                    outline.named.insert(uid.to_owned(), (*page).to_owned());
                    let fits = followed < FOLLOWED_MAX && outline.followed + words.len() <= FOLLOWED_BYTES && !words.contains('\n');
                    // `[words](((uid)))` has words of its own.
                    if !fits || out.ends_with("](") {
                        out.push_str(reference);
                        continue;
                    }
                    outline.followed += words.len();
                    let words = self.prose(words, followed + 1, outline);
                    out.push_str(words.trim());
                }
                None => {
                    if is_uid(uid) {
                        outline.lost.insert(reference.to_owned());
                    }
                    out.push_str(reference);
                }
            }
        }
        out.push_str(rest);
        out
    }
}

fn time(value: &Value) -> Option<Timestamp> {
    Timestamp::from_micros(value.as_i64()?.checked_mul(1000)?).ok().filter(|at| at.micros() != 0)
}

fn take_time(fields: &mut Map<String, Value>, name: &str) -> Option<Timestamp> {
    let at = time(fields.get(name)?)?;
    fields.remove(name);
    Some(at)
}

/// The day of a daily note, by its title: `January 1st, 2024`.
fn day(title: &str) -> Option<LocalDay> {
    let (month, rest) = title.split_once(' ')?;
    let (day, year) = rest.split_once(", ")?;
    let month = MONTHS.iter().position(|known| *known == month)?;
    let day = ["st", "nd", "rd", "th"].iter().find_map(|ending| day.strip_suffix(ending))?;
    LocalDay::new(year.parse().ok().filter(|_| year.len() == 4)?, i8::try_from(month + 1).ok()?, day.parse().ok()?).ok()
}

/// The id of a page: its uid, which of a daily note is the day, and so the same in every graph; before 2021 there was none.
fn id(uid: Option<&str>, title: &str, created: Option<Timestamp>, day: Option<LocalDay>) -> Option<String> {
    let name = uid.map(str::to_owned).or_else(|| Some(title.chars().take(200).collect()).filter(|title: &String| !title.is_empty()))?;
    Some(match created.filter(|_| day.is_some() || uid.is_none()) {
        Some(at) => format!("{name} {}", at.micros() / 1000),
        None => name,
    })
}
