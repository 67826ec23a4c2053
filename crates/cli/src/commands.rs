//! One module per verb: what custody answered becomes words, JSON and an exit code.

mod backup;
mod bucket;
mod demo;
mod destination;
mod doctor;
mod export;
mod exports;
mod filled;
mod home;
mod import;
mod keys;
mod memory;
mod repair;
mod restore;
mod rewriting;
mod rotation;
mod secrets;
mod shares;
mod snapshot;
mod template;
mod usage;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use clap::CommandFactory;
use keepsake_custody::{Custody, CustodyError, CustodyResult, MissedCopies, Password, Source, SystemClock};
use keepsake_record::Timestamp;
use serde_json::json;

use crate::{
    args::{Args, Command, From, Global},
    exit,
    output::Output,
    progress::Progress,
};

/// What every command has at hand.
pub struct Context {
    pub global: Global,
    pub output: Output,
    pub environment: BTreeMap<String, String>,
    /// Where the homes that were opened note which destinations lack something.
    missed: Mutex<Vec<MissedCopies>>,
}

impl Context {
    /// The folder of this installation.
    pub fn home(&self) -> CustodyResult<PathBuf> {
        if let Some(home) = &self.global.home {
            return Ok(home.clone());
        }
        let data = self.environment.get("XDG_DATA_HOME").filter(|d| !d.is_empty()).map(PathBuf::from);
        let data = data.or_else(|| self.environment.get("HOME").map(|home| PathBuf::from(home).join(".local/share")));
        data.map(|data| data.join("keepsake"))
            .ok_or_else(|| CustodyError::Usage("where is your home? Name it with --home or KEEPSAKE_HOME".into()))
    }

    /// Who is at the terminal, for the audit log.
    pub fn actor(&self) -> String {
        let user = ["USER", "LOGNAME"].iter().find_map(|name| self.environment.get(*name)).filter(|u| !u.is_empty());
        format!("cli:{}", user.map_or("unknown", String::as_str))
    }

    /// Whether there is a home at all.
    pub fn has_home(&self) -> bool {
        self.home().is_ok_and(|home| home.join("instance.key").exists())
    }

    pub async fn open(&self) -> CustodyResult<Custody> {
        let custody = Custody::open(&self.home()?, &self.environment, &self.actor(), Arc::new(SystemClock)).await?;
        self.missed.lock().expect("no holder panics").push(custody.missed_copies());
        Ok(custody)
    }

    pub async fn owner(&self, custody: &Custody) -> CustodyResult<keepsake_record::Owner> {
        custody.owner(self.global.owner.as_deref()).await
    }

    pub fn progress(&self) -> Arc<Progress> {
        Progress::new(self.output.clone(), self.global.quiet, self.global.verbose)
    }

    /// Which repository is meant, with its password if it is elsewhere.
    pub fn source(&self, from: &From) -> CustodyResult<Source> {
        let Some(location) = &from.from else { return Ok(Source::Home) };
        let password = match &from.password_file {
            Some(file) => std::fs::read_to_string(file).map_err(|source| CustodyError::Io { path: file.display().to_string(), source })?,
            None => self.environment.get("KEEPSAKE_REPOSITORY_PASSWORD").cloned().ok_or_else(|| {
                CustodyError::Usage(
                    "the repository's password is needed: name its file with --password-file, or set KEEPSAKE_REPOSITORY_PASSWORD".into(),
                )
            })?,
        };
        Ok(Source::Elsewhere { location: location.clone(), password: Password::new(password.trim_end_matches(['\r', '\n']).to_owned()) })
    }
}

/// Runs a command to its end; answers the exit code.
pub async fn run(args: Args) -> u8 {
    let context = Context {
        output: Output::new(args.global.json, args.global.quiet),
        environment: std::env::vars().collect(),
        global: args.global,
        missed: Mutex::default(),
    };
    match dispatch(&context, args.command).await {
        Ok(code) => {
            let homes = context.missed.lock().expect("no holder panics");
            let missed = homes.iter().flat_map(|home| home.lock().expect("no holder panics").clone()).collect();
            context.output.end(code, &missed)
        }
        Err(error) => {
            let code = exit::of(&error);
            context.output.error(exit::name(code), &error.to_string(), Some(code));
            code
        }
    }
}

async fn dispatch(context: &Context, command: Command) -> CustodyResult<u8> {
    match command {
        Command::Init(args) => home::init(context, &args).await,
        Command::Owner(args) => home::owner(context, &args).await,
        Command::Config(args) => home::config(context, &args),
        Command::Doctor => doctor::run(context).await,
        Command::Demo(args) => demo::run(context, &args).await,
        Command::Memory(args) => memory::run(context, args).await,
        Command::Collection(args) => memory::collection(context, &args).await,
        Command::Import(args) => import::run(context, &args).await,
        Command::Export(args) => export::run(context, &args).await,
        Command::Template(args) => template::run(context, &args).await,
        Command::Backup(args) => backup::run(context, &args).await,
        Command::Snapshot(args) => snapshot::run(context, &args).await,
        Command::Verify(args) => backup::verify(context, &args).await,
        Command::Repair(args) => repair::run(context, &args).await,
        Command::Prune(args) => rotation::prune(context, &args).await,
        Command::Restore(args) => restore::run(context, &args).await,
        Command::Repository(args) => keys::repository(context, &args).await,
        Command::Destination(args) => destination::run(context, args).await,
        Command::Key(args) => keys::run(context, &args).await,
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Args::command(), "keepsake", &mut std::io::stdout());
            Ok(exit::COMPLETE)
        }
        Command::Man { out } => man(context, out),
    }
}

fn man(context: &Context, out: Option<PathBuf>) -> CustodyResult<u8> {
    let failed = |path: String| move |source| CustodyError::Io { path, source };
    match out {
        Some(folder) => {
            std::fs::create_dir_all(&folder).map_err(failed(folder.display().to_string()))?;
            clap_mangen::generate_to(Args::command(), &folder).map_err(failed(folder.display().to_string()))?;
            context.output.say(format!("The manual pages are in {}.", folder.display()));
            context.output.summary(exit::COMPLETE, json!({ "out": folder.display().to_string() }));
        }
        None => clap_mangen::Man::new(Args::command()).render(&mut std::io::stdout()).map_err(failed("standard output".into()))?,
    }
    Ok(exit::COMPLETE)
}

/// The time.
#[expect(clippy::disallowed_methods, reason = "how old something is is told by the real clock")]
pub(crate) fn now() -> Timestamp {
    Timestamp::from_jiff(jiff::Timestamp::now()).unwrap_or_else(|_| Timestamp::from_micros(0).expect("1970 is in range"))
}
