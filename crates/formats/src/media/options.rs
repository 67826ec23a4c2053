//! How media are asked for.

use std::fmt;

use super::PictureFormat;

/// By what files stand in folders.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Layout {
    /// By year and month.
    #[default]
    Date,
    /// By collection: in the folder of each that the memory is in.
    Collection,
    /// By person: in the folder of each who is in the memory.
    Person,
}

impl Layout {
    /// The folder of what belongs into none.
    pub(super) fn nowhere(self) -> &'static str {
        match self {
            Self::Date => "Without a day",
            Self::Collection => "In no collection",
            Self::Person => "Without people",
        }
    }
}

/// What becomes of files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MediaOptions {
    /// By what they stand in folders.
    pub layout: Layout,
    /// Whether what is told goes into them, where they can hold it.
    pub embed: bool,
    /// What pictures become.
    pub convert: Option<PictureFormat>,
    /// No picture and no film is to be larger, in pixels.
    pub side_max: Option<u32>,
}

impl fmt::Display for MediaOptions {
    /// As an export notes what was asked for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = match self.layout {
            Layout::Date => "date",
            Layout::Collection => "collection",
            Layout::Person => "person",
        };
        write!(f, "media by {by}")?;
        if self.embed {
            f.write_str(", told inside")?;
        }
        self.convert.iter().try_for_each(|format| write!(f, ", as {}", format.ending()))?;
        self.side_max.iter().try_for_each(|side| write!(f, ", at most {side} pixels"))
    }
}
