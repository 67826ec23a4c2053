//! Importers: from the files of other programs to drafts of memories.

mod csv_file;
mod day_one;
mod draft;
mod evernote;
mod exif;
mod front_matter;
mod html;
mod input;
mod joined;
mod joplin;
mod journey;
mod keep;
mod markdown;
mod markup;
mod mastodon;
mod media_type;
mod memos;
mod ndjson;
mod notion;
mod photos;
mod plain;
mod quicktime;
mod roam;
mod spans;
mod takeout;
mod textbundle;
mod xmp;

pub use draft::{CollectionDetail, CollectionDraft, Draft, DraftFile, Problem};
pub use front_matter::FieldMap;
pub use input::{Input, InputFile};
pub use joined::Joined;
pub(crate) use media_type::ending_of;
pub use media_type::media_type;

use keepsake_record::{Timestamp, Zone};

/// What an import reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Our own bundle; read by the caller, since it needs no drafts.
    Bundle,
    /// Day One's JSON export.
    DayOne,
    /// Evernote's exports of notebooks, ENEX.
    Evernote,
    /// Joplin's own export, JEX or RAW.
    Joplin,
    /// Google Keep's notes, as Google Takeout hands them out.
    Keep,
    /// Google Photos, as Google Takeout hands them out.
    TakeoutPhotos,
    /// The archive of a Mastodon account.
    Mastodon,
    /// Notion's export, HTML or Markdown and CSV.
    Notion,
    /// Journey's export.
    Journey,
    /// The SQLite database of Memos.
    Memos,
    /// Roam Research's JSON export.
    Roam,
    /// TextBundles: of Bear, Ulysses and others.
    TextBundle,
    /// A folder of Markdown with front matter.
    Markdown,
    /// A folder of plain text and HTML.
    Plain,
    /// A folder of photos, audio and video.
    Media,
    /// One JSON object a line, with a field map.
    Ndjson,
    /// A table with a header line, with a field map.
    Csv,
}

impl Format {
    /// Every format with its name on the command line.
    pub const ALL: [(&'static str, Self); 17] = [
        ("bundle", Self::Bundle),
        ("dayone", Self::DayOne),
        ("evernote", Self::Evernote),
        ("joplin", Self::Joplin),
        ("keep", Self::Keep),
        ("takeout-photos", Self::TakeoutPhotos),
        ("mastodon", Self::Mastodon),
        ("notion", Self::Notion),
        ("journey", Self::Journey),
        ("memos", Self::Memos),
        ("roam", Self::Roam),
        ("textbundle", Self::TextBundle),
        ("markdown", Self::Markdown),
        ("plain", Self::Plain),
        ("media", Self::Media),
        ("ndjson", Self::Ndjson),
        ("csv", Self::Csv),
    ];

    /// The format of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(word, _)| *word == name).map(|(_, format)| *format)
    }

    /// The name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, format)| *format == self).map_or("", |(word, _)| word)
    }

    /// Whether an export in this format comes in several archives that are one tree.
    pub fn is_of_several(self) -> bool {
        matches!(self, Self::Keep | Self::TakeoutPhotos)
    }

    /// Whether items have ids that no other account's have, so that what an input is called tells nothing apart.
    pub fn has_ids(self) -> bool {
        !matches!(self, Self::Bundle | Self::Markdown | Self::Plain | Self::Ndjson | Self::Csv)
    }
}

/// How to read.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// The instant of the import: the age of items that say nothing of theirs.
    pub now: Timestamp,
    /// The zone of times that name none.
    pub zone: Option<Zone>,
    /// Which fields mean what, for NDJSON and CSV.
    pub map: FieldMap,
    /// Which account or folder it is, when several are imported with the same ids.
    pub account: String,
}

/// Why an input cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// What is there is not what it should be.
    #[error("{origin}: {problem}")]
    Malformed {
        /// File, and line where there is one.
        origin: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The taker of the drafts has enough.
    #[error("stopped as asked")]
    Stopped,
}

impl ReadError {
    pub(crate) fn malformed(origin: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Malformed { origin: origin.into(), problem: problem.into() }
    }
}

/// Takes drafts and problems as they are read.
pub trait Sink {
    /// One item.
    ///
    /// # Errors
    /// [`ReadError::Stopped`] ends the reading.
    fn draft(&mut self, draft: Draft) -> Result<(), ReadError>;
    /// What the source says of a collection itself, before the first item that is in it.
    fn about(&mut self, detail: CollectionDetail);
    /// Something that was left out, or is not as it should be.
    fn problem(&mut self, problem: Problem);
    /// A file that is no memory and belongs to none, with what it is.
    fn passed_over(&mut self, path: &str, what: &str);
}

/// What our own export of media has, whatever lies beside the files.
const MEDIA_LIST: &str = "data/media.csv";

