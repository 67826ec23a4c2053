//! What each format keeps of each field, so that nobody has to find out afterwards.
//!
//! Tests hold this against the schema (no field is forgotten), against what other programs read back (what is called whole is equal), and
//! against the page that prints it.

/// What a format keeps of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// Everything: it can be made again.
    Whole,
    /// Something of it; why, and what.
    Lossy(&'static str),
    /// Nothing; why.
    Absent(&'static str),
}

/// The formats, in the order of [`Row::keeps`].
pub const FORMATS: [&str; 8] = ["json", "csv", "xml", "markdown", "html", "pdf", "epub", "media"];

/// A field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The record it belongs to, as the schema calls it, and its name; without a name, all fields of that record.
    pub field: (&'static str, &'static str),
    /// What each format keeps of it.
    pub keeps: [Keeps; 8],
}

const DATA: Keeps = Keeps::Absent("only with `--with-data`, as data in the file");
const BESIDE: Keeps = Keeps::Lossy("as JSON in `about/`");
const UNTOLD: Keeps = Keeps::Absent("not told");
const ON_PHOTO: Keeps = Keeps::Lossy("on the photo's page");

const IN_FILE: Keeps = Keeps::Absent("the file itself tells it");
const CENTIMETRE: Keeps = Keeps::Lossy("to a centimetre");
const ONE_NAME: Keeps = Keeps::Lossy("a film or a raw by the name of its photo");

const fn field(record: &'static str, name: &'static str, html: Keeps, book: Keeps, media: Keeps) -> Row {
    Row { field: (record, name), keeps: [Keeps::Whole, Keeps::Whole, Keeps::Whole, Keeps::Whole, html, book, book, media] }
}

const fn memory(name: &'static str, html: Keeps, book: Keeps, media: Keeps) -> Row {
    field("Memory", name, html, book, media)
}

const fn attachment(name: &'static str, html: Keeps, book: Keeps, media: Keeps) -> Row {
    field("Attachment", name, html, book, media)
}

const fn record(name: &'static str, html: Keeps, book: Keeps, media: Keeps) -> Row {
    Row { field: (name, ""), keeps: [Keeps::Whole, Keeps::Whole, Keeps::Whole, BESIDE, html, book, book, media] }
}

