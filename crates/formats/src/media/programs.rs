//! Programs that are asked where they are installed: FFmpeg for films and recordings, libheif's for HEIC and AVIF. No shell, arguments that are fixed,
//! a demuxer that is named (so that no playlist makes it open other files), a bound on time, and a look at what they made.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use keepsake_record::Attachment;

use super::converting::Converted;
use crate::pictures;

/// Programs of libheif, by their names of today and of before.
const STILLS: [&str; 2] = ["heif-dec", "heif-convert"];
const FILMS: &str = "ffmpeg";
/// A program that takes longer is ended.
const STILL_SECONDS_MAX: u32 = 120;
const FILM_SECONDS_MAX: u32 = 4 * 3600;
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What a program of libheif makes is longer than this only if it is no picture that is decoded here.
const PICTURE_BYTES_MAX: u64 = 1 << 30;

/// FFmpeg's demuxers, by media type.
const DEMUXERS: [(&str, &str); 17] = [
    ("video/mp4", "mov"),
    ("video/quicktime", "mov"),
    ("video/x-m4v", "mov"),
    ("video/3gpp", "mov"),
    ("video/webm", "matroska"),
    ("video/x-matroska", "matroska"),
    ("video/x-msvideo", "avi"),
    ("video/mpeg", "mpeg"),
    ("audio/mpeg", "mp3"),
    ("audio/mp4", "mov"),
    ("audio/aac", "aac"),
    ("audio/ogg", "ogg"),
    ("audio/opus", "ogg"),
    ("audio/flac", "flac"),
    ("audio/wav", "wav"),
    ("audio/aiff", "aiff"),
    ("audio/amr", "amr"),
];
/// What every player plays stays as it is, unless it is to become smaller.
const PLAYED: [&str; 4] = ["video/mp4", "video/x-m4v", "audio/mp4", "audio/mpeg"];

/// Which programs there are, once that was asked.
#[derive(Default)]
pub(super) struct Programs {
    films: Option<bool>,
    stills: Option<Option<&'static str>>,
}

impl Programs {
    /// A film as MP4 (H.264, AAC), a recording as M4A (AAC); `None`: it stays as it is.
    ///
    /// # Errors
    /// Why there is none, as a sentence.
    pub fn film<'r>(
        &mut self,
        attachment: &Attachment,
        side_max: Option<u32>,
        is_converted: bool,
        open: impl FnOnce() -> Result<Box<dyn Read + 'r>, String>,
        stopped: &dyn Fn() -> bool,
        space: &Path,
    ) -> Result<Option<Converted>, String> {
        let (kind, is_film) = (attachment.media_type.as_str(), attachment.media_type.starts_with("video/"));
        let longest = attachment.width.zip(attachment.height).map(|(width, height)| width.max(height));
        let is_smaller = is_film && side_max.is_some_and(|most| longest.is_none_or(|longest| longest > most));
        if !is_smaller && (!is_converted || PLAYED.contains(&kind)) {
            return Ok(None);
        }
        let demuxer = DEMUXERS.iter().find(|(known, _)| *known == kind).map(|(_, demuxer)| *demuxer);
        let demuxer = demuxer.ok_or("a kind of film or recording that is not converted here")?;
        if !*self.films.get_or_insert_with(|| is_there(FILMS)) {
            return Err("FFmpeg is not installed here: install it, and export again".into());
        }
        let folder = tempfile::tempdir_in(space).map_err(unwritten)?;
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        let copied = open().and_then(|mut reader| io::copy(&mut reader, &mut File::create(&from).map_err(unwritten)?).map_err(unwritten));
        copied?;
        let mut command = Command::new(FILMS);
        command
            .args(["-nostdin", "-hide_banner", "-loglevel", "error", "-y", "-protocol_whitelist", "file", "-f", demuxer, "-i"])
            .arg(&from);
        command.args([
            "-map_metadata",
            "-1",
            "-map_chapters",
            "-1",
            "-fflags",
            "+bitexact",
            "-flags:v",
            "+bitexact",
            "-flags:a",
            "+bitexact",
        ]);
        if is_film {
            command.args(["-map", "0:v:0", "-map", "0:a:0?", "-c:v", "libx264", "-preset", "medium", "-crf", "20", "-pix_fmt", "yuv420p"]);
            command.args(["-vf", &scale(side_max), "-c:a", "aac", "-b:a", "160k", "-movflags", "+faststart", "-f", "mp4"]).arg(&to);
        } else {
            command.args(["-map", "0:a:0", "-vn", "-c:a", "aac", "-b:a", "160k", "-movflags", "+faststart", "-f", "ipod"]).arg(&to);
        }
        run(command, FILM_SECONDS_MAX, stopped).map_err(|reason| format!("FFmpeg {reason}"))?;
        // What it made is read to its end before anybody gets it.
        let mut check = Command::new(FILMS);
        check
            .args(["-nostdin", "-hide_banner", "-loglevel", "error", "-xerror", "-protocol_whitelist", "file", "-f", "mov", "-i"])
            .arg(&to);
        check.args(["-f", "null", "-"]);
        run(check, FILM_SECONDS_MAX, stopped).map_err(|_| "what FFmpeg made of it cannot be played".to_owned())?;
        let file = File::open(&to).map_err(unwritten)?;
        if file.metadata().map_err(unwritten)?.len() == 0 {
            return Err("FFmpeg made nothing of it".into());
        }
        Ok(Some(Converted::Film { file, ending: if is_film { "mp4" } else { "m4a" } }))
    }

    /// A HEIC or AVIF picture as PNG, upright.
    ///
    /// # Errors
    /// Why there is none, as a sentence.
    pub fn still(&mut self, original: &[u8], media_type: &str, space: &Path) -> Result<Vec<u8>, String> {
        let found = *self.stills.get_or_insert_with(|| STILLS.into_iter().find(|program| is_there(program)));
        let program = found.ok_or("no program for HEIC and AVIF is installed here: install libheif's (heif-convert), and export again")?;
        let folder = tempfile::tempdir_in(space).map_err(unwritten)?;
        let (from, to) =
            (folder.path().join(if media_type == "image/avif" { "from.avif" } else { "from.heic" }), folder.path().join("to.png"));
        fs::write(&from, original).map_err(unwritten)?;
        let mut command = Command::new(program);
        command.arg(&from).arg(&to);
        run(command, STILL_SECONDS_MAX, &|| false).map_err(|reason| format!("{program} {reason}"))?;
        let bytes = match fs::metadata(&to) {
            Ok(made) if made.len() <= PICTURE_BYTES_MAX => fs::read(&to).map_err(unwritten)?,
            Ok(_) => return Err("it has more pixels than are decoded".into()),
            Err(_) => return Err("it holds several pictures, or none".into()),
        };
        pictures::decoded(&bytes, None)?;
        Ok(bytes)
    }
}

