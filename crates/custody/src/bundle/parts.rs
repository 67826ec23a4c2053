//! The parts of an export: bags that say which of how many they are (RFC 8493, 2.2.2), wherever in a folder they lie and however they are called.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use keepsake_formats::{
    bag::{self, Container},
    import::Input,
};

use crate::{CustodyError, CustodyResult};

/// What a bag says of itself.
const INFO: &str = "bag-info.txt";
/// So much of it is read.
const INFO_BYTES: u64 = 64 << 10;
/// So many neighbours are looked at, and so many parts an export has at most.
const NEIGHBOURS_MAX: usize = 10_000;

/// Which part of which export a bag is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub id: String,
    pub number: usize,
    pub of: usize,
}

/// What a bag says of it, if it is one of several.
pub(crate) fn group_of(input: &Input) -> Option<Group> {
    let path = bag_folder(input)?;
    let mut text = Vec::new();
    input.open_file(&format!("{path}{INFO}")).ok()?.take(INFO_BYTES).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let value = |label: &str| text.lines().find_map(|line| line.strip_prefix(label)?.strip_prefix(": ")).map(str::trim);
    let (number, of) = value("Bag-Count")?.split_once(" of ")?;
    let group = Group { id: value("Bag-Group-Identifier")?.to_owned(), number: number.parse().ok()?, of: of.parse().ok()? };
    ((1..=group.of).contains(&group.number) && (2..=NEIGHBOURS_MAX).contains(&group.of)).then_some(group)
}

/// The folder in an input that is a bag: where it says what it is.
pub(super) fn bag_folder(input: &Input) -> Option<String> {
    let files = input.files().ok()?;
    // An archive holds the bag as a folder; a folder that holds some is none.
    let depth_max = usize::from(!matches!(input, Input::Folder(_)));
    let found = files.iter().find(|file| file.name() == INFO && file.depth() <= depth_max)?;
    Some(found.path.trim_end_matches(INFO).to_owned())
}

/// All parts of the export that a path is one of, or that lie in it, by number; `None`: it is none.
pub(crate) fn parts_at(path: &Path, input: &Input) -> CustodyResult<Option<Vec<Input>>> {
    if let Some(group) = group_of(input) {
        let path = fs::canonicalize(path).map_err(CustodyError::io(path))?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        let mut found = neighbours(folder, Some(&group), Some((&path, input)))?;
        let mut parts = found.remove(&group.id).unwrap_or_default();
        // The one that was named counts, whatever stands beside it under another name.
        parts.insert(group.number, (group.of, input.clone()));
        return Ok(Some(whole(folder, &group, parts)?));
    }
    if !matches!(input, Input::Folder(_)) || bag_folder(input).is_some() {
        return Ok(None);
    }
    if holds_more(path)? {
        return Ok(None);
    }
    let mut found = neighbours(path, None, None)?;
    let Some((id, parts)) = found.pop_first() else { return Ok(None) };
    if let Some((other, _)) = found.pop_first() {
        return Err(CustodyError::Usage(format!(
            "{} holds parts of several exports ({id}, {other} …): name one of the parts",
            path.display()
        )));
    }
    let of = parts.values().map(|(of, _)| *of).next().unwrap_or_default();
    Ok(Some(whole(path, &Group { id, number: 1, of }, parts)?))
}

/// By number: how many there are, and the bag.
type Parts = BTreeMap<usize, (usize, Input)>;

/// The parts that lie in a folder, by export; where one is known, only its own.
fn neighbours(folder: &Path, wanted: Option<&Group>, known: Option<(&Path, &Input)>) -> CustodyResult<BTreeMap<String, Parts>> {
    let mut found: BTreeMap<String, Parts> = BTreeMap::new();
    let entries = fs::read_dir(folder).map_err(CustodyError::io(folder))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| may_be_part(path)).collect();
    paths.sort();
    for path in paths.into_iter().take(NEIGHBOURS_MAX) {
        let input = match known {
            Some((known, input)) if known.file_name() == path.file_name() => Some(input.clone()),
            // Opened, an archive of archives is unpacked, and a folder of downloads has many that are none of ours.
            _ if Container::of(&path) == Container::Zip && !bag::is_zipped(&path) => None,
            // What cannot be read is no part; one that is missing is named later.
            _ => Input::open(&path).ok(),
        };
        let Some((group, input)) = input.and_then(|input| Some((group_of(&input)?, input))) else { continue };
        if wanted.is_none_or(|wanted| wanted.id == group.id && wanted.of == group.of) {
            found.entry(group.id).or_default().entry(group.number).or_insert((group.of, input));
        }
    }
    Ok(found)
}

/// Whether a folder holds anything beside bags and what is hidden: then it is not an export in parts, but holds one perhaps.
fn holds_more(folder: &Path) -> CustodyResult<bool> {
    let is_hidden = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    let mut entries = fs::read_dir(folder).map_err(CustodyError::io(folder))?.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(entries.any(|path| !is_hidden(&path) && !may_be_part(&path)))
}

/// Whether a path looks like a bag; a TAR.GZ archive has to be unpacked to be looked at, so its name must say that it is a part.
fn may_be_part(path: &Path) -> bool {
    match Container::of(path) {
        _ if bag::is_sealed(path) => false,
        Container::Folder => path.join(INFO).is_file(),
        Container::Zip => path.is_file(),
        Container::TarGz => path.is_file() && path.file_name().is_some_and(|name| name.to_string_lossy().contains("-of-")),
    }
}

/// All parts in order, or which are missing.
fn whole(folder: &Path, group: &Group, parts: Parts) -> CustodyResult<Vec<Input>> {
    let missing: Vec<String> = (1..=group.of).filter(|number| !parts.contains_key(number)).map(|number| number.to_string()).collect();
    if missing.is_empty() {
        return Ok(parts.into_values().map(|(_, input)| input).collect());
    }
    let (what, verb) = if missing.len() == 1 { ("part", "is") } else { ("parts", "are") };
    Err(CustodyError::Usage(format!(
        "this export has {} parts; {what} {} {verb} not in {}: put all of them into one folder, and import it",
        group.of,
        missing.join(", "),
        folder.display()
    )))
}
