//! A program at work: what it is started with, what it may take, and its end, with whatever it started itself.

use std::{
    ffi::{OsStr, OsString},
    fmt, fs, io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid},
};

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A program, and what it is asked.
pub(crate) struct Asked {
    pub name: &'static str,
    /// Where it is installed, the first first.
    places: Vec<PathBuf>,
    arguments: Vec<OsString>,
    /// Where it finds other programs.
    path: OsString,
}

impl Asked {
    pub fn new(name: &'static str, places: Vec<PathBuf>, path: OsString) -> Self {
        Self { name, places, arguments: Vec::new(), path }
    }

    pub fn arg(&mut self, argument: impl AsRef<OsStr>) -> &mut Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    pub fn args<A: AsRef<OsStr>>(&mut self, arguments: impl IntoIterator<Item = A>) -> &mut Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// It inherits nothing: passwords stand in the environment, and words that make programs write elsewhere.
    fn command(&self, place: &Path, folder: &Path) -> Command {
        let mut command = Command::new(place);
        command.args(&self.arguments).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.env_clear().env("PATH", &self.path).env("LANG", "C.UTF-8").env("LC_ALL", "C.UTF-8");
        // A group of its own, so that what it starts ends with it.
        command.env("HOME", folder).env("TMPDIR", folder).process_group(0);
        command
    }
}

/// What a program may take.
pub(super) struct Bounds<'b> {
    pub seconds: u32,
    /// The folder that it works in, and how much may stand there.
    pub folder: &'b Path,
    pub bytes: u64,
    /// Of memory, for each process.
    pub memory: u64,
    /// Whether somebody asked to stop.
    pub stopped: &'b dyn Fn() -> bool,
}

/// Why nothing came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    Unstarted(io::ErrorKind),
    Lost(io::ErrorKind),
    Late,
    /// It was late so often that it is not asked.
    TooOftenLate(u32),
    Stopped,
    TooMuch,
    GaveUp,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unstarted(kind) => write!(f, "cannot be started: {kind}"),
            Self::Lost(kind) => write!(f, "cannot be waited for: {kind}"),
            Self::Late => f.write_str("takes too long"),
            Self::TooOftenLate(often) => {
                write!(f, "took too long for {often} pictures in a row, and is not asked any more: a newer one may help")
            }
            Self::Stopped => f.write_str("was stopped"),
            Self::TooMuch => f.write_str("makes more of it than it may"),
            Self::GaveUp => f.write_str("gave it up"),
        }
    }
}

/// Runs a program to its end, and ends it where it takes too much or somebody asked to stop.
pub(super) fn run(asked: &Asked, bounds: &Bounds<'_>) -> Result<(), Failure> {
    if (bounds.stopped)() {
        return Err(Failure::Stopped);
    }
    let mut unstarted = io::ErrorKind::NotFound;
    for place in &asked.places {
        match asked.command(place, bounds.folder).spawn() {
            Ok(child) => {
                bind(&child, bounds);
                return ended(child, bounds);
            }
            // One that is not for this user hides none that is.
            Err(error) => unstarted = error.kind(),
        }
    }
    Err(Failure::Unstarted(unstarted))
}

/// Bounds that the kernel keeps, for all that it starts, too, and also when nobody looks after it any more. A file may be twice as long as all may
/// be, so that who looks can say why it was ended.
#[cfg(target_os = "linux")]
fn bind(child: &Child, bounds: &Bounds<'_>) {
    use rustix::process::{Resource, Rlimit, prlimit};
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let seconds = u64::from(bounds.seconds).saturating_mul(cores).max(1);
    for (resource, most) in [(Resource::Data, bounds.memory), (Resource::Fsize, bounds.bytes.saturating_mul(2)), (Resource::Cpu, seconds)] {
        // One that ended already needs none.
        let _ = prlimit(Some(Pid::from_child(child)), resource, Rlimit { current: Some(most), maximum: Some(most) });
    }
}

#[cfg(not(target_os = "linux"))]
fn bind(_: &Child, _: &Bounds<'_>) {}

fn ended(mut child: Child, bounds: &Bounds<'_>) -> Result<(), Failure> {
    let watched = watched(&child, bounds);
    // It is not waited for yet, so its number is nobody else's. It may have ended, and nobody be left of its group: then there is nothing to end.
    let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    // Whoever went into another group is not waited for in vain.
    let _ = child.kill();
    let status = child.wait().map_err(|error| Failure::Lost(error.kind()))?;
    watched?;
    if bytes_in(bounds.folder) > bounds.bytes {
        return Err(Failure::TooMuch);
    }
    if status.success() { Ok(()) } else { Err(Failure::GaveUp) }
}

/// Looks after a program until it has ended, or has to be.
fn watched(child: &Child, bounds: &Bounds<'_>) -> Result<(), Failure> {
    let looks = u128::from(bounds.seconds) * 1000 / LOOK_EVERY.as_millis();
    for _ in 0..looks {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(Pid::from_child(child)), options) {
            Ok(Some(_)) => return Ok(()),
            Ok(None) | Err(Errno::INTR) => std::thread::sleep(LOOK_EVERY),
            Err(error) => return Err(Failure::Lost(io::Error::from(error).kind())),
        }
        if (bounds.stopped)() {
            return Err(Failure::Stopped);
        }
        if bytes_in(bounds.folder) > bounds.bytes {
            return Err(Failure::TooMuch);
        }
    }
    Err(Failure::Late)
}

/// The lengths of all files below a folder; links lead nowhere.
fn bytes_in(folder: &Path) -> u64 {
    let (mut folders, mut bytes) = (vec![folder.to_owned()], 0_u64);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
            match entry.metadata() {
                Ok(found) if found.is_dir() => folders.push(entry.path()),
                Ok(found) => bytes = bytes.saturating_add(found.len()),
                // It was removed just now.
                Err(_) => {}
            }
        }
    }
    bytes
}
