//! Programs of others that are asked where they are installed: libheif's for HEIC and AVIF, FFmpeg for films and recordings. No shell, arguments that
//! are fixed, a folder of their own, a bound on time and on what they write, and a look at what they made.

use std::{
    env,
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use tempfile::TempDir;

/// What decodes HEIC and AVIF: libheif's program, by its names of today and of before.
const DECODERS: [&str; 2] = ["heif-dec", "heif-convert"];
/// What writes AVIF: libheif's program, or libavif's where that one was built without an encoder.
const ENCODERS: [&str; 2] = ["heif-enc", "avifenc"];
const FILMS: &str = "ffmpeg";
/// A program that takes longer is ended.
const PICTURE_SECONDS_MAX: u32 = 60;
const FILM_SECONDS_MAX: u32 = 4 * 3600;
/// One that took too long so often is not asked for pictures any more: an export ends, whatever its pictures do to a program.
const LATE_MAX: u32 = 8;
const LATE: &str = "takes too long";
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What is made of a picture is longer than this only if it has more pixels than are decoded here.
const PICTURE_BYTES_MAX: u64 = 512 << 20;
/// Longer first boxes name no kinds of pictures.
const FIRST_BOX_MAX: usize = 4096;

/// Kinds of pictures as the first box names them (ISO/IEC 23008-12, annex B; AVIF 1.1, 6).
const AVIF: [&[u8; 4]; 2] = [b"avif", b"avis"];
const HEIC: [&[u8; 4]; 6] = [b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"];
/// What any picture in such a container may be called first.
const GENERAL: [&[u8; 4]; 2] = [b"mif1", b"msf1"];
/// What moves.
const SEQUENCES: [&[u8; 4]; 4] = [b"avis", b"hevc", b"hevx", b"msf1"];

/// A picture that is not decoded here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Foreign {
    /// As files like it end.
    pub ending: &'static str,
    /// Whether it is several pictures that follow each other.
    pub moves: bool,
}

/// Whether bytes begin as HEIC and AVIF do.
pub(crate) fn foreign(bytes: &[u8]) -> Option<Foreign> {
    let length = bytes.first_chunk::<4>().map(|length| u32::from_be_bytes(*length))?;
    let length = usize::try_from(length).ok()?.min(bytes.len()).min(FIRST_BOX_MAX);
    let brands: Vec<&[u8]> = bytes.get(4..length)?.strip_prefix(b"ftyp")?.chunks_exact(4).collect();
    let is_of = |brand: &[u8], known: &[&[u8; 4]]| known.iter().any(|known| known.as_slice() == brand);
    let (first, moves) = (brands.first()?, brands.iter().any(|brand| is_of(brand, &SEQUENCES)));
    let is_general = is_of(first, &GENERAL);
    let ending = if is_of(first, &AVIF) || is_general && brands.iter().any(|brand| is_of(brand, &AVIF)) { "avif" } else { "heic" };
    (ending == "avif" || is_general || is_of(first, &HEIC)).then_some(Foreign { ending, moves })
}

/// Where programs are looked for, and how long they may take.
#[derive(Debug)]
pub struct Programs {
    folders: Vec<PathBuf>,
    picture_seconds: u32,
    film_seconds: u32,
    /// How often one took too long for a picture.
    late: AtomicU32,
}

impl Programs {
    /// Those in the folders that a list such as `PATH` names.
    pub fn of_path(path: &str) -> Self {
        Self::new(env::split_paths(path).collect())
    }

    /// Those in these folders, the first first; a folder that is not named from the root is passed over.
    pub fn new(folders: Vec<PathBuf>) -> Self {
        let folders = folders.into_iter().filter(|folder| folder.is_absolute()).collect();
        Self { folders, picture_seconds: PICTURE_SECONDS_MAX, film_seconds: FILM_SECONDS_MAX, late: AtomicU32::new(0) }
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
        Self { folders, picture_seconds, film_seconds, late: AtomicU32::new(0) }
    }

    /// Those of some programs that are installed: their names, and where they are.
    fn installed(&self, names: &[&'static str]) -> Vec<(&'static str, PathBuf)> {
        let is_program = |path: &PathBuf| fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0);
        let find = |name: &'static str| self.folders.iter().map(|folder| folder.join(name)).find(is_program).map(|path| (name, path));
        names.iter().copied().filter_map(find).collect()
    }

    /// A HEIC or AVIF picture as PNG, upright. Nobody has looked at it yet.
    ///
    /// # Errors
    /// Why there is none, as a sentence.
    pub(crate) fn still(&self, original: &[u8], ending: &str, space: &Path) -> Result<Vec<u8>, String> {
        let found = self.installed(&DECODERS).into_iter().next();
        let (name, program) =
            found.ok_or("no program for HEIC and AVIF is installed here: install libheif's (heif-convert), and export again")?;
        let folder = workplace(space)?;
        let (from, to) = (folder.path().join(format!("from.{ending}")), folder.path().join("to.png"));
        fs::write(&from, original).map_err(unwritten)?;
        let mut command = Command::new(program);
        command.arg(&from).arg(&to);
        self.ask_for_picture(name, command, folder.path(), original.len())?;
        if fs::symlink_metadata(&to).is_err() {
            return Err(format!("{name} made no picture of it: it holds several pictures, or none"));
        }
        made(name, &to)
    }

    /// An AVIF of a PNG. Nobody has looked at it yet.
    ///
    /// # Errors
    /// Why there is none, as a sentence.
    pub(crate) fn avif(&self, png: &[u8], space: &Path) -> Result<Vec<u8>, String> {
        let mut reason =
            "no program that writes AVIF is installed here: install libheif's (heif-enc) or libavif's (avifenc), and export again"
                .to_owned();
        for (name, program) in self.installed(&ENCODERS) {
            let folder = workplace(space)?;
            let (from, to) = (folder.path().join("from.png"), folder.path().join("to.avif"));
            fs::write(&from, png).map_err(unwritten)?;
            let mut command = Command::new(program);
            if name == "avifenc" {
                command.args(["--speed", "6"]).arg(&from).arg(&to);
            } else {
                command.args(["-A", "-q", "80", "-o"]).arg(&to).arg(&from);
            }
            let asked = self.ask_for_picture(name, command, folder.path(), png.len()).and_then(|()| made(name, &to));
            match asked {
                Ok(bytes) if foreign(&bytes).is_some_and(|made| made.ending == "avif") => return Ok(bytes),
                Ok(_) => reason = format!("what {name} made of it is no AVIF"),
                Err(why) => reason = why,
            }
        }
        Err(reason)
    }

    fn ask_for_picture(&self, name: &str, command: Command, folder: &Path, bytes: usize) -> Result<(), String> {
        if self.late.load(Ordering::Relaxed) >= LATE_MAX {
            return Err(format!("{name} took too long for {LATE_MAX} pictures, and is not asked any more: a newer one may help"));
        }
        let bounds = Bounds { seconds: self.picture_seconds, bytes: PICTURE_BYTES_MAX + bytes as u64, folder, stopped: &|| false };
        run(command, &bounds).map_err(|reason| {
            if reason == LATE {
                self.late.fetch_add(1, Ordering::Relaxed);
            }
            format!("{name} {reason}")
        })
    }

    /// FFmpeg, if it is installed, with what is asked of it before anything else: `demuxer` is named, so that no playlist makes it open other files.
    pub(crate) fn film(&self, demuxer: &str, from: &Path) -> Option<Command> {
        let (_, program) = self.installed(&[FILMS]).into_iter().next()?;
        let mut command = Command::new(program);
        command
            .args(["-nostdin", "-hide_banner", "-loglevel", "error", "-y", "-protocol_whitelist", "file", "-f", demuxer, "-i"])
            .arg(from);
        Some(command)
    }

    /// Runs FFmpeg to its end.
    ///
    /// # Errors
    /// Why it did not come to a good one, as a sentence.
    pub(crate) fn run_film(&self, command: Command, folder: &Path, stopped: &dyn Fn() -> bool) -> Result<(), String> {
        run(command, &Bounds { seconds: self.film_seconds, bytes: u64::MAX, folder, stopped }).map_err(|reason| format!("FFmpeg {reason}"))
    }
}

/// A folder of its own for a program, beside what is made. No part of its path can be taken for an option or a protocol: it begins at the root.
pub(crate) fn workplace(space: &Path) -> Result<TempDir, String> {
    let space = if space.as_os_str().is_empty() { Path::new(".") } else { space };
    std::path::absolute(space).and_then(tempfile::tempdir_in).map_err(unwritten)
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

/// What a program may take.
struct Bounds<'b> {
    seconds: u32,
    /// The folder that it works in, and how much may stand there.
    folder: &'b Path,
    bytes: u64,
    /// Whether somebody asked to stop.
    stopped: &'b dyn Fn() -> bool,
}

/// Runs a program to its end, and ends it where it takes too much or somebody asked to stop.
fn run(mut command: Command, bounds: &Bounds<'_>) -> Result<(), String> {
    let quiet = command.current_dir(bounds.folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = quiet.spawn().map_err(|error| format!("cannot be started: {}", error.kind()))?;
    if waited(&mut child, bounds)? { Ok(()) } else { Err("gave it up".into()) }
}

/// Waits for the end of a program; `true`: it ended well.
fn waited(child: &mut Child, bounds: &Bounds<'_>) -> Result<bool, String> {
    let looks = u128::from(bounds.seconds) * 1000 / LOOK_EVERY.as_millis();
    let mut reason = LATE;
    for _ in 0..looks {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status.success()),
            Ok(None) => std::thread::sleep(LOOK_EVERY),
            Err(error) => return Err(format!("cannot be waited for: {}", error.kind())),
        }
        if (bounds.stopped)() {
            reason = "was stopped";
            break;
        }
        if bytes_in(bounds.folder) > bounds.bytes {
            reason = "makes more of it than is read";
            break;
        }
    }
    // It may have ended just now: then there is nothing to end.
    drop(child.kill());
    drop(child.wait());
    Err(reason.into())
}

