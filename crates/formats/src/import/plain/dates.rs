//! Days in the names of files and folders: `2024-03-05`, `20240305`, `2024-03-05 14.30`, `2024/03/05.txt`. What may mean several days means none.

use std::ops::RangeInclusive;

use keepsake_record::{LocalDay, When, Zone};

/// Eight digits are a day of these years, or a number.
const YEARS: RangeInclusive<i16> = 1700..=2199;

/// The days that a path tells.
#[derive(Debug, Default)]
pub(super) struct Days {
    /// Of the file's own name, alone or with the folders that it lies in.
    pub own: Option<When>,
    /// Of the innermost folder that tells one, where the name tells none: the day of what lies there, or of a copy of it.
    pub folder: Option<When>,
}

/// The days that a path tells. Where a name tells several, no folder is asked.
pub(super) fn of_path(path: &str, zone: Option<&Zone>) -> Days {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let mut parts: Vec<&str> = folders.split('/').filter(|part| !part.is_empty()).collect();
    parts.push(stem);
    let own = match of_name(stem, zone) {
        Named::Several => return Days::default(),
        Named::One(when) => Some(when),
        Named::None => of_folders(&parts[..parts.len() - 1], stem).map(When::day),
    };
    let of = |end: usize| of_folder(parts[end - 1]).or_else(|| of_folders(&parts[..end - 1], parts[end - 1])).map(When::day);
    let folder = if own.is_none() { (1..parts.len()).rev().find_map(of) } else { None };
    Days { own, folder }
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

enum Named {
    One(When),
    Several,
    None,
}

/// The day that a name begins with, with a clock time if nothing follows that; or the only one in it.
fn of_name(stem: &str, zone: Option<&Zone>) -> Named {
    let exactly = |day: LocalDay, clock: &str| When::parse(&format!("{day}T{clock}"), zone).ok().filter(|when| when.day.is_some());
    if let Some((day, rest)) = day_at(stem) {
        let exact = clock(rest).and_then(|clock| exactly(day, &clock));
        return Named::One(exact.unwrap_or_else(|| When::day(day)));
    }
    if let Some(exact) = digits(stem).and_then(|(day, clock)| exactly(day, &clock)) {
        return Named::One(exact);
    }
    let mut found: Option<LocalDay> = None;
    let mut before = '-';
    for (at, character) in stem.char_indices() {
        let begins = character.is_ascii_digit() && !before.is_ascii_digit();
        before = character;
        let Some((day, _)) = begins.then(|| day_at(&stem[at..])).flatten() else { continue };
        if found.is_some_and(|known| known != day) {
            return Named::Several;
        }
        found = Some(day);
    }
    found.map_or(Named::None, |day| Named::One(When::day(day)))
}

/// `20240305143059` or `202403051430`, as many programs call notes.
fn digits(stem: &str) -> Option<(LocalDay, String)> {
    let is_one = matches!(stem.len(), 12 | 14) && stem.bytes().all(|byte| byte.is_ascii_digit());
    let (day, _) = is_one.then(|| day_at(&stem[..8])).flatten()?;
    Some((day, format!("{}:{}:{}", &stem[8..10], &stem[10..12], stem.get(12..).filter(|seconds| !seconds.is_empty()).unwrap_or("00"))))
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
        let one = |path: &str, zone: Option<&Zone>| of_path(path, zone).own.or(of_path(path, zone).folder);
        let day = |path: &str| one(path, None).and_then(|when| when.day).map(|day| day.to_string());
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
            "20240305143059.txt",
            "2023/202403051430.txt",
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
            "20240305256199.txt",
            "2023-01-01_copy/from 2024-03-05 to 2024-03-09.txt",
        ] {
            assert_eq!(day(path), None, "{path}");
        }
        assert_eq!(day("2024-03-05/2023-01-02.txt").as_deref(), Some("2023-01-02"), "the name says it of the file itself");
        let at = |path: &str| one(path, Some(&zone)).and_then(|when| when.instant).map(|at| at.to_string());
        assert_eq!(at("2024-07-05 14.30.txt").as_deref(), Some("2024-07-05T13:30:00Z"));
        assert_eq!((at("2024-07-05 14.30 CHF.txt"), at("2024-07-05 25.30.txt"), at("2024-07-05.txt")), (None, None, None));
        assert_eq!(at("20240705143005.txt").as_deref(), Some("2024-07-05T13:30:05Z"));
        let edtf = one("2024-03-05_14-30-59.txt", None).and_then(|when| when.edtf);
        assert_eq!(edtf.map(|edtf| edtf.as_str().to_owned()).as_deref(), Some("2024-03-05T14:30:59"));
    }
}
