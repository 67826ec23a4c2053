//! `cargo xtask bench archive [GIB] [FOLDER]`: a vault of large media handed out as one archive: how fast, and in how much memory, for a part of them
//! and for all.

use std::fs;

use super::measuring::{Dice, Tools, text};
use crate::say;

/// What one film measures.
const FILM_BYTES: usize = 64 << 20;

pub fn run(args: &[String]) -> Result<(), String> {
    let gibibytes: usize = args.first().map_or(Ok(8), |a| a.parse()).map_err(|_| "bench archive takes a number of GiB")?;
    let tools = Tools::ready()?;
    let folder = args.get(1).map_or_else(std::env::temp_dir, Into::into);
    let space = tempfile::Builder::new().prefix("keepsake-bench-").tempdir_in(folder).map_err(|e| e.to_string())?;
    let (films, home) = (space.path().join("films"), space.path().join("home"));
    tools.keepsake(&home, &["init", "-q"])?;
    let mut dice = Dice::new(3);
    for full in [1, gibibytes] {
        fs::create_dir_all(&films).map_err(|e| e.to_string())?;
        let count = full * (1 << 30) / FILM_BYTES;
        for number in 0..count {
            // What an MP4 begins with, then bytes that nothing makes smaller.
            let mut bytes = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom".to_vec();
            bytes.extend(dice.noise(FILM_BYTES - bytes.len()));
            fs::write(films.join(format!("{full}-{number}.mp4")), bytes).map_err(|e| e.to_string())?;
        }
        let imported = tools.keepsake(&home, &["import", text(&films), "-q"])?;
        fs::remove_dir_all(&films).map_err(|e| e.to_string())?;
        say(&format!("{full} GiB more: imported in {:.1} s, {} MiB peak", imported.seconds, imported.peak_mib));
        let backed_up = tools.keepsake(&home, &["backup", "-q"])?;
        say(&format!("  backup          {:>7.1} s {:>5} MiB peak", backed_up.seconds, backed_up.peak_mib));
        for name in ["archive.zip", "archive.tar.gz"] {
            let out = space.path().join(name);
            let made = tools.keepsake(&home, &["export", "--json", "--out", text(&out)])?;
            let bytes = fs::metadata(&out).map_err(|e| e.to_string())?.len();
            say(&format!(
                "  {name:<15} {:>7.1} s {:>5} MiB peak, {:.1} GB, {:.0} MB/s",
                made.seconds,
                made.peak_mib,
                bytes as f64 / 1e9,
                bytes as f64 / made.seconds / 1e6
            ));
            fs::remove_file(&out).map_err(|e| e.to_string())?;
        }
    }
    Ok(())
}
