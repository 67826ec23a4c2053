//! Where templates are: in the program, and in the home's `templates/`, a folder each.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use keepsake_formats::template::{
    FILE_BYTES_MAX, FILES_MAX, MANIFEST, Manifest, Problem, SET_BYTES_MAX, Set, built_in, is_name, is_path, view,
};

use super::{TemplateSummary, TemplateView, checking};
use crate::{CustodyError, CustodyResult};

/// Folders in each other, one fewer than this: paths have no more names.
const DEEP_MAX: usize = 4;
/// So many are listed.
const LISTED_MAX: usize = 10_000;

type Files = BTreeMap<String, Vec<u8>>;

/// The folder of the home's own templates.
fn folder(home: &Path) -> PathBuf {
    home.join("templates")
}

/// Reads a template: what is wrong with it is the inner error.
///
/// # Errors
/// There is none of this name.
pub(super) fn load(home: &Path, name: &str) -> CustodyResult<Result<Set, Vec<Problem>>> {
    if let Some(set) = built_in::find(name) {
        return Ok(Ok(set));
    }
    let folder = found(home, name)?;
    Ok(read(&folder).and_then(|files| put_together(name, files)))
}

/// The folder of an own template.
fn found(home: &Path, name: &str) -> CustodyResult<PathBuf> {
    let folder = folder(home).join(name);
    if !is_name(name) || fs::symlink_metadata(&folder).is_err() {
        return Err(CustodyError::Usage(format!("there is no template `{name}`: `keepsake template list` tells which there are")));
    }
    Ok(folder)
}

fn put_together(name: &str, mut files: Files) -> Result<Set, Vec<Problem>> {
    let one = |message: &str| vec![Problem::of(MANIFEST, message)];
    let manifest = files.remove(MANIFEST).ok_or_else(|| one("it is not there: it says what the template is"))?;
    let manifest = std::str::from_utf8(&manifest).map_err(|_| one("it is no text in UTF-8"))?;
    let manifest = Manifest::parse(manifest).map_err(|problem| vec![problem])?;
    if manifest.name != name {
        return Err(one(&format!("`name` is `{}`, and the folder is called `{name}`: they must be the same", manifest.name)));
    }
    Set::new(manifest, files)
}

/// All files of a folder. Links and what else is no file are refused, and so is what is too much.
fn read(folder: &Path) -> Result<Files, Vec<Problem>> {
    let mut files = Files::new();
    let is_folder = fs::symlink_metadata(folder).is_ok_and(|found| found.is_dir());
    if !is_folder {
        return Err(vec![Problem::new("it is no folder of its own: links to elsewhere are not followed")]);
    }
    let mut waiting = vec![(folder.to_path_buf(), String::new(), 0)];
    let mut bytes = 0;
    while let Some((folder, below, deep)) = waiting.pop() {
        let failed = |error: std::io::Error| vec![Problem::new(format!("{below}: it cannot be read: {error}"))];
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = format!("{below}{}", entry.file_name().to_string_lossy());
            let of = |message: &str| vec![Problem::of(&path, message)];
            if deep >= DEEP_MAX {
                return Err(of("it lies too deep: a file is in at most 3 folders"));
            }
            if !is_path(&path) {
                return Err(of("its name needs letters from a to z, digits, `.`, `_` and `-`, and no dot at its beginning"));
            }
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() {
                waiting.push((entry.path(), format!("{path}/"), deep + 1));
                continue;
            }
            if !kind.is_file() {
                return Err(of("it is no file: links are not followed"));
            }
            let file = read_file(&entry.path()).map_err(failed)?.ok_or_else(|| of("it is longer than 1 MiB"))?;
            bytes += file.len() as u64;
            files.insert(path, file);
            if files.len() > FILES_MAX || bytes > SET_BYTES_MAX {
                return Err(vec![Problem::new("a template has at most 100 files of 8 MiB together")]);
            }
        }
    }
    Ok(files)
}

/// A file that is not too long.
fn read_file(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= FILE_BYTES_MAX).then_some(bytes))
}

fn summary(name: &str, built_in: bool, set: &Result<Set, Vec<Problem>>) -> TemplateSummary {
    let manifest = set.as_ref().ok().map(|set| &set.manifest);
    TemplateSummary {
        name: name.into(),
        description: manifest.map(|manifest| manifest.description.clone()).unwrap_or_default(),
        kind: manifest.map(|manifest| manifest.kind),
        per: manifest.map(|manifest| manifest.per),
        built_in,
        problems: set.as_ref().err().cloned().unwrap_or_default(),
    }
}

