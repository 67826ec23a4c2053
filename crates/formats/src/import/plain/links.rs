//! What a text or a page names of the folder that it is in: files become attachments, and nothing outside of the folder is ever looked for.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
};

use keepsake_record::{ATTACHMENTS_MAX, Attachment};

use super::super::{
    Draft, DraftFile,
    draft::key_of_file,
    markdown::{join, percent_decode},
    media_type::{is_media, media_type},
};

/// So many problems of one page are told; a page may name millions of files.
const TOLD_MAX: usize = 100;

/// More links of one text are not looked up: each may mean several files far down.
const LOOKED_MAX: u32 = 100_000;

pub(super) struct Links<'a> {
    /// The folder of the text.
    folder: &'a str,
    /// Links that were looked up.
    looked: Cell<u32>,
    /// Every file that may become an attachment.
    files: &'a BTreeSet<&'a str>,
    used: &'a mut BTreeSet<String>,
    draft: &'a mut Draft,
    /// The attachments that files became.
    keys: BTreeMap<String, String>,
    /// What is to be told, each once, and how much more there was.
    problems: BTreeSet<String>,
    untold: usize,
    /// Whether only what is there is a link: in a text that is no page, what looks like one may be none.
    pub is_text: bool,
    /// Whether what is linked to is shown in its place, so that it is a file whatever it is called.
    pub is_shown: bool,
    /// The words for those who cannot see it.
    pub alt: String,
}

impl<'a> Links<'a> {
    pub fn new(path: &'a str, files: &'a BTreeSet<&'a str>, used: &'a mut BTreeSet<String>, draft: &'a mut Draft) -> Self {
        let (keys, problems) = (BTreeMap::new(), BTreeSet::new());
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let looked = Cell::new(0);
        Self { folder, looked, files, used, draft, keys, problems, untold: 0, is_text: false, is_shown: false, alt: String::new() }
    }

    /// Where a link leads that names a file; `None`: it stays as it is. A file that is not there is told of.
    pub fn target(&mut self, link: &str) -> Option<String> {
        let (bare, places) = self.places(link)?;
        if let Some(found) = places.iter().find(|place| self.files.contains(place.as_str())) {
            return self.attach(found);
        }
        if !self.is_text && (self.is_shown || is_media(bare)) {
            let shown = bare.chars().take(200).collect::<String>().escape_debug().to_string();
            self.tell(if places.is_empty() {
                format!("its file {shown} is outside of the folder that was named, and was left out; name the folder around both to add it")
            } else {
                format!("its file {shown} is not there; put it there, or name the folder that holds both, and import again to add it")
            });
        }
        None
    }

    /// Whether a link names a file of the folder.
    pub fn is_there(&self, link: &str) -> bool {
        self.places(link).is_some_and(|(_, places)| places.iter().any(|place| self.files.contains(place.as_str())))
    }

    /// What is to be told.
    pub fn problems(&mut self) -> Vec<String> {
        let mut problems: Vec<String> = std::mem::take(&mut self.problems).into_iter().collect();
        if self.untold > 0 {
            problems.push(format!(
                "has {} more links to files that could not be added, as the {TOLD_MAX} that are told; mend those and import again to see them",
                self.untold
            ));
        }
        if self.looked.get() > LOOKED_MAX {
            problems.push(format!("has more than {LOOKED_MAX} links; files that the others name were not looked for"));
        }
        problems
    }

    fn tell(&mut self, problem: String) {
        if self.problems.len() < TOLD_MAX {
            self.problems.insert(problem);
        } else if !self.problems.contains(&problem) {
            self.untold += 1;
        }
    }

    /// A link without what follows `#` or `?`, and the paths that it may mean; `None`: it names no file.
    fn places<'t>(&self, link: &'t str) -> Option<(&'t str, Vec<String>)> {
        let link = link.trim();
        let bare = link.split(['#', '?']).next().unwrap_or(link);
        // What has a colon in its first part has a scheme: `mailto:`, `data:`, `C:`.
        if bare.is_empty() || link.starts_with("//") || bare.split('/').next().is_some_and(|first| first.contains(':')) {
            return None;
        }
        self.looked.set(self.looked.get().saturating_add(1));
        if self.looked.get() > LOOKED_MAX {
            return None;
        }
        let written = [percent_decode(bare), link.to_owned(), bare.replace('\\', "/")];
        Some((bare, written.iter().filter_map(|target| self.place(target)).collect()))
    }

    /// The path that a target means, in the folder that was named; `None`: it leads out of it.
    fn place(&self, target: &str) -> Option<String> {
        join(if target.starts_with('/') { "" } else { self.folder }, target)
    }

    fn attach(&mut self, path: &str) -> Option<String> {
        if let Some(key) = self.keys.get(path) {
            return Some(format!("keepsake:attachment/{key}"));
        }
        self.used.insert(path.to_owned());
        if self.draft.memory.attachments.len() >= ATTACHMENTS_MAX - 1 {
            self.tell(format!("has more than 999 files; {} is beyond them and was left out", path.escape_debug()));
            return None;
        }
        let name = name_of(path);
        let key = key_of_file(&self.draft.memory, &name);
        let mut attachment = Attachment::new(key.clone(), name, media_type(path));
        attachment.alt = Some(std::mem::take(&mut self.alt)).filter(|alt| !alt.is_empty());
        self.draft.memory.attachments.push(attachment);
        self.draft.files.push(DraftFile { key: key.clone(), path: path.to_owned() });
        let target = format!("keepsake:attachment/{key}");
        self.keys.insert(path.to_owned(), key);
        Some(target)
    }
}

/// A file's name as attachments have it.
pub(super) fn name_of(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path).chars();
    let name: String = name.map(|c| if matches!(c, '\\' | '\0') { '-' } else { c }).take(255).collect();
    if name.is_empty() { "file".into() } else { name }
}
