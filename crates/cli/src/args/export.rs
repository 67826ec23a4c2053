//! `export`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use keepsake_custody::Filter;

pub use super::share::{Fetch, Share, Whither};
use crate::words;

#[derive(ClapArgs)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Export {
    #[command(subcommand)]
    pub verb: Option<ExportVerb>,
    /// The format: `json` is everything, for programs, and comes back; `html` are pages to look at; `csv` are tables; `xml` and `markdown` are for other programs; `media` are the files themselves, for photo programs; `pdf` and `epub` are books. Several, such as `json,html,epub`, show one state; bags of them are made of one read
    #[arg(long, value_enum, value_name = "FORMAT", value_delimiter = ',', default_value = "json")]
    pub format: Vec<ExportFormat>,
    /// Of each owner one; their names become part of what is made
    #[arg(long, conflicts_with_all = ["template", "owner"])]
    pub every_owner: bool,
    /// What to make: a folder, NAME.zip or NAME.tar.gz; of a book, NAME.pdf or NAME.epub; archives and books may also be a URL such as s3://BUCKET/NAME.zip. Of several formats, NAME.zip becomes NAME-json.zip, NAME-html.zip, NAME.epub
    #[arg(long, value_name = "PATH", required = true)]
    pub out: Option<PathBuf>,
    /// Instead of a format: fill in a template, such as `letter`, `photo-book`, `journal` or `legal`; `keepsake template list` tells which there are
    #[arg(long, value_name = "NAME", conflicts_with_all = ["format", "part_size", "for_sharing", "anew", "dialect", "paper", "with_data"])]
    pub template: Option<String>,
    #[command(flatten)]
    pub whither: Whither,
    /// Only some memories, such as `from:2024 tag:sea not visibility:private`
    ///
    /// Terms that stand beside each other all hold; `or`, `not` and parentheses do what they say.
    /// There are from: and to: (2024, 2024-03, 2024-03-17), kind:, visibility:, sensitivity:, tag:, collection:,
    /// person:, place:, near:LATITUDE,LONGITUDE,5km, text:, id:, undated and starred.
    #[arg(long, value_name = "FILTER")]
    pub filter: Option<Filter>,
    /// In parts of about this size, such as `4 GiB`, each of which is a bag; of JSON and XML
    #[arg(long, value_name = "SIZE", value_parser = words::parse_bytes)]
    pub part_size: Option<u64>,
    /// Only tell what it would hold
    #[arg(long)]
    pub dry_run: bool,
    /// For others: photos as copies with nothing but the picture, no positions, cameras, custom fields and sources, nothing that is marked as sensitive unless --filter names it
    #[arg(long)]
    pub for_sharing: bool,
    /// Begin again, even where the same export was begun and not ended
    #[arg(long)]
    pub anew: bool,
    #[command(flatten)]
    pub media: Media,
    /// Of tables: `spreadsheet` keeps programs from taking cells for formulas
    #[arg(long, value_enum)]
    pub dialect: Option<Dialect>,
    /// Of a book or a template: its title, instead of the owner's name
    #[arg(long)]
    pub title: Option<String>,
    /// Of a book: what it is printed on; A5 unless told
    #[arg(long, value_enum)]
    pub paper: Option<Paper>,
    /// Of a book or a template: the language of memories that name none, such as `en` or `zh-Hant`
    #[arg(long, value_name = "LANGUAGE")]
    pub language: Option<String>,
    /// Of a book: let each volume hold its memories as data, too
    #[arg(long)]
    pub with_data: bool,
    /// Of a book or a template: a folder of fonts, beside those that come with the program; the system's unless told
    #[arg(long, value_name = "FOLDER")]
    pub fonts: Vec<PathBuf>,
}

#[derive(ClapArgs)]
pub struct Media {
    /// Of media: by what files stand in folders; by date unless told
    #[arg(long, value_enum)]
    pub layout: Option<Layout>,
    /// Of media: put what is told of a photo into its copy (JPEG, PNG, WebP), instead of beside it
    #[arg(long)]
    pub embed: bool,
    /// Of media: make pictures of another kind; films become MP4 and recordings M4A, if FFmpeg is installed
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub convert: Option<Convert>,
    /// Of media: no picture and no film larger than so many pixels on its longer side
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(16..=30_000))]
    pub max_side: Option<u32>,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Layout {
    /// By year and month
    Date,
    /// By collection; a file that is in several stands in the folder of each
    Collection,
    /// By person; a file with several stands in the folder of each
    Person,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Convert {
    /// Small, without transparency
    Jpeg,
    /// Every pixel as it is
    Png,
    /// Every pixel as it is, smaller than PNG
    Webp,
    /// The smallest, if libheif's heif-enc or libavif's avifenc is installed
    Avif,
}

#[derive(Subcommand)]
pub enum ExportVerb {
    /// The exports that were made or begun
    List,
    /// One export, its files looked at byte by byte
    Show {
        /// Its id, or the beginning of it
        id: String,
    },
    /// Remove the files of an export and forget it; its links end with it
    Delete {
        /// Its id, or the beginning of it
        id: String,
    },
    /// Make a link to an export for others; it is shown once
    Share(Share),
    /// The links to exports: until when they are good, and how often they were used
    Shares {
        /// Only those of this export: its id, or the beginning of it
        id: Option<String>,
    },
    /// End a link at once
    Unshare {
        /// The share's id, or the beginning of it
        share: String,
    },
    /// Take the files that a link of this home leads to, as whoever has it would
    Fetch(Fetch),
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// The bundle as a BagIt bag: everything, and the way back
    Json,
    /// Tables as CSV with a data package, and the originals, as a BagIt bag
    Csv,
    /// XML with its schema, and the originals, as a BagIt bag
    Xml,
    /// Markdown, a file a memory, and the originals, as a BagIt bag
    Markdown,
    /// Pages for a browser, with a search, and the originals, as a BagIt bag: open data/index.html
    Html,
    /// The photos, films and recordings themselves with what is told of each, for photo programs, as a BagIt bag
    Media,
    /// A book on paper: PDF/A-3a and PDF/UA-1
    Pdf,
    /// A book for readers on screens: EPUB 3.3
    Epub,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Dialect {
    /// Cells as they are
    Faithful,
    /// A byte order mark, and an apostrophe before what looks like a formula
    Spreadsheet,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Paper {
    /// 148 × 210 mm
    A5,
    /// 210 × 297 mm
    A4,
    /// 8.5 × 11 inches
    Letter,
}
