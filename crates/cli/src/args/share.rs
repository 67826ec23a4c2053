//! `export share`, `fetch`, and where exports go and who can open them.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use keepsake_custody::Expiry;

/// Where an export goes, and who can open it.
#[derive(ClapArgs)]
pub struct Whither {
    /// To a destination: --out is then only a name, such as memories.zip, and stands in its exports/
    #[arg(long, value_name = "NAME")]
    pub destination: Option<String>,
    /// Encrypt it to this public key of age (age1…); may be repeated. --out ends in .age then
    #[arg(long, value_name = "KEY")]
    pub encrypt_to: Vec<String>,
    /// Encrypt it to the public keys in this file, one a line; may be repeated
    #[arg(long, value_name = "FILE")]
    pub encrypt_to_file: Vec<PathBuf>,
    /// Encrypt it with a passphrase (asked for, or in --passphrase-file). --out ends in .age then
    #[arg(long, conflicts_with_all = ["encrypt_to", "encrypt_to_file"])]
    pub encrypt: bool,
    /// The file with the passphrase
    #[arg(long, value_name = "FILE", requires = "encrypt")]
    pub passphrase_file: Option<PathBuf>,
}

impl Whither {
    /// Whether an export is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.encrypt || !self.encrypt_to.is_empty() || !self.encrypt_to_file.is_empty()
    }
}

#[derive(ClapArgs)]
pub struct Share {
    /// The export: its id, or the beginning of it
    pub id: String,
    /// When it ends: 12h, 7d, 2w, 2027-01-01 (when that day begins, UTC), an instant, or never; 7d unless told
    #[arg(long, value_name = "WHEN")]
    pub expires: Option<Expiry>,
    /// How often each file may be had; one that was cut off counts
    #[arg(long, value_name = "NUMBER")]
    pub downloads: Option<u32>,
    /// Who has the link needs a passphrase, too (asked for)
    #[arg(long)]
    pub passphrase: bool,
    /// The file with the passphrase
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// What you want to remember of it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub note: String,
    /// What the link begins with, such as https://example.org/keepsake; `share.url` of the settings unless told
    #[arg(long, value_name = "URL")]
    pub base_url: Option<String>,
    /// Also an export that was not made with --for-sharing: it may tell places, devices and what is sensitive
    #[arg(long)]
    pub private_too: bool,
}

#[derive(ClapArgs)]
pub struct Fetch {
    /// The folder to put the files into
    #[arg(long, value_name = "FOLDER")]
    pub to: PathBuf,
    /// The file with the link; asked for unless told
    #[arg(long, value_name = "FILE")]
    pub link_file: Option<PathBuf>,
    /// The file with the passphrase; asked for where one is needed
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}
