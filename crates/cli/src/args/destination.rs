//! What `destination` takes.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

#[derive(Subcommand)]
pub enum Destination {
    /// Add a place for backups, after trying what it does
    ///
    /// The URL is one of file:FOLDER, s3://BUCKET[/PREFIX], gs://BUCKET[/PREFIX], az://ACCOUNT/CONTAINER[/PREFIX],
    /// sftp://[USER@]HOST[:PORT]/FOLDER (or /~/FOLDER) and webdav[s]://[USER@]HOST[:PORT]/FOLDER. It never holds a secret: keys come
    /// from KEEPSAKE__DESTINATIONS__NAME__ID and …__SECRET (or …__SECRET_FILE with the path of a file), from the section
    /// [destinations.NAME] of keepsake.toml, or from where the cloud's own tools find them.
    Add(Add),
    /// All places, and whether each has everything
    List,
    /// Try what a place really does
    Test {
        /// Its name
        name: String,
    },
    /// Forget a place; what is there stays
    Remove {
        /// Its name
        name: String,
    },
    /// Count what is at each place
    Usage,
    /// Show how a bucket is set up and what it keeps although it was deleted; change it
    Bucket(Bucket),
    /// Move packs that the rules say to cheaper classes of storage
    ///
    /// The rules are `tiers` in the section [destinations.NAME] of keepsake.toml, such as "Cool after 30 days, Archive after 180 days unread". Only packs
    /// of files move; a restore asks for what is archived, and waits for it.
    Tier {
        /// The place's name
        name: String,
        /// Only tell what would move
        #[arg(long)]
        dry_run: bool,
    },
    /// Make all places equal: copy what one lacks, heal what is damaged, remove what was deleted meanwhile
    Sync {
        /// Only tell what would be done
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(ClapArgs)]
pub struct Bucket {
    /// The place's name
    pub name: String,
    /// Whether what is replaced or deleted stays as an old version
    #[arg(long, value_name = "BOOL")]
    pub versioning: Option<bool>,
    /// Let the bucket itself remove old versions and unfinished uploads after so many days (replaces its rules)
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub clean_after: Option<u32>,
    /// Put a legal hold on everything of the owner there (true), or end it (false)
    #[arg(long, value_name = "BOOL")]
    pub hold: Option<bool>,
}

#[derive(ClapArgs)]
pub struct Add {
    /// What to call it
    pub name: String,
    /// Where it is
    pub url: String,
    /// The server's URL, where it is not the cloud's own
    #[arg(long, value_name = "URL")]
    pub endpoint: Option<String>,
    /// The region of an S3 bucket
    #[arg(long)]
    pub region: Option<String>,
    /// Whether the bucket stands in the path of URLs, not in the host's name [default: with --endpoint]
    #[arg(long, value_name = "BOOL")]
    pub path_style: Option<bool>,
    /// A file of certificates (PEM) to trust beside the system's
    #[arg(long, value_name = "FILE")]
    pub certificate: Option<PathBuf>,
    /// More arguments for ssh, such as "-i FILE"
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    pub ssh: Option<String>,
    /// Whether it is somewhere else than the live memories
    #[arg(long, value_name = "BOOL")]
    pub off_site: Option<bool>,
    /// Under whose law it stands, such as EU
    #[arg(long, value_name = "PLACE")]
    pub jurisdiction: Option<String>,
    /// Make the bucket or container if it is not there
    #[arg(long)]
    pub make: bool,
    /// Copy nothing yet
    #[arg(long)]
    pub no_sync: bool,
}