/// All fields.
pub const MATRIX: &[Row] = &[
    memory(
        "attachments",
        Keeps::Lossy("shown, with their originals"),
        Keeps::Lossy("pictures are shown smaller, others named"),
        Keeps::Lossy("the files, and what is told of each"),
    ),
    memory(
        "collections",
        Keeps::Lossy("by name, and each collection in its order"),
        Keeps::Lossy("by name"),
        Keeps::Lossy("by name, or as folders"),
    ),
    memory("created", Keeps::Whole, DATA, UNTOLD),
    memory("custom", Keeps::Lossy("values as words"), DATA, UNTOLD),
    memory("id", Keeps::Whole, DATA, Keeps::Whole),
    memory("kind", Keeps::Whole, DATA, Keeps::Whole),
    memory("language", Keeps::Whole, Keeps::Lossy("as the language of its text"), Keeps::Whole),
    memory("modified", Keeps::Whole, DATA, UNTOLD),
    memory("people", Keeps::Lossy("by name"), Keeps::Lossy("by name"), Keeps::Lossy("by name")),
    memory(
        "place",
        Keeps::Lossy("by name, locality and country"),
        Keeps::Lossy("by name, locality and country"),
        Keeps::Lossy("by name, locality, area and country"),
    ),
    memory("position", Keeps::Lossy("latitude and longitude"), DATA, Keeps::Lossy("to a centimetre, of files that have none of their own")),
    memory("provenance", UNTOLD, DATA, UNTOLD),
    memory("sensitivity", Keeps::Whole, DATA, Keeps::Whole),
    memory("source", Keeps::Lossy("importer and id"), DATA, UNTOLD),
    memory("starred", Keeps::Whole, DATA, Keeps::Whole),
    memory("tags", Keeps::Whole, Keeps::Whole, Keeps::Whole),
    Row {
        field: ("Memory", "text"),
        keeps: [
            Keeps::Whole,
            Keeps::Whole,
            Keeps::Whole,
            Keeps::Lossy("links to attachments lead to the files"),
            Keeps::Lossy("set as what its Markdown means; control characters as U+FFFD"),
            Keeps::Lossy("set as what its Markdown means; characters that no font has as `[U+XXXX]`"),
            Keeps::Lossy("set as what its Markdown means; control characters as U+FFFD"),
            Keeps::Lossy("its first 20,000 characters"),
        ],
    },
    memory("title", Keeps::Lossy("as the heading; where there is none, its day or first words"), Keeps::Whole, Keeps::Whole),
    memory("visibility", Keeps::Whole, DATA, Keeps::Whole),
    memory(
        "when",
        Keeps::Lossy("in words, the instant to the millisecond"),
        Keeps::Lossy("an instant to the minute, with its zone"),
        Keeps::Whole,
    ),
    attachment("alt", Keeps::Lossy("for those who cannot see it"), Keeps::Lossy("for those who cannot see it"), Keeps::Whole),
    attachment("camera", ON_PHOTO, DATA, IN_FILE),
    attachment("caption", Keeps::Whole, Keeps::Whole, Keeps::Whole),
    attachment("captured", ON_PHOTO, DATA, Keeps::Whole),
    attachment("custom", UNTOLD, DATA, UNTOLD),
    attachment("expected", UNTOLD, DATA, UNTOLD),
    attachment("height", ON_PHOTO, DATA, IN_FILE),
    attachment("key", UNTOLD, DATA, Keeps::Whole),
    attachment("mediaType", UNTOLD, DATA, Keeps::Whole),
    attachment("medium", Keeps::Whole, Keeps::Lossy("pictures smaller, as JPEG"), Keeps::Whole),
    attachment("name", Keeps::Whole, Keeps::Lossy("where there are no other words"), Keeps::Whole),
    attachment("of", ON_PHOTO, DATA, ONE_NAME),
    attachment("orientation", Keeps::Lossy("pictures stand upright"), Keeps::Lossy("pictures stand upright"), IN_FILE),
    attachment("position", UNTOLD, DATA, CENTIMETRE),
    attachment("problem", UNTOLD, Keeps::Lossy("as the reason why it is not shown"), UNTOLD),
    attachment("role", ON_PHOTO, DATA, ONE_NAME),
    attachment("width", ON_PHOTO, DATA, IN_FILE),
    record("Collection", Keeps::Lossy("names, descriptions, what is inside what"), Keeps::Lossy("names"), Keeps::Lossy("names")),
    record("Person", Keeps::Lossy("names, other names, birth"), Keeps::Lossy("names"), Keeps::Lossy("names")),
    record(
        "Place",
        Keeps::Lossy("names, where they are"),
        Keeps::Lossy("names, localities and countries"),
        Keeps::Lossy("names, localities, areas and countries"),
    ),
    record("Tag", Keeps::Lossy("names"), Keeps::Lossy("names"), Keeps::Lossy("names")),
    record("Consent", Keeps::Absent("not about memories"), Keeps::Absent("not about memories"), Keeps::Absent("not about memories")),
    record("Insight", Keeps::Absent("computed, not told"), Keeps::Absent("computed, not told"), Keeps::Absent("computed, not told")),
    record("Owner", Keeps::Lossy("the name"), Keeps::Lossy("the name"), UNTOLD),
    Row { field: ("Change", ""), keeps: [Keeps::Absent("the history is in backups"); 8] },
];

/// The matrix as a table of Markdown.
pub fn table() -> String {
    let mut out = format!("| field | {} |\n|{}\n", FORMATS.join(" | "), " --- |".repeat(FORMATS.len() + 1));
    for Row { field: (record, name), keeps } in MATRIX {
        let field = if name.is_empty() { format!("{record}, all fields") } else { format!("{record} `{name}`") };
        let cells = keeps.map(|keeps| match keeps {
            Keeps::Whole => "whole".to_owned(),
            Keeps::Lossy(what) => format!("in part: {what}"),
            Keeps::Absent(why) => format!("no: {why}"),
        });
        out.push_str(&format!("| {field} | {} |\n", cells.join(" | ")));
    }
    out
}
