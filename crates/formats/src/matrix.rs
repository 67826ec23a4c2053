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
pub const FORMATS: [&str; 5] = ["json", "csv", "xml", "markdown", "pdf"];

/// A field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The record it belongs to, as the schema calls it, and its name; without a name, all fields of that record.
    pub field: (&'static str, &'static str),
    /// What each format keeps of it.
    pub keeps: [Keeps; 5],
}

const DATA: Keeps = Keeps::Absent("only with `--with-data`, as data in the file");
const BESIDE: Keeps = Keeps::Lossy("as JSON in `about/`");

const fn whole_but_in_books(record: &'static str, name: &'static str, pdf: Keeps) -> Row {
    Row { field: (record, name), keeps: [Keeps::Whole, Keeps::Whole, Keeps::Whole, Keeps::Whole, pdf] }
}

const fn memory(name: &'static str, pdf: Keeps) -> Row {
    whole_but_in_books("Memory", name, pdf)
}

const fn attachment(name: &'static str, pdf: Keeps) -> Row {
    whole_but_in_books("Attachment", name, pdf)
}

const fn record(name: &'static str, pdf: Keeps) -> Row {
    Row { field: (name, ""), keeps: [Keeps::Whole, Keeps::Whole, Keeps::Whole, BESIDE, pdf] }
}

/// All fields.
pub const MATRIX: &[Row] = &[
    memory("attachments", Keeps::Lossy("pictures are shown smaller, others named")),
    memory("collections", Keeps::Lossy("by name")),
    memory("created", DATA),
    memory("custom", DATA),
    memory("id", DATA),
    memory("kind", DATA),
    memory("language", Keeps::Lossy("as the language of its text")),
    memory("modified", DATA),
    memory("people", Keeps::Lossy("by name")),
    memory("place", Keeps::Lossy("by name, locality and country")),
    memory("position", DATA),
    memory("provenance", DATA),
    memory("sensitivity", DATA),
    memory("source", DATA),
    memory("starred", DATA),
    memory("tags", Keeps::Whole),
    Row {
        field: ("Memory", "text"),
        keeps: [
            Keeps::Whole,
            Keeps::Whole,
            Keeps::Whole,
            Keeps::Lossy("links to attachments lead to the files"),
            Keeps::Lossy("set as what its Markdown means; characters that no font has as `[U+XXXX]`"),
        ],
    },
    memory("title", Keeps::Whole),
    memory("visibility", DATA),
    memory("when", Keeps::Lossy("an instant to the minute, with its zone")),
    attachment("alt", Keeps::Lossy("for those who cannot see it")),
    attachment("camera", DATA),
    attachment("caption", Keeps::Whole),
    attachment("captured", DATA),
    attachment("custom", DATA),
    attachment("expected", DATA),
    attachment("height", DATA),
    attachment("key", DATA),
    attachment("mediaType", DATA),
    attachment("medium", Keeps::Lossy("pictures smaller, as JPEG")),
    attachment("name", Keeps::Lossy("where there are no other words")),
    attachment("of", DATA),
    attachment("orientation", Keeps::Lossy("pictures stand upright")),
    attachment("position", DATA),
    attachment("problem", Keeps::Lossy("as the reason why it is not shown")),
    attachment("role", DATA),
    attachment("width", DATA),
    record("Collection", Keeps::Lossy("names")),
    record("Person", Keeps::Lossy("names")),
    record("Place", Keeps::Lossy("names, localities and countries")),
    record("Tag", Keeps::Lossy("names")),
    record("Consent", Keeps::Absent("not about memories")),
    record("Insight", Keeps::Absent("computed, not told")),
    record("Owner", Keeps::Lossy("the name")),
    Row { field: ("Change", ""), keeps: [Keeps::Absent("the history is in backups"); 5] },
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