fn bytes_in(folder: &Path) -> u64 {
    let lengths = fs::read_dir(folder).into_iter().flatten().filter_map(|entry| entry.ok()?.metadata().ok()).map(|file| file.len());
    lengths.fold(0, u64::saturating_add)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A stand-in of a program, written by another process: one that this process has open could not be started while others are.
    pub(crate) fn stand_in(folder: &Path, name: &str, script: &str) {
        let draft = folder.join(format!("{name}.txt"));
        fs::write(&draft, format!("#!/bin/sh\n{script}\n")).expect("written");
        let copied = Command::new("install").args(["-m", "755"]).arg(&draft).arg(folder.join(name)).status();
        assert!(copied.expect("it runs").success());
    }

    /// The beginning of a picture of these kinds.
    pub(crate) fn begins(brands: &[&[u8; 4]]) -> Vec<u8> {
        let mut bytes = u32::try_from(8 + 4 * brands.len()).expect("short").to_be_bytes().to_vec();
        bytes.extend(b"ftyp");
        brands.iter().for_each(|brand| bytes.extend(*brand));
        bytes
    }

    fn folder() -> TempDir {
        tempfile::tempdir().expect("a folder")
    }

    fn those_in(folder: &TempDir) -> Programs {
        Programs::new(vec![folder.path().to_owned()]).within(5)
    }

    #[test]
    fn pictures_are_known_by_their_first_box() {
        let known = |brands: &[&[u8; 4]]| foreign(&begins(brands)).map(|foreign| (foreign.ending, foreign.moves));
        assert_eq!(known(&[b"heic", &[0; 4], b"mif1", b"heic"]), Some(("heic", false)));
        assert_eq!(known(&[b"mif1", &[0; 4], b"miaf", b"avif"]), Some(("avif", false)));
        assert_eq!(known(&[b"mif1", &[0; 4], b"heic"]), Some(("heic", false)));
        assert_eq!(known(&[b"avis", &[0; 4], b"avif", b"msf1"]), Some(("avif", true)));
        assert_eq!(known(&[b"isom", &[0; 4], b"mif1", b"avif"]), None, "a film");
        for bytes in
            [b"".as_slice(), b"\0\0\0", b"\0\0\0\x08ftyp", b"\xff\xff\xff\xffftyp", b"\xff\xd8\xff\xe0\0\x10JFIF", b"\0\0\0\0ftypheic"]
        {
            assert_eq!(foreign(bytes), None, "{bytes:?}");
        }
        let whole = begins(&[b"heic"]);
        assert!((0..whole.len()).all(|end| foreign(&whole[..end]).is_none()) && foreign(&whole).is_some());
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
        assert!(why("truncate -s 600M \"$2\"; exec sleep 60", 5).contains("more of it than is read"));
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
        let space = folder();
        let asked = |program: &str, seconds: u32, is_stopped: bool| {
            let mut command = Command::new(program);
            command.args((program == "sleep").then_some("30"));
            run(command, &Bounds { seconds, bytes: u64::MAX, folder: space.path(), stopped: &|| is_stopped })
        };
        assert_eq!(asked("sleep", 1, false), Err("takes too long".into()));
        assert_eq!(asked("sleep", 20, true), Err("was stopped".into()));
        assert!(asked("false", 20, false).is_err() && asked("true", 20, false).is_ok());
        assert!(asked("no-such-program-here", 20, false).expect_err("none").contains("cannot be started"));
    }
}