pub(super) fn list(home: &Path) -> CustodyResult<Vec<TemplateSummary>> {
    let mut all: Vec<TemplateSummary> =
        built_in::names().filter_map(|name| Some(summary(name, true, &Ok(built_in::find(name)?)))).collect();
    let mut names = Vec::new();
    let folder = folder(home);
    if folder.exists() {
        for entry in fs::read_dir(&folder).map_err(CustodyError::io(&folder))?.take(LISTED_MAX) {
            names.push(entry.map_err(CustodyError::io(&folder))?.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    for name in names.iter().filter(|name| !name.starts_with('.')) {
        let set = if !is_name(name) {
            Err(vec![Problem::new("this is no name of a template: letters from a to z, digits, `_` and `-`")])
        } else if built_in::find(name).is_some() {
            Err(vec![Problem::new("a template of this name comes with the program: call the folder something else")])
        } else {
            load(home, name)?
        };
        all.push(summary(name, false, &set));
    }
    Ok(all)
}

pub(super) fn view(home: &Path, name: &str) -> CustodyResult<TemplateView> {
    let set = load(home, name)?;
    let (files, folder) = match built_in::files(name) {
        Some(files) => (files, None),
        None => {
            let folder = found(home, name)?;
            (read(&folder).unwrap_or_default(), Some(folder.display().to_string()))
        }
    };
    let data = set.as_ref().map(|set| {
        let views = checking::views(set, true);
        view::data(&checking::head(set, views.len() as u64), &views[..1], set.manifest.per == keepsake_formats::template::Per::Memory, &[])
    });
    Ok(TemplateView {
        filter: set.as_ref().ok().and_then(|set| set.manifest.filter.clone()),
        data: data.unwrap_or_default(),
        summary: summary(name, folder.is_none(), &set),
        folder,
        files: files.into_iter().map(|(path, bytes)| (path, String::from_utf8(bytes).ok())).collect(),
    })
}

pub(super) fn create(home: &Path, name: &str, from: &str) -> CustodyResult<PathBuf> {
    if !is_name(name) {
        return Err(CustodyError::Usage(format!(
            "`{name}` is no name of a template: it needs 1 to 64 letters from a to z, digits, `_` and `-`"
        )));
    }
    if built_in::find(name).is_some() {
        return Err(CustodyError::Usage(format!("`{name}` comes with the program: choose another name")));
    }
    let mut set = load(home, from)?.map_err(|problems| super::unfit(from, &problems))?;
    set.manifest.name = name.into();
    let (shelf, target) = (folder(home), folder(home).join(name));
    crate::export::refuse_filled(&target)?;
    fs::create_dir_all(&shelf).map_err(CustodyError::io(&shelf))?;
    // Names with a dot are passed over: what is half made is no template.
    // Of each process its own: nobody writes into what another one is about to name.
    let work = shelf.join(format!(".{name}.{}.part", std::process::id()));
    drop(fs::remove_dir_all(&work));
    fs::create_dir(&work).map_err(CustodyError::io(&work))?;
    set.files.insert(MANIFEST.into(), set.manifest.to_toml().into_bytes());
    let made = fill(&work, &set.files).and_then(|()| fs::rename(&work, &target).map_err(CustodyError::io(&target)));
    if made.is_err() {
        drop(fs::remove_dir_all(&work));
    }
    made.map(|()| target)
}

fn fill(folder: &Path, files: &Files) -> CustodyResult<()> {
    for (path, bytes) in files {
        let file = folder.join(path);
        let into = file.parent().unwrap_or(folder);
        fs::create_dir_all(into).map_err(CustodyError::io(into))?;
        fs::write(&file, bytes).map_err(CustodyError::io(&file))?;
    }
    Ok(())
}

pub(super) fn remove(home: &Path, name: &str) -> CustodyResult<()> {
    if built_in::find(name).is_some() && !folder(home).join(name).exists() {
        return Err(CustodyError::Usage(format!("`{name}` comes with the program: only own templates can be deleted")));
    }
    let folder = found(home, name)?;
    if fs::symlink_metadata(&folder).is_ok_and(|found| !found.is_dir()) {
        return Err(CustodyError::Refused(format!("{} is no folder of its own: remove it by hand", folder.display())));
    }
    // It is gone at once, or not at all: half a template would be another one.
    let gone = folder.with_file_name(format!(".{name}.{}.gone", std::process::id()));
    fs::rename(&folder, &gone).map_err(CustodyError::io(&folder))?;
    fs::remove_dir_all(&gone).map_err(CustodyError::io(&gone))
}
