//! Programs of others that are asked where they are installed: libheif's for HEIC and AVIF, FFmpeg for films and recordings. No shell, arguments that
//! are fixed, nothing of our environment, a folder of their own, a bound on time and on what they write there, and a look at what they made.

mod foreign;
mod running;
mod workplace;

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    ffi::OsString,
    fmt,
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

#[cfg(test)]
pub(crate) use self::foreign::tests::begins;
pub(crate) use self::{
    foreign::{Foreign, foreign},
    running::Asked,
};
use self::{
    running::{Bounds, Failure, run},
    workplace::Workplace,
};

/// What decodes HEIC and AVIF: libheif's program, by its names of today and of before.
const DECODERS: [&str; 2] = ["heif-dec", "heif-convert"];
/// What writes AVIF: libheif's program, or libavif's where that one was built without an encoder.
const ENCODERS: [&str; 2] = ["heif-enc", "avifenc"];
const FILMS: &str = "ffmpeg";
/// A program that takes longer is ended.
const PICTURE_SECONDS_MAX: u32 = 60;
const FILM_SECONDS_MAX: u32 = 4 * 3600;
/// What is made of a film is no longer than so many of it, and so much more: what was recorded with few bits becomes longer.
const FILM_TIMES_MAX: u64 = 4;
const FILM_BYTES_MAX: u64 = 1 << 30;
/// Where programs that are scripts find what every system has.
const SYSTEM: [&str; 2] = ["/usr/bin", "/bin"];
/// What one may hold in memory: decoded, the largest picture that is taken has 1 GiB; films of eight thousand lines are coded with some.
const PICTURE_MEMORY_MAX: u64 = 4 << 30;
const FILM_MEMORY_MAX: u64 = 16 << 30;
/// One that took too long so often in a row is not asked for pictures any more: an export ends, whatever its pictures do to a program.
const LATE_MAX: u32 = 8;
/// What is made of a picture is longer than this only if it has more pixels than are decoded here.
const PICTURE_BYTES_MAX: u64 = 512 << 20;

/// Where programs are looked for, and how long they may take.
#[derive(Debug)]
pub struct Programs {
    folders: Vec<PathBuf>,
    picture_seconds: u32,
    film_seconds: u32,
    /// How often in a row each took too long for a picture.
    late: Mutex<BTreeMap<&'static str, u32>>,
    /// Where what was left by exports that were killed is removed already.
    swept: Mutex<BTreeSet<PathBuf>>,
    stop: Stop,
}

/// Whether somebody asked to stop.
#[derive(Clone)]
struct Stop(Arc<dyn Fn() -> bool + Send + Sync>);

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stop")
    }
}

impl Programs {
    /// Those in the folders that a list such as `PATH` names.
    pub fn of_path(path: &str) -> Self {
        Self::new(env::split_paths(path).collect())
    }

    /// Those in these folders, the first first; a folder that is not named from the root is passed over.
    pub fn new(folders: Vec<PathBuf>) -> Self {
        let folders = folders.into_iter().filter(|folder| folder.is_absolute()).collect();
        let (late, swept, stop) = (Mutex::default(), Mutex::default(), Stop(Arc::new(|| false)));
        Self { folders, picture_seconds: PICTURE_SECONDS_MAX, film_seconds: FILM_SECONDS_MAX, late, swept, stop }
    }

    /// The same, ended after so many seconds.
    #[must_use]
    pub fn within(self, seconds: u32) -> Self {
        Self { picture_seconds: seconds, film_seconds: seconds, ..self }
    }

    /// The same for another export: that one took too long is forgotten.
    #[must_use]
    pub fn anew(&self) -> Self {
        let (folders, picture_seconds, film_seconds) = (self.folders.clone(), self.picture_seconds, self.film_seconds);
        Self { folders, picture_seconds, film_seconds, late: Mutex::default(), swept: Mutex::default(), stop: self.stop.clone() }
    }

