//! `memory` and `collection`.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Subcommand)]
pub enum Memory {
    /// Write a memory
    Add {
        /// Its words; `-` reads them from standard input
        #[arg(long)]
        text: Option<String>,
        /// Its title
        #[arg(long)]
        title: Option<String>,
        /// When it happened: 2024-03-17, 2024-03-17T10:00, an instant with Z, or EDTF such as 1978-06~
        #[arg(long)]
        date: Option<String>,
        /// The zone of the date, such as Europe/Lisbon
        #[arg(long)]
        zone: Option<String>,
        /// A tag; may be repeated
        #[arg(long = "tag", value_name = "TAG")]
        tags: Vec<String>,
        /// A file to keep with it; may be repeated
        #[arg(long, value_name = "FILE")]
        attach: Vec<PathBuf>,
        /// The collection to put it into
        #[arg(long, value_name = "NAME")]
        collection: Option<String>,
    },
    /// Change a memory; the old version stays in its history
    Edit {
        /// Its id, or the beginning of it
        id: String,
        /// New words
        #[arg(long)]
        text: Option<String>,
        /// New title; empty removes it
        #[arg(long)]
        title: Option<String>,
        /// New date
        #[arg(long)]
        date: Option<String>,
        /// A tag to add; may be repeated
        #[arg(long = "tag", value_name = "TAG")]
        tags: Vec<String>,
        /// A tag to remove; may be repeated
        #[arg(long = "untag", value_name = "TAG")]
        untag: Vec<String>,
        /// A file to keep with it; may be repeated
        #[arg(long, value_name = "FILE")]
        attach: Vec<PathBuf>,
    },
    /// Show one memory whole
    Show {
        /// Its id, or the beginning of it
        id: String,
    },
    /// List memories, oldest first
    List {
        /// Only those in the trash
        #[arg(long)]
        trash: bool,
        /// Only from this day on
        #[arg(long, value_name = "DAY")]
        from: Option<String>,
        /// Only to this day
        #[arg(long, value_name = "DAY")]
        to: Option<String>,
        /// At most so many
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
    },
    /// Find memories that have all of these words
    Search {
        /// The words
        #[arg(required = true)]
        words: Vec<String>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: u32,
    },
    /// What happened to a memory, and what it said before
    History {
        /// Its id, or the beginning of it
        id: String,
    },
    /// Make a memory again what it was before a change
    Revert {
        /// Its id, or the beginning of it
        id: String,
        /// The number of the change, as `memory history` shows it
        change: u64,
    },
    /// Put a memory into the trash
    Delete {
        /// Its id, or the beginning of it
        id: String,
    },
    /// Take a memory out of the trash
    Undelete {
        /// Its id, or the beginning of it
        id: String,
    },
}

#[derive(Subcommand)]
pub enum Collection {
    /// Make a collection
    Add {
        /// Its name
        name: String,
    },
    /// All collections
    List,
    /// Put a memory into a collection
    Put {
        /// The collection's name or id
        collection: String,
        /// The memory's id, or the beginning of it
        memory: String,
    },
    /// Take a memory out of a collection
    Take {
        /// The collection's name or id
        collection: String,
        /// The memory's id, or the beginning of it
        memory: String,
    },
}
