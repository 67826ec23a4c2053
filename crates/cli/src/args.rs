//! The command line.

mod destination;
mod export;
mod memory;
mod share;
mod snapshot;
mod template;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

pub use self::{
    destination::{Add, Bucket, Destination},
    export::{Convert, Dialect, Export, ExportFormat, ExportVerb, Fetch, Layout, Media, Paper, Share, Whither},
    memory::{Collection, Memory},
    snapshot::{Forget, From, Prune, Repair, Rewrite, Snapshot, Verify},
    template::Template,
};

/// Keeps people's memories safe for life.
///
/// Journal entries, notes, photos, audio and video: taken in from other programs, backed up encrypted and deduplicated,
/// verified, brought back, and handed out in formats that outlive any program.
#[derive(Parser)]
#[command(name = "keepsake", version, max_term_width = 100, propagate_version = true, disable_help_subcommand = true)]
pub struct Args {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(ClapArgs, Clone)]
pub struct Global {
    /// The folder of this installation [default: the platform's data folder]
    #[arg(long, global = true, env = "KEEPSAKE_HOME", value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// Whose memories; needed only when there are several owners
    #[arg(long, global = true, value_name = "NAME")]
    pub owner: Option<String>,
    /// One JSON object a line on stdout, for programs
    #[arg(long, global = true)]
    pub json: bool,
    /// Ask nothing, go ahead
    #[arg(long, short = 'y', global = true)]
    pub yes: bool,
    /// Say nothing but errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Name each problem as it is met
    #[arg(long, short, global = true)]
    pub verbose: bool,
}

