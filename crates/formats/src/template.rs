//! Templates: memories as somebody wants them to look, written as HTML, Markdown, plain text or typst.
//!
//! A template is a [`Set`] of files with a [`Manifest`]. It sees the data that [`view`] makes of memories, and nothing else: no files but its own, no
//! environment, no clock, no network. [`Engine`] fills in templates of text; those of typst go to a [`Setter`], which whoever has a
//! typesetter hands in.

mod blocks;
pub mod built_in;
mod chains;
mod engine;
mod filters;
mod manifest;
mod outside;
pub mod sample;
pub mod view;

use std::{collections::BTreeMap, fmt, sync::Arc};

use keepsake_record::Timestamp;
use serde::Serialize;
use serde_json::Value;

pub use self::{
    engine::{Engine, OUTPUT_BYTES_MAX, STEPS_MAX},
    manifest::{FILE_BYTES_MAX, FILES_MAX, MANIFEST, Manifest, NAME_CHARS_MAX, SET_BYTES_MAX, is_name, is_path},
};
use crate::book::Printed;

/// What a template is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// HTML: every value is escaped.
    Html,
    /// Markdown.
    Markdown,
    /// Plain text.
    Text,
    /// typst: it becomes a PDF.
    Typst,
}

impl Kind {
    /// How the names of what is made of it end.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Markdown => "md",
            Self::Text => "txt",
            Self::Typst => "pdf",
        }
    }
}

/// What one file is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    /// All memories together.
    #[default]
    Export,
    /// Each memory by itself.
    Memory,
}

/// Which files of memories go with what is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Media {
    /// None: attachments are only told of.
    None,
    /// Photos as pictures: upright, scaled, without anything but the picture.
    Pictures,
    /// Originals, byte for byte.
    Originals,
    /// Both.
    Both,
}

impl Media {
    /// Whether photos are made into pictures.
    pub fn pictures(self) -> bool {
        matches!(self, Self::Pictures | Self::Both)
    }

    /// Whether originals go with it.
    pub fn originals(self) -> bool {
        matches!(self, Self::Originals | Self::Both)
    }
}

/// What a PDF promises.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standard {
    /// Nothing; it is tagged all the same.
    #[default]
    Plain,
    /// PDF/UA-1.
    Accessible,
    /// PDF/A-3a and PDF/UA-1.
    Archival,
}

/// A template with all its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// What it says of itself.
    pub manifest: Manifest,
    /// Its files by path, `template.toml` not among them.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// What is wrong with a template, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// The file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line, from 1 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// What.
    pub message: String,
}

impl Problem {
    /// One that has no place.
    pub fn new(message: impl Into<String>) -> Self {
        Self { file: None, line: None, message: message.into() }
    }

    /// One of a file.
    pub fn of(file: &str, message: impl Into<String>) -> Self {
        Self { file: Some(file.into()), ..Self::new(message) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, "{file}, line {line}: {}", self.message),
            (Some(file), None) => write!(f, "{file}: {}", self.message),
            (None, _) => f.write_str(&self.message),
        }
    }
}

/// What a typesetter is given to make one PDF.
#[derive(Debug, Clone)]
pub struct Sheet {
    /// The template.
    pub set: Arc<Set>,
    /// What it sees.
    pub data: Value,
    /// Pictures by the path that the data names them by.
    pub pictures: BTreeMap<String, Vec<u8>>,
    /// The instant that it shows: all dates in the file derive from it.
    pub date: Timestamp,
    /// Names the file for good: the same for the same content, options and program.
    pub ident: String,
}

/// Sets templates of typst. A program that can do it hands one in, so that nobody else carries a typesetter.
pub trait Setter: Send + Sync {
    /// Makes a PDF.
    ///
    /// # Errors
    /// What is wrong with the template, each with its place.
    fn set(&self, sheet: &Sheet) -> Result<Printed, Vec<Problem>>;
}