    /// The same, ended as soon as somebody asks to stop.
    #[must_use]
    pub fn until(self, stopped: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { stop: Stop(Arc::new(stopped)), ..self }
    }

    /// Those of some programs that are installed, in every place where they are.
    fn installed(&self, names: &[&'static str]) -> Vec<Asked> {
        let is_program = |path: &PathBuf| fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0);
        let places = |name: &str| self.folders.iter().map(|folder| folder.join(name)).filter(is_program).collect::<Vec<_>>();
        let all = names.iter().map(|name| (*name, places(name)));
        all.filter(|(_, places)| !places.is_empty()).map(|(name, places)| Asked::new(name, places, self.path())).collect()
    }

    /// Where programs find others.
    fn path(&self) -> OsString {
        let system = SYSTEM.iter().map(PathBuf::from).filter(|folder| !self.folders.contains(folder));
        env::join_paths(self.folders.iter().cloned().chain(system)).unwrap_or_else(|_| SYSTEM.join(":").into())
    }

    /// A folder of its own for a program, beside what is made. No part of its path can be taken for an option or a protocol: it begins at the root.
    pub(crate) fn workplace(&self, space: &Path) -> Result<Workplace, String> {
        let space = if space.as_os_str().is_empty() { Path::new(".") } else { space };
        let space = std::path::absolute(space).map_err(unwritten)?;
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        if !swept.contains(&space) {
            workplace::sweep(&space);
            swept.insert(space.clone());
        }
        drop(swept);
        Workplace::new(&space).map_err(unwritten)
    }

    /// A HEIC or AVIF picture as PNG, upright. Nobody has looked at it yet.
    ///
    /// # Errors
    /// Why there is none, as a sentence.
    pub(crate) fn still(&self, original: &[u8], ending: &str, space: &Path) -> Result<Vec<u8>, String> {
        let installed = self.installed(&DECODERS);
        if installed.is_empty() {
            return Err("no program for HEIC and AVIF is installed here: install libheif's (heif-convert), and export again".into());
        }
        let folder = self.workplace(space)?;
        let (from, to) = (folder.path().join(format!("from.{ending}")), folder.path().join("to.png"));
        fs::write(&from, original).map_err(unwritten)?;
        let mut reason = String::new();
        for mut asked in installed {
            asked.arg(&from).arg(&to);
            let name = asked.name;
            match self.ask_for_picture(&asked, folder.path(), original.len()) {
                Ok(()) if fs::symlink_metadata(&to).is_err() => {
                    return Err(format!("{name} made no picture of it: it holds several pictures, or none"));
                }
                Ok(()) => return made(name, &to),
                // The other name may be of one that can.
                Err(failure @ Failure::Unstarted(_)) => reason = format!("{name} {failure}"),
                Err(failure) => return Err(format!("{name} {failure}")),
            }
        }
        Err(reason)
    }

    /// An AVIF of a PNG. Nobody has looked at it yet.
    ///
    /// # Errors
    /// Why there is none, as a sentence.
    pub(crate) fn avif(&self, png: &[u8], space: &Path) -> Result<Vec<u8>, String> {
        let mut reason =
            "no program that writes AVIF is installed here: install libheif's (heif-enc) or libavif's (avifenc), and export again"
                .to_owned();
        for mut asked in self.installed(&ENCODERS) {
            let (name, folder) = (asked.name, self.workplace(space)?);
            let (from, to) = (folder.path().join("from.png"), folder.path().join("to.avif"));
            fs::write(&from, png).map_err(unwritten)?;
            if name == "avifenc" {
                asked.args(["--speed", "6"]).arg(&from).arg(&to);
            } else {
                asked.args(["-A", "-q", "80", "-o"]).arg(&to).arg(&from);
            }
            let ended = self.ask_for_picture(&asked, folder.path(), png.len()).map_err(|failure| format!("{name} {failure}"));
            match ended.and_then(|()| made(name, &to)) {
                Ok(bytes) if foreign(&bytes).is_some_and(|made| made.ending == "avif") => return Ok(bytes),
                Ok(_) => reason = format!("what {name} made of it is no AVIF"),
                Err(why) => reason = why,
            }
        }
        Err(reason)
    }

