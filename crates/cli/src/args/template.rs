//! `template`.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Subcommand)]
pub enum Template {
    /// The templates that come with the program, and your own
    List,
    /// A template's files, and an example of the data that it gets
    Show {
        /// Its name
        name: String,
    },
    /// Make a template of your own out of another one: a folder in the home's `templates`, to be changed
    New {
        /// What to call it: letters from a to z, digits, `_` and `-`
        name: String,
        /// Which one to begin with
        #[arg(long, value_name = "NAME", default_value = "journal")]
        from: String,
    },
    /// Try a template on made-up memories, and say what is wrong with it, by file and line
    Check {
        /// Its name
        name: String,
        /// A folder of fonts, beside those that come with the program; the system's unless told
        #[arg(long, value_name = "FOLDER")]
        fonts: Vec<PathBuf>,
    },
    /// Remove a template of your own
    Delete {
        /// Its name
        name: String,
    },
}
