//! Days in the names of files and folders: `2024-03-05`, `20240305`, `2024-03-05 14.30`, `2024/03/05.txt`. What may mean several days means none.

use std::ops::RangeInclusive;

use keepsake_record::{LocalDay, When, Zone};

/// Eight digits are a day of these years, or a number.
const YEARS: RangeInclusive<i16> = 1700..=2199;

/// The day that a path tells; the innermost part that tells one is believed.
pub(super) fn of_path(path: &str, zone: Option<&Zone>) -> Option<When> {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let mut parts: Vec<&str> = folders.split('/').filter(|part| !part.is_empty()).collect();
    parts.push(stem);
    (1..=parts.len()).rev().find_map(|end| {
        let (around, part) = (&parts[..end - 1], parts[end - 1]);
        let own = if end == parts.len() { of_name(part, zone) } else { of_folder(part).map(When::day) };
        own.or_else(|| of_folders(around, part).map(When::day))
    })
}

/// What a page says of its day or time; eight digits are a day as in a name, and no midnight.
pub(super) fn written(text: &str, zone: Option<&Zone>) -> Option<When> {
    let text = text.trim();
    match day_at(text) {
        Some((day, "")) => When::parse(&day.to_string(), zone).ok(),
        _ => When::parse(text, zone).ok(),
    }
}

/// The day that a folder begins with; eight digits with something behind them may be any number.
fn of_folder(name: &str) -> Option<LocalDay> {
    let is_number = name.bytes().take(5).all(|byte| byte.is_ascii_digit());
    day_at(name).filter(|(_, rest)| rest.is_empty() || !is_number).map(|(day, _)| day)
}

/// The day that a name begins with, with a clock time if nothing follows that; or the only one in it.
fn of_name(stem: &str, zone: Option<&Zone>) -> Option<When> {
    if let Some((day, rest)) = day_at(stem) {
        let exact = clock(rest).and_then(|clock| When::parse(&format!("{day}T{clock}"), zone).ok().filter(|when| when.day.is_some()));
        return Some(exact.unwrap_or_else(|| When::day(day)));
    }
    let mut found: Option<LocalDay> = None;
    let mut before = '-';
    for (at, character) in stem.char_indices() {
        let begins = character.is_ascii_digit() && !before.is_ascii_digit();
        before = character;
        let Some((day, _)) = begins.then(|| day_at(&stem[at..])).flatten() else { continue };
        if found.is_some_and(|known| known != day) {
            return None;
        }
        found = Some(day);
    }
    found.map(When::day)
}

/// The day that a text begins with, and what follows it.
fn day_at(text: &str) -> Option<(LocalDay, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 8 {
        let written = format!("{}-{}-{}", text.get(..4)?, text.get(4..6)?, text.get(6..8)?);
        return written.parse().ok().filter(|day: &LocalDay| YEARS.contains(&day.year())).map(|day| (day, &text[8..]));
    }
    let (head, rest) = (text.get(..10)?, text.get(10..)?);
    let is_longer = rest.starts_with(|next: char| next.is_ascii_digit());
    head.replace(['_', '.'], "-").parse().ok().filter(|_| !is_longer).map(|day| (day, rest))
}

/// `14.30` or `14-30-59` and nothing else, behind a day.
fn clock(rest: &str) -> Option<String> {
    let parts: Vec<&str> = rest.strip_prefix([' ', '_', 'T', '-'])?.split(['.', ':', '-', 'h']).collect();
    let is_time = (2..=3).contains(&parts.len()) && parts.iter().all(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()));
    is_time.then(|| format!("{}:{}:{}", parts[0], parts[1], parts.get(2).unwrap_or(&"00")))
}

/// `2024/03` and `05`, `2024-03` and `05`, `2024` and `03-05`.
fn of_folders(around: &[&str], part: &str) -> Option<LocalDay> {
    let parent = around.last()?;
    let above = around.len().checked_sub(2).and_then(|at| around.get(at));
    let written = [Some(format!("{parent}-{part}")), above.map(|above| format!("{above}-{parent}-{part}"))];
    written.into_iter().flatten().find_map(|written| written.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_folders_tell_days() {
        let zone: Zone = "Europe/Lisbon".parse().expect("a zone");
        let day = |path: &str| of_path(path, None).and_then(|when| when.day).map(|day| day.to_string());
        for path in [
            "2024-03-05.txt",
            "2024-03-05 14.30.txt",
            "20240305.html",
            "2024/03/05.txt",
            "a/2024-03/05.txt",
            "2024/03-05.txt",
            "2024/03/05/a.txt",
            "2024-03-05 Trip/a.txt",
            "20240305/a.txt",
            "IMG_20240305_2.txt",
            "Letter of 2024-03-05, copy of 2024-03-05.txt",
            "2024_03_05 to 2024_03_09.txt",
            "2024-03-05",
        ] {
            assert_eq!(day(path).as_deref(), Some("2024-03-05"), "{path}");
        }
        for path in [
            "",
            "a.txt",
            "2024-03-051.txt",
            "2024-13-05.txt",
            "12345678.txt",
            "120240305.txt",
            "from 2024-03-05 to 2024-03-09.txt",
            "2024/03/10 things.txt",
            "2024/03.txt",
            "20240305 backup/a.txt",
            "é2024-03-0é.txt",
        ] {
            assert_eq!(day(path), None, "{path}");
        }
        assert_eq!(day("2024-03-05/2023-01-02.txt").as_deref(), Some("2023-01-02"), "the name says it of the file itself");
        let at = |path: &str| of_path(path, Some(&zone)).and_then(|when| when.instant).map(|at| at.to_string());
        assert_eq!(at("2024-07-05 14.30.txt").as_deref(), Some("2024-07-05T13:30:00Z"));
        assert_eq!((at("2024-07-05 14.30 CHF.txt"), at("2024-07-05 25.30.txt"), at("2024-07-05.txt")), (None, None, None));
        let edtf = of_path("2024-03-05_14-30-59.txt", None).and_then(|when| when.edtf);
        assert_eq!(edtf.map(|edtf| edtf.as_str().to_owned()).as_deref(), Some("2024-03-05T14:30:59"));
    }
}