    fn ask_for_picture(&self, asked: &Asked, folder: &Path, bytes: usize) -> Result<(), Failure> {
        let late = || self.late.lock().unwrap_or_else(PoisonError::into_inner);
        if late().get(asked.name).is_some_and(|often| *often >= LATE_MAX) {
            return Err(Failure::TooOftenLate(LATE_MAX));
        }
        let bounds = Bounds {
            seconds: self.picture_seconds,
            bytes: PICTURE_BYTES_MAX + bytes as u64,
            memory: PICTURE_MEMORY_MAX,
            folder,
            stopped: &*self.stop.0,
        };
        let ended = run(asked, &bounds);
        match ended {
            Err(Failure::Late) => *late().entry(asked.name).or_default() += 1,
            Ok(()) => drop(late().remove(asked.name)),
            Err(_) => {}
        }
        ended
    }

    /// FFmpeg, if it is installed, with what is asked of it before anything else: `demuxer` is named, so that no playlist makes it open other files.
    pub(crate) fn film(&self, demuxer: &str, from: &Path) -> Option<Asked> {
        let mut asked = self.installed(&[FILMS]).into_iter().next()?;
        asked.args(["-nostdin", "-hide_banner", "-loglevel", "error", "-y", "-protocol_whitelist", "file", "-f", demuxer, "-i"]).arg(from);
        Some(asked)
    }

    /// Runs FFmpeg to its end, in a folder with an original of so many bytes.
    ///
    /// # Errors
    /// Why it did not come to a good one, as a sentence.
    pub(crate) fn run_film(&self, asked: &Asked, folder: &Path, original: u64, stopped: &dyn Fn() -> bool) -> Result<(), String> {
        // The original stands there, too.
        let bytes = original.saturating_mul(FILM_TIMES_MAX + 1).saturating_add(FILM_BYTES_MAX);
        run(asked, &Bounds { seconds: self.film_seconds, bytes, memory: FILM_MEMORY_MAX, folder, stopped })
            .map_err(|failure| format!("FFmpeg {failure}"))
    }
}

pub(crate) fn unwritten(error: io::Error) -> String {
    // What it says in full may name places of this machine.
    format!("its temporary copy failed: {}", error.kind())
}