#[derive(Subcommand)]
pub enum Command {
    /// Make a home: vault, keys, recovery kit, system repository
    Init(Init),
    /// See everything work in a minute, with made-up memories
    Demo(Demo),
    /// Look whether all is well, and what to do if not
    Doctor,
    /// Settings and where each comes from
    #[command(subcommand)]
    Config(Config),
    /// Whose memories are kept here
    #[command(subcommand)]
    Owner(Owner),
    /// Write, find, change and remove memories
    #[command(subcommand)]
    Memory(Memory),
    /// Albums, notebooks, journals
    #[command(subcommand)]
    Collection(Collection),
    /// Take in what other programs exported, or a bundle
    Import(Import),
    /// Hand everything out in a format that outlives any program
    Export(Box<Export>),
    /// How exports with `--template` look: those that come with the program, and your own
    #[command(subcommand)]
    Template(Template),
    /// Back up the vault, or any folder
    Backup(Backup),
    /// Look at snapshots
    #[command(subcommand)]
    Snapshot(Snapshot),
    /// Check that backups can be trusted
    Verify(Verify),
    /// Save what can be read of damaged packs, so that the next backup can heal the rest
    Repair(Repair),
    /// Give back the space of what no snapshot needs any more
    Prune(Prune),
    /// Bring back a snapshot, to a folder or into the vault
    Restore(Restore),
    /// The backup repository
    #[command(subcommand)]
    Repository(Repository),
    /// Where backups are kept: several places hold the same
    #[command(subcommand)]
    Destination(Destination),
    /// Passwords and the recovery kit
    #[command(subcommand)]
    Key(Key),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write one for every command into a folder
    Man {
        /// The folder
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

#[derive(ClapArgs)]
pub struct Init {
    /// The name of the first owner
    #[arg(long, value_name = "NAME", default_value = "me")]
    pub name: String,
}

#[derive(ClapArgs)]
pub struct Demo {
    /// Where to make the homes of the demonstration [default: a new folder in the temporary folder]
    #[arg(long, value_name = "DIR")]
    pub at: Option<PathBuf>,
    /// How many memories to make up
    #[arg(long, default_value_t = 1000)]
    pub memories: u32,
}

#[derive(Subcommand)]
pub enum Config {
    /// Every setting with its value and origin
    Show,
    /// Whether the settings can be read
    Check,
}

#[derive(Subcommand)]
pub enum Owner {
    /// Add an owner, with a journal and a repository of their own
    Add {
        /// Their name
        name: String,
    },
    /// All owners
    List,
}

#[derive(ClapArgs)]
pub struct Import {
    /// A file, folder or archive (ZIP, TAR); all archives of a Google Takeout at once, or the folder that they lie in
    #[arg(required = true, value_name = "PATH")]
    pub path: Vec<PathBuf>,
    /// auto, bundle, dayone, evernote, joplin, keep, takeout-photos, journey, mastodon, memos, notion, roam, textbundle, markdown, plain, media, ndjson or csv
    #[arg(long, default_value = "auto")]
    pub format: String,
    /// Which fields mean what, for ndjson and csv: id=ID,date=DATE,text=TEXT,title=…,tags=…,collection=…
    #[arg(long, default_value = "", value_name = "MAP")]
    pub map: String,
    /// The zone of times that name none, such as Europe/Lisbon
    #[arg(long)]
    pub zone: Option<String>,
    /// Tells apart several sources of the same program
    #[arg(long, default_value = "", value_name = "NAME")]
    pub account: String,
    /// Leave memories whose source changed as they are
    #[arg(long)]
    pub keep_existing: bool,
    /// Take the source's version even of memories that were edited here
    #[arg(long)]
    pub replace_edited: bool,
    /// Bring back what was deleted here
    #[arg(long)]
    pub bring_back: bool,
    /// Of files that end in .age: the file with the key that they were encrypted to
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase_file")]
    pub identity: Option<PathBuf>,
    /// Of files that end in .age: the file with the passphrase
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Only tell what would happen
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Kind {
    /// What changed since the last snapshot
    Incremental,
    /// Read and hash everything again
    Full,
    /// What changed since the last full snapshot
    Differential,
}

#[derive(ClapArgs)]
pub struct Backup {
    /// Which backup
    #[arg(long, value_enum, default_value_t = Kind::Incremental)]
    pub kind: Kind,
    /// Back up this folder instead of the vault
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
}

#[derive(ClapArgs)]
pub struct Restore {
    /// The snapshot: its id or the beginning of it, or `latest`
    #[arg(default_value = "latest")]
    pub snapshot: String,
    /// Write it into this folder
    #[arg(long, value_name = "DIR", conflicts_with = "into_vault", required_unless_present = "into_vault")]
    pub to: Option<PathBuf>,
    /// Bring its memories back into the vault
    #[arg(long)]
    pub into_vault: bool,
    /// Only what is at or below this path; may be repeated
    #[arg(long, value_name = "PATH", conflicts_with = "into_vault")]
    pub path: Vec<String>,
    /// Replace files that are there
    #[arg(long, conflicts_with = "into_vault")]
    pub overwrite: bool,
    /// Where a memory is in the vault in another version, take the snapshot's
    #[arg(long, requires = "into_vault")]
    pub replace: bool,
    /// Bring back what was deleted here
    #[arg(long, requires = "into_vault")]
    pub bring_back: bool,
    /// Only tell what would happen
    #[arg(long)]
    pub dry_run: bool,
    /// Only ask for what a cloud has archived, and end; run the same again hours later
    #[arg(long)]
    pub no_wait: bool,
    /// Have what a cloud has archived sooner, for more money
    #[arg(long)]
    pub urgent: bool,
    #[command(flatten)]
    pub from: From,
}

#[derive(Subcommand)]
pub enum Repository {
    /// Where it is and how stock restic reaches it
    Show {
        /// The instance's own repository instead of the owner's
        #[arg(long)]
        system: bool,
    },
}

#[derive(Subcommand)]
pub enum Key {
    /// Show the repository's password, for use with stock restic; audited
    Reveal {
        /// The instance's own repository instead of the owner's
        #[arg(long)]
        system: bool,
    },
    /// The passwords that open the repository: whose, and since when
    List {
        /// The instance's own repository instead of the owner's
        #[arg(long)]
        system: bool,
    },
    /// Make a password of your own open the repository, too (asked for, or in --password-file)
    Add {
        /// Whose it is
        name: String,
        /// The file with the password
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// The instance's own repository instead of the owner's
        #[arg(long)]
        system: bool,
    },
    /// Make a password useless
    Remove {
        /// The key's id or the beginning of it
        key: String,
        /// The instance's own repository instead of the owner's
        #[arg(long)]
        system: bool,
    },
    /// Replace the home's own password; the old one opens nothing any more
    Rewrap {
        /// The instance's own repository instead of the owner's
        #[arg(long)]
        system: bool,
    },
    /// Seal everything anew under another master key; the old one opens nothing any more. Backups may go on meanwhile
    ReEncrypt {
        /// The instance's own repository instead of the owner's
        #[arg(long)]
        system: bool,
    },
    /// About the recovery kit, or use one
    Kit {
        /// Open the recovery file at this place with the words of a kit (asked for, or in KEEPSAKE_KIT_FILE) and show the password
        #[arg(long, value_name = "PLACE")]
        open: Option<PathBuf>,
    },
}