/// Finds out what an input is.
///
/// # Errors
/// It is none of the formats; the message says which there are.
pub fn detect(input: &Input) -> Result<Format, ReadError> {
    let files = input.files()?;
    let named = |name: &str| files.iter().any(|f| f.path == name || f.path.ends_with(&format!("/{name}")));
    // What programs keep for themselves (`.trash/`, `.obsidian/`) does not say what a folder is.
    let visible: Vec<&InputFile> = files.iter().filter(|f| !f.path.split('/').any(|part| part.starts_with('.'))).collect();
    let ending = |endings: &[&str]| visible.iter().filter(|f| endings.contains(&f.ending().as_str())).count();
    if named("keepsake.json") {
        return Ok(Format::Bundle);
    }
    if files.iter().any(|f| f.path == MEDIA_LIST || f.path.ends_with(&format!("/{MEDIA_LIST}"))) && named("bagit.txt") {
        return Ok(Format::Media);
    }
    if memos::is_one(input) {
        return Ok(Format::Memos);
    }
    // What lies beside a database that was named is nothing that was named.
    let is_other_database = matches!(input, Input::Database(place) if place.is_alone());
    if is_other_database || visible.iter().any(|f| f.depth() <= 1 && f.name().starts_with("memos_") && f.ending() == "db") {
        let problem = "holds a database that is not Memos', or not alone: unpack what is packed, and name Memos' database, memos_prod.db, \
                       itself; if it is something else, name its format with --format";
        return Err(ReadError::malformed(input.describe(), problem));
    }
    if named(mastodon::OUTBOX) && (named("actor.json") || input.is_single_file()) {
        return Ok(Format::Mastodon);
    }
    if textbundle::is_one(&visible) {
        return Ok(Format::TextBundle);
    }
    if takeout::is_one(input, &visible) {
        return Ok(Format::TakeoutPhotos);
    }
    if evernote::is_one(input, &visible)? {
        return Ok(Format::Evernote);
    }
    if keep::is_one(input, &visible)? {
        return Ok(Format::Keep);
    }
    if journey::is_one(input, &visible)? {
        return Ok(Format::Journey);
    }
    if roam::is_one(input, &visible)? {
        return Ok(Format::Roam);
    }
    if files.iter().any(|f| f.ending() == "json" && f.depth() == 0) && input.peek_has("\"entries\"", &["json"])? {
        return Ok(Format::DayOne);
    }
    if joplin::is_one(input, &visible)? {
        return Ok(Format::Joplin);
    }
    if notion::is_one(&visible) {
        return Ok(Format::Notion);
    }
    if input.is_single_file() {
        match files.first().map(InputFile::ending).as_deref() {
            Some("ndjson" | "jsonl") => return Ok(Format::Ndjson),
            Some("csv" | "tsv") => return Ok(Format::Csv),
            Some("md" | "markdown") => return Ok(Format::Markdown),
            Some("txt" | "html" | "htm") => return Ok(Format::Plain),
            _ => {}
        }
    }
    let (notes, media) = (ending(&["md", "markdown"]), visible.iter().filter(|f| media_type::is_media(&f.path)).count());
    let texts = visible.iter().filter(|f| plain::is_text(&f.path)).count();
    let others = visible.len() - notes - media;
    if notes > 0 && notes * 4 >= media && notes * 2 >= others {
        return Ok(Format::Markdown);
    }
    if media > 0 && media * 2 >= others {
        return Ok(Format::Media);
    }
    // Texts are asked for last, so that no folder is something else because of them. Those beside notes are read with the notes.
    let others = others - texts;
    if notes > 0 && notes * 4 >= media && notes * 2 >= others {
        return Ok(Format::Markdown);
    }
    for file in files.iter().filter(|f| f.ending() == "json" && f.depth() == 0) {
        if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&input.whole(&file.path)?) {
            return Err(ReadError::malformed(format!("{}:{}", file.path, error.line()), format!("is not JSON: {error}")));
        }
    }
    // Bags are our own exports, of which only JSON and Markdown are read back.
    if texts > 0 && texts * 2 >= others && !named("bagit.txt") {
        return Ok(Format::Plain);
    }
    let names = Format::ALL.map(|(name, _)| name).join(", ");
    Err(ReadError::malformed(input.describe(), format!("is in no format that Keepsake knows: name it with --format ({names})")))
}

/// Reads an input in a format other than [`Format::Bundle`].
///
/// # Errors
/// The input as a whole cannot be read. What is wrong with single items goes to the sink.
pub fn read(format: Format, input: &Input, options: &ReadOptions, sink: &mut dyn Sink) -> Result<(), ReadError> {
    for (path, what) in input.left_out()? {
        sink.passed_over(&path, what);
    }
    match format {
        Format::DayOne => day_one::read(input, options, sink),
        Format::Evernote => evernote::read(input, options, sink),
        Format::Joplin => joplin::read(input, options, sink),
        Format::Keep => keep::read(input, options, sink),
        Format::TakeoutPhotos => takeout::read(input, options, sink),
        Format::Mastodon => mastodon::read(input, options, sink),
        Format::Notion => notion::read(input, options, sink),
        Format::Journey => journey::read(input, options, sink),
        Format::Memos => memos::read(input, options, sink),
        Format::Roam => roam::read(input, options, sink),
        Format::TextBundle => textbundle::read(input, options, sink),
        Format::Markdown => markdown::read(input, options, sink),
        Format::Plain => plain::read(input, options, sink),
        Format::Media => photos::read(input, options, sink),
        Format::Ndjson => ndjson::read(input, options, sink),
        Format::Csv => csv_file::read(input, options, sink),
        Format::Bundle => Err(ReadError::malformed(input.describe(), "a bundle is restored, not read item by item")),
    }
}
