//! `snapshot`, `verify` and `prune`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

/// Another repository than the home's own.
#[derive(ClapArgs, Clone)]
pub struct From {
    /// A repository elsewhere: another home's, or one that restic made. Its password comes from
    /// --password-file or KEEPSAKE_REPOSITORY_PASSWORD
    #[arg(long, value_name = "PLACE")]
    pub from: Option<PathBuf>,
    /// The file with that repository's password
    #[arg(long, value_name = "FILE", requires = "from")]
    pub password_file: Option<PathBuf>,
}

#[derive(Subcommand)]
pub enum Snapshot {
    /// All snapshots
    List {
        #[command(flatten)]
        from: From,
    },
    /// One snapshot
    Show {
        /// Its id or the beginning of it, or `latest`
        #[arg(default_value = "latest")]
        snapshot: String,
        #[command(flatten)]
        from: From,
    },
    /// The files in a snapshot
    Ls {
        /// Its id or the beginning of it, or `latest`
        #[arg(default_value = "latest")]
        snapshot: String,
        /// Only at and below this path
        #[arg(default_value = "")]
        path: String,
        #[command(flatten)]
        from: From,
    },
    /// Let go of old snapshots by the rotation in the settings, or by the rules given here
    Forget(Forget),
    /// Take deleted memories, or paths, out of all snapshots that exist already, and prove that they are gone
    Rewrite(Rewrite),
    /// Take a snapshot that another program made in this repository for one of yours
    Adopt {
        /// Its id or the beginning of it
        snapshot: String,
    },
    /// Keep a snapshot whatever the rotation says
    Pin {
        /// Its id or the beginning of it, or `latest`
        snapshot: String,
        /// Why it stays
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Leave a pinned snapshot to the rotation again
    Unpin {
        /// Its id or the beginning of it
        snapshot: String,
    },
    /// What differs between two snapshots
    Diff {
        /// The earlier one
        a: String,
        /// The later one
        #[arg(default_value = "latest")]
        b: String,
        #[command(flatten)]
        from: From,
    },
}

#[derive(ClapArgs)]
pub struct Verify {
    /// Read the packs too: all, or a share such as 10% or 1/12
    #[arg(long, value_name = "SHARE", num_args = 0..=1, default_missing_value = "100%", require_equals = true)]
    pub read_data: Option<String>,
    /// Only at this destination [default: at each of them]
    #[arg(long, value_name = "NAME", conflicts_with = "from")]
    pub destination: Option<String>,
    #[command(flatten)]
    pub from: From,
}

#[derive(ClapArgs)]
pub struct Forget {
    /// Keep the newest N
    #[arg(long, value_name = "N")]
    pub keep_last: Option<String>,
    /// Keep the newest of each of N hours that have one
    #[arg(long, value_name = "N")]
    pub keep_hourly: Option<String>,
    /// Keep the newest of each of N days that have one
    #[arg(long, value_name = "N")]
    pub keep_daily: Option<String>,
    /// Keep the newest of each of N weeks that have one
    #[arg(long, value_name = "N")]
    pub keep_weekly: Option<String>,
    /// Keep the newest of each of N months that have one
    #[arg(long, value_name = "N")]
    pub keep_monthly: Option<String>,
    /// Keep the newest of each of N years that have one (N may be `all` in every rule)
    #[arg(long, value_name = "N")]
    pub keep_yearly: Option<String>,
    /// Keep all that are at most so many hours older than the newest
    #[arg(long, value_name = "HOURS")]
    pub keep_within: Option<u32>,
    /// Keep all with this tag; may be repeated
    #[arg(long, value_name = "TAG")]
    pub keep_tag: Vec<String>,
    /// Give the space back at once
    #[arg(long)]
    pub prune: bool,
    /// Only tell what would happen
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(ClapArgs)]
pub struct Rewrite {
    /// A memory that was deleted: out of all snapshots of the vault, with its old versions, media and insights; may be repeated
    #[arg(long, value_name = "ID", conflicts_with = "without_path", required_unless_present = "without_path")]
    pub without_memory: Vec<String>,
    /// A path, with everything below it: out of all snapshots of folders; may be repeated
    #[arg(long, value_name = "PATH")]
    pub without_path: Vec<String>,
    /// Only tell what would happen
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(ClapArgs)]
pub struct Repair {
    /// The instance's own repository instead of the owner's
    #[arg(long)]
    pub system: bool,
    /// Only tell what is damaged
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(ClapArgs)]
pub struct Prune {
    /// How much of what nobody needs may stay beside what is needed, in percent; 0: nothing
    #[arg(long, value_name = "PERCENT", default_value = "5", value_parser = clap::value_parser!(u32).range(0..=100))]
    pub max_unused: u32,
    /// The instance's own repository instead of the owner's
    #[arg(long)]
    pub system: bool,
    /// Only tell what would happen
    #[arg(long)]
    pub dry_run: bool,
}
