//! Films and recordings that become smaller, or of a kind that every player plays: FFmpeg makes them, where it is installed.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use keepsake_record::Attachment;

use super::converting::Converted;
use crate::programs::{Programs, unwritten};

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
/// Nothing of what the original tells, and the same bytes each time.
const PLAIN: [&str; 10] =
    ["-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact"];

/// A film as MP4 (H.264, AAC), a recording as M4A (AAC); `None`: it stays as it is.
///
/// # Errors
/// Why there is none, as a sentence.
pub(super) fn film<'r>(
    attachment: &Attachment,
    side_max: Option<u32>,
    is_converted: bool,
    open: impl FnOnce() -> Result<Box<dyn Read + 'r>, String>,
    stopped: &dyn Fn() -> bool,
    programs: &Programs,
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
    let folder = programs.workplace(space)?;
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    let mut command = programs.film(demuxer, &from).ok_or("FFmpeg is not installed here: install it, and export again")?;
    let copied = open().and_then(|mut reader| io::copy(&mut reader, &mut File::create(&from).map_err(unwritten)?).map_err(unwritten));
    let original = copied?;
    command.args(PLAIN);
    if is_film {
        command.args(["-map", "0:v:0", "-map", "0:a:0?", "-c:v", "libx264", "-preset", "medium", "-crf", "20", "-pix_fmt", "yuv420p"]);
        command.args(["-vf", &scale(side_max), "-c:a", "aac", "-b:a", "160k", "-movflags", "+faststart", "-f", "mp4"]).arg(&to);
    } else {
        command.args(["-map", "0:a:0", "-vn", "-c:a", "aac", "-b:a", "160k", "-movflags", "+faststart", "-f", "ipod"]).arg(&to);
    }
    programs.run_film(&command, folder.path(), original, stopped)?;
    // What it made is read to its end before anybody gets it.
    let mut check = programs.film("mov", &to).ok_or("FFmpeg is not installed here any more: install it, and export again")?;
    check.args(["-xerror", "-f", "null", "-"]);
    let played = programs.run_film(&check, folder.path(), original, stopped);
    played.map_err(|_| "what FFmpeg made of it cannot be played".to_owned())?;
    let file = File::open(&to).map_err(unwritten)?;
    if file.metadata().map_err(unwritten)?.len() == 0 {
        return Err("FFmpeg made nothing of it".into());
    }
    Ok(Some(Converted::Film { file, ending: if is_film { "mp4" } else { "m4a" } }))
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::programs::tests::stand_in;

    fn opened() -> Result<Box<dyn Read>, String> {
        Ok(Box::new(b"a film".as_slice()))
    }

    #[test]
    fn a_film_that_is_small_enough_stays() {
        let mut small = Attachment::new("film", "a.mp4", "video/mp4");
        (small.width, small.height) = (Some(64), Some(48));
        let open = || -> Result<Box<dyn Read>, String> { Err("it was opened".into()) };
        let stays = film(&small, Some(64), true, open, &|| false, &Programs::of_path(""), Path::new("."));
        assert!(matches!(stays, Ok(None)));
    }

    #[test]
    fn what_ffmpeg_made_is_played_before_anybody_gets_it() {
        let (bin, space) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let clip = Attachment::new("film", "a.avi", "video/x-msvideo");
        let made = |programs: &Programs| film(&clip, None, true, opened, &|| false, programs, space.path());
        let why = |script: &str, seconds: u32| {
            stand_in(bin.path(), "ffmpeg", script);
            made(&Programs::new(vec![bin.path().to_owned()]).within(seconds)).map(drop).expect_err("none")
        };
        assert!(made(&Programs::new(Vec::new())).map(drop).expect_err("none").contains("not installed"));
        assert_eq!(why("exit 1", 5), "FFmpeg gave it up");
        assert_eq!(why("exec sleep 60", 1), "FFmpeg takes too long");
        let said = bin.path().join("said");
        // It makes a file as its last argument says, and plays none.
        let lies =
            format!("echo \"$@\" >> '{}'; for last in \"$@\"; do :; done; [ \"$last\" != - ] && echo no film > \"$last\"", said.display());
        assert_eq!(why(&lies, 5), "what FFmpeg made of it cannot be played");
        let said = fs::read_to_string(said).expect("it was asked");
        assert!(
            said.lines().all(|line| line.starts_with("-nostdin -hide_banner -loglevel error -y -protocol_whitelist file -f ")),
            "{said}"
        );
        assert!(said.contains(" -f avi -i /") && said.contains(" -f mov -i /") && said.ends_with("/to -xerror -f null -\n"), "{said}");
        stand_in(bin.path(), "ffmpeg", "for last in \"$@\"; do :; done; [ \"$last\" = - ] || cp from \"$last\"");
        let film = made(&Programs::new(vec![bin.path().to_owned()]).within(5)).expect("made").expect("a film");
        assert!(matches!(film, Converted::Film { ending: "mp4", .. }));
        assert_eq!(fs::read_dir(space.path()).expect("read").count(), 0, "nothing stays");
    }
}
