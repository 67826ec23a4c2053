//! A library of made-up files as people have them, the same for the same seed.

use std::{
    fs,
    io::{self, BufWriter, Write},
    path::Path,
};

use super::measuring::Dice;

/// A photo's length.
const PHOTO_BYTES: usize = 3 << 20;
/// A Markdown note's length.
const NOTE_BYTES: usize = 4 << 10;

/// Half photos (one in eight a copy of an earlier one, one in sixteen a copy with another head, as editors of metadata leave
/// them), a third video, the rest one large NDJSON file and Markdown notes. Answers how many files there are.
pub fn write(folder: &Path, mebibytes: usize) -> io::Result<usize> {
    let mut dice = Dice::new(7);
    let mut files = 0;
    let photos = (mebibytes << 20) / 2 / PHOTO_BYTES;
    let mut earlier: Vec<std::path::PathBuf> = Vec::new();
    for number in 0..photos {
        let album = folder.join(format!("photos/{:03}", number / 100));
        fs::create_dir_all(&album)?;
        let path = album.join(format!("IMG_{number:05}.jpg"));
        match (dice.next() % 16, earlier.len() as u64) {
            (0 | 1, 1..) => drop(fs::copy(&earlier[(dice.next() % earlier.len() as u64) as usize], &path)?),
            (2, 1..) => {
                let original = fs::read(&earlier[(dice.next() % earlier.len() as u64) as usize])?;
                fs::write(&path, [dice.noise(700), original[512..].to_vec()].concat())?;
            }
            _ => {
                let bytes = PHOTO_BYTES + (dice.next() % 65_536) as usize;
                fs::write(&path, dice.noise(bytes))?;
            }
        }
        earlier.push(path);
        files += 1;
    }
    fs::create_dir_all(folder.join("video"))?;
    for number in 0..2 {
        let mut video = BufWriter::with_capacity(1 << 20, fs::File::create(folder.join(format!("video/MVI_{number}.mp4")))?);
        for _ in 0..mebibytes / 6 {
            video.write_all(&dice.noise(1 << 20))?;
        }
        video.flush()?;
        files += 1;
    }
    let text = (mebibytes << 20) / 6;
    let mut lines = BufWriter::with_capacity(1 << 20, fs::File::create(folder.join("messages.ndjson"))?);
    let mut written = 0;
    while written < text * 3 / 4 {
        let line = serde_json::json!({ "id": dice.next().to_string(), "text": dice.text(300) }).to_string();
        writeln!(lines, "{line}")?;
        written += line.len() + 1;
    }
    lines.flush()?;
    write_notes(&folder.join("notes"), text / 4 / NOTE_BYTES, &mut dice)?;
    Ok(files + 1 + text / 4 / NOTE_BYTES)
}

/// Many small files.
pub fn write_notes(folder: &Path, notes: usize, dice: &mut Dice) -> io::Result<()> {
    for number in 0..notes {
        let month = folder.join(format!("{:04}", number / 250));
        if number % 250 == 0 {
            fs::create_dir_all(&month)?;
        }
        fs::write(month.join(format!("note {number}.md")), dice.text(NOTE_BYTES))?;
    }
    Ok(())
}