/// The file that a program made.
fn made(name: &str, path: &Path) -> Result<Vec<u8>, String> {
    // No link to something else, and nothing that waits until somebody writes.
    if !fs::symlink_metadata(path).is_ok_and(|file| file.is_file()) {
        return Err(format!("{name} made nothing of it"));
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(PICTURE_BYTES_MAX + 1).read_to_end(&mut bytes)).map_err(unwritten)?;
    if bytes.len() as u64 > PICTURE_BYTES_MAX { Err(format!("{name} made more of it than is read")) } else { Ok(bytes) }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::process::Command;

    use tempfile::TempDir;

    use super::*;

    /// A stand-in of a program, written by another process: one that this process has open could not be started while others are.
    pub(crate) fn stand_in(folder: &Path, name: &str, script: &str) {
        let draft = folder.join(format!("{name}.txt"));
        fs::write(&draft, format!("#!/bin/sh\n{script}\n")).expect("written");
        let copied = Command::new("install").args(["-m", "755"]).arg(&draft).arg(folder.join(name)).status();
        assert!(copied.expect("it runs").success());
    }

    fn folder() -> TempDir {
        tempfile::tempdir().expect("a folder")
    }

    fn those_in(folder: &TempDir) -> Programs {
        Programs::new(vec![folder.path().to_owned()]).within(5)
    }

    #[test]
    fn a_decoder_gets_two_paths_and_nothing_else() {
        let (bin, space) = (folder(), folder());
        let said = bin.path().join("said");
        stand_in(bin.path(), "heif-dec", &format!("echo \"$#\" \"$@\" > '{}'; cp \"$1\" \"$2\"", said.display()));
        stand_in(bin.path(), "heif-convert", "exit 1");
        assert_eq!(those_in(&bin).still(b"-v $(id); `id`", "heic", space.path()), Ok(b"-v $(id); `id`".to_vec()));
        let said = fs::read_to_string(said).expect("it was asked");
        let words: Vec<&str> = said.split_whitespace().collect();
        assert!(matches!(words.as_slice(), ["2", from, to] if from.ends_with("/from.heic") && to.ends_with("/to.png")), "{said}");
        assert!(words[1..].iter().all(|path| Path::new(path).is_absolute()), "{said}");
        assert_eq!(fs::read_dir(space.path()).expect("read").count(), 0, "nothing stays");
    }

    #[test]
    fn a_program_that_fails_hangs_or_lies_is_named_with_why() {
        let (bin, space, elsewhere) = (folder(), folder(), folder());
        fs::write(elsewhere.path().join("secret"), "secret").expect("written");
        let why = |script: &str, seconds: u32| {
            stand_in(bin.path(), "heif-convert", script);
            those_in(&bin).within(seconds).still(b"picture", "avif", space.path()).expect_err("none")
        };
        assert_eq!(why("exit 3", 5), "heif-convert gave it up");
        assert_eq!(why("exec sleep 60", 1), "heif-convert takes too long");
        assert!(why("exit 0", 5).contains("several pictures, or none"));
        assert_eq!(why(&format!("ln -s '{}' \"$2\"", elsewhere.path().join("secret").display()), 5), "heif-convert made nothing of it");
        assert_eq!(why("mkfifo \"$2\"", 5), "heif-convert made nothing of it");
        // More than anybody reads, at once or in many files.
        assert!(why("truncate -s 600M \"$2\"; exec sleep 60", 5).contains("more of it than it may"));
        assert_eq!(fs::read_dir(space.path()).expect("read").count(), 0, "nothing stays");
        let none = folder();
        assert!(those_in(&none).still(b"picture", "avif", space.path()).expect_err("none").contains("install libheif's (heif-convert)"));
        // What cannot be run is no program.
        fs::write(none.path().join("heif-dec"), "#!/bin/sh\n").expect("written");
        fs::create_dir(none.path().join("heif-convert")).expect("made");
        assert!(those_in(&none).still(b"picture", "avif", space.path()).expect_err("none").contains("is installed here"));
        assert!(
            Programs::new(vec!["bin".into(), PathBuf::new()]).folders.is_empty(),
            "nothing is run out of the folder that somebody stands in"
        );
    }

    #[test]
    fn one_that_hangs_is_not_asked_forever() {
        let (bin, space) = (folder(), folder());
        stand_in(bin.path(), "heif-dec", "exec sleep 60");
        let programs = those_in(&bin).within(0);
        for _ in 0..LATE_MAX {
            assert_eq!(programs.still(b"picture", "heic", space.path()), Err("heif-dec takes too long".into()));
        }
        assert!(programs.still(b"picture", "heic", space.path()).expect_err("none").contains("not asked any more"));
        assert_eq!(programs.anew().still(b"picture", "heic", space.path()), Err("heif-dec takes too long".into()));
    }

    #[test]
    fn only_who_is_late_again_and_again_is_not_asked() {
        let (bin, space) = (folder(), folder());
        stand_in(bin.path(), "heif-enc", "exec sleep 60");
        stand_in(bin.path(), "heif-dec", "case $(cat \"$1\") in slow) exec sleep 60;; *) cp \"$1\" \"$2\";; esac");
        let programs = those_in(&bin).within(1);
        programs.late.lock().expect("no holder panics").insert("heif-enc", LATE_MAX);
        assert!(programs.avif(b"png", space.path()).expect_err("none").contains("not asked any more"));
        programs.late.lock().expect("no holder panics").insert("heif-dec", LATE_MAX - 1);
        assert_eq!(programs.still(b"fast", "heic", space.path()), Ok(b"fast".to_vec()), "another's being late is not its own");
        assert_eq!(programs.still(b"slow", "heic", space.path()), Err("heif-dec takes too long".into()), "and so many were not in a row");
        assert_eq!(programs.late.lock().expect("no holder panics").get("heif-dec"), Some(&1));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_keeps_the_bounds_of_a_program() {
        let (bin, space) = (folder(), folder());
        // It may have begun before they were set.
        stand_in(bin.path(), "ffmpeg", "sleep 1; sh -c 'ulimit -d; ulimit -f; ulimit -t' > said");
        let asked = those_in(&bin).film("mov", Path::new("from")).expect("it is there");
        let bounds = Bounds { seconds: 20, bytes: 1 << 20, memory: 4 << 30, folder: space.path(), stopped: &|| false };
        assert_eq!(run(&asked, &bounds), Ok(()));
        let said = fs::read_to_string(space.path().join("said")).expect("it said them");
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        assert_eq!(said.lines().collect::<Vec<_>>(), ["4194304", "4096", &(20 * cores).to_string()]);
    }

    #[test]
    fn an_encoder_that_cannot_is_followed_by_the_next() {
        let (bin, space) = (folder(), folder());
        let avif = bin.path().join("avif");
        fs::write(&avif, begins(&[b"avif", &[0; 4]])).expect("written");
        let programs = those_in(&bin);
        assert!(programs.avif(b"png", space.path()).expect_err("none").contains("install libheif's (heif-enc)"));
        stand_in(bin.path(), "heif-enc", "exit 5");
        assert_eq!(programs.avif(b"png", space.path()), Err("heif-enc gave it up".into()));
        let check = format!("[ \"$#\" = 4 ] && [ \"$1 $2\" = '--speed 6' ] && cp '{}' \"$4\"", avif.display());
        stand_in(bin.path(), "avifenc", &check);
        assert_eq!(programs.avif(b"png", space.path()), Ok(begins(&[b"avif", &[0; 4]])));
        let check = format!("[ \"$#\" = 6 ] && [ \"$1 $2 $3 $4\" = '-A -q 80 -o' ] && [ -s \"$6\" ] && cp '{}' \"$5\"", avif.display());
        stand_in(bin.path(), "heif-enc", &check);
        fs::remove_file(bin.path().join("avifenc")).expect("removed");
        assert_eq!(programs.avif(b"png", space.path()), Ok(begins(&[b"avif", &[0; 4]])));
        stand_in(bin.path(), "heif-enc", "cp \"$6\" \"$5\"");
        assert_eq!(programs.avif(b"png", space.path()), Err("what heif-enc made of it is no AVIF".into()));
    }

    #[test]
    fn what_takes_too_long_is_ended() {
        let (bin, space) = (folder(), folder());
        let asked = |script: &str, seconds: u32, bytes: u64, is_stopped: bool| {
            stand_in(bin.path(), "ffmpeg", script);
            let asked = those_in(&bin).film("mov", Path::new("from")).expect("it is there");
            run(&asked, &Bounds { seconds, bytes, memory: 4 << 30, folder: space.path(), stopped: &|| is_stopped })
        };
        assert_eq!(asked("exec sleep 30", 1, 9, false), Err(Failure::Late));
        assert_eq!(asked("exec sleep 30", 20, 9, true), Err(Failure::Stopped));
        assert_eq!(asked("exit 1", 20, 9, false), Err(Failure::GaveUp));
        assert_eq!(asked("exit 0", 20, 9, false), Ok(()));
        // Also below, and where it was faster than anybody looked.
        assert_eq!(asked("mkdir below && echo 123456789 > below/file", 20, 9, false), Err(Failure::TooMuch));
        let none = Asked::new("none", vec![bin.path().join("none")], OsString::new());
        let bounds = Bounds { seconds: 20, bytes: 9, memory: 4 << 30, folder: space.path(), stopped: &|| false };
        assert_eq!(run(&none, &bounds), Err(Failure::Unstarted(io::ErrorKind::NotFound)));
    }

    #[test]
    fn what_a_program_started_ends_with_it() {
        let (bin, space, said) = (folder(), folder(), folder());
        for (name, end) in [("late", "exec sleep 60"), ("ended", "exit 1")] {
            let later = format!("(sleep 3; echo here > '{}') &\n{end}", said.path().join(name).display());
            stand_in(bin.path(), "heif-dec", &later);
            assert!(those_in(&bin).within(1).still(b"picture", "heic", space.path()).is_err());
        }
        std::thread::sleep(std::time::Duration::from_millis(3500));
        assert_eq!(fs::read_dir(said.path()).expect("read").count(), 0);
    }

    #[test]
    fn a_picture_is_given_up_when_somebody_stops() {
        let (bin, space) = (folder(), folder());
        stand_in(bin.path(), "heif-dec", "exec sleep 60");
        let programs = those_in(&bin).within(50).anew().until(|| true);
        assert_eq!(programs.still(b"picture", "heic", space.path()), Err("heif-dec was stopped".into()));
    }

    #[test]
    fn nothing_of_the_environment_reaches_a_program() {
        let (bin, space) = (folder(), folder());
        let said = bin.path().join("said");
        stand_in(bin.path(), "heif-dec", &format!("env > '{}'; pwd > \"$2\"", said.display()));
        let worked = those_in(&bin).still(b"picture", "heic", space.path()).expect("made");
        let (worked, said) = (String::from_utf8_lossy(&worked).trim().to_owned(), fs::read_to_string(said).expect("it was asked"));
        for line in said.lines() {
            let (name, value) = line.split_once('=').expect("a variable");
            let is_known = match name {
                "PATH" => value == format!("{}:/usr/bin:/bin", bin.path().display()),
                "LANG" | "LC_ALL" => value == "C.UTF-8",
                "HOME" | "TMPDIR" => Path::new(value).file_name() == Path::new(&worked).file_name(),
                // The shell's own.
                _ => ["PWD", "OLDPWD", "SHLVL", "_"].contains(&name),
            };
            assert!(is_known, "{line}");
        }
        assert!(said.contains("TMPDIR=") && said.contains("PATH="), "{said}");
    }

    #[test]
    fn one_that_cannot_be_started_hides_none_that_can() {
        let (first, second, space) = (folder(), folder(), folder());
        let programs = Programs::new(vec![first.path().to_owned(), second.path().to_owned()]).within(5);
        // What runs it is not there: that says the same to everybody, where permissions say nothing to root.
        fs::write(first.path().join("draft"), "#!/no/such/shell\n").expect("written");
        for name in ["heif-dec", "heif-enc"] {
            let copied = Command::new("install").args(["-m", "755"]).arg(first.path().join("draft")).arg(first.path().join(name)).status();
            assert!(copied.expect("it runs").success());
        }
        assert!(programs.still(b"picture", "heic", space.path()).expect_err("none").starts_with("heif-dec cannot be started: "));
        stand_in(second.path(), "heif-convert", "echo other > \"$2\"");
        assert_eq!(programs.still(b"picture", "heic", space.path()), Ok(b"other\n".to_vec()));
        stand_in(second.path(), "heif-dec", "cp \"$1\" \"$2\"");
        assert_eq!(programs.still(b"picture", "heic", space.path()), Ok(b"picture".to_vec()));
    }

    #[test]
    fn what_a_killed_export_left_goes_with_the_next() {
        let (bin, space) = (folder(), folder());
        let left = space.path().join(".keepsake-work-killed");
        fs::create_dir(&left).expect("made");
        fs::write(left.join("from.heic"), "in the clear").expect("written");
        stand_in(bin.path(), "heif-dec", "cp \"$1\" \"$2\"");
        assert!(those_in(&bin).still(b"picture", "heic", space.path()).is_ok());
        assert_eq!(fs::read_dir(space.path()).expect("read").count(), 0);
    }
}