/// Sides that players take (even ones), none longer than was asked for, and none longer than it was.
fn scale(side_max: Option<u32>) -> String {
    match side_max {
        None => "scale=trunc(iw/2)*2:trunc(ih/2)*2".into(),
        Some(most) => {
            let most = most.max(2);
            format!("scale=w='if(gte(iw,ih),trunc(min(iw,{most})/2)*2,-2)':h='if(gte(iw,ih),-2,trunc(min(ih,{most})/2)*2)'")
        }
    }
}

fn unwritten(error: io::Error) -> String {
    // What it says in full may name places of this machine.
    format!("its temporary copy failed: {}", error.kind())
}

/// Whether a program can be started.
fn is_there(program: &str) -> bool {
    let quiet = Command::new(program).arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    quiet.is_ok_and(|mut child| waited(&mut child, STILL_SECONDS_MAX, &|| false).is_ok())
}

/// Runs a program to its end, and ends it where it takes too long or somebody asked to stop.
fn run(mut command: Command, seconds_max: u32, stopped: &dyn Fn() -> bool) -> Result<(), String> {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = quiet.spawn().map_err(|error| format!("cannot be started: {error}"))?;
    if waited(&mut child, seconds_max, stopped)? { Ok(()) } else { Err("cannot read it".into()) }
}

/// Waits for the end of a program; `true`: it ended well.
fn waited(child: &mut Child, seconds_max: u32, stopped: &dyn Fn() -> bool) -> Result<bool, String> {
    let looks = u128::from(seconds_max) * 1000 / LOOK_EVERY.as_millis();
    let mut reason = "takes too long";
    for _ in 0..looks {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status.success()),
            Ok(None) => std::thread::sleep(LOOK_EVERY),
            Err(error) => return Err(format!("cannot be waited for: {error}")),
        }
        if stopped() {
            reason = "was stopped";
            break;
        }
    }
    // It may have ended just now: then there is nothing to end.
    drop(child.kill());
    drop(child.wait());
    Err(reason.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_film_that_is_small_enough_stays() {
        let mut film = Attachment::new("film", "a.mp4", "video/mp4");
        (film.width, film.height) = (Some(64), Some(48));
        let open = || -> Result<Box<dyn Read>, String> { Err("it was opened".into()) };
        let stays = Programs::default().film(&film, Some(64), true, open, &|| false, Path::new("."));
        assert!(matches!(stays, Ok(None)));
    }

    #[test]
    fn what_takes_too_long_is_ended() {
        let mut slow = Command::new("sleep");
        slow.arg("30");
        assert_eq!(run(slow, 1, &|| false), Err("takes too long".into()));
        let mut slow = Command::new("sleep");
        slow.arg("30");
        assert_eq!(run(slow, 20, &|| true), Err("was stopped".into()));
        assert!(run(Command::new("false"), 20, &|| false).is_err() && run(Command::new("true"), 20, &|| false).is_ok());
        assert!(run(Command::new("no-such-program-here"), 20, &|| false).expect_err("none").contains("cannot be started"));
        assert!(!is_there("no-such-program-here"));
    }
}
