//! What pages link to: files of the export become attachments.

use std::collections::{BTreeMap, BTreeSet};

use keepsake_record::{ATTACHMENTS_MAX, Attachment, Expected};

use super::super::{
    Draft, DraftFile, Problem, Sink,
    draft::key_of_file,
    markdown::{join, percent_decode},
    media_type::media_type,
};

pub(super) struct Links<'a> {
    /// The folder of the page.
    pub folder: &'a str,
    /// Every file of the export.
    pub paths: &'a BTreeSet<&'a str>,
    pub used: &'a mut BTreeSet<String>,
    pub draft: &'a mut Draft,
    /// The attachments that files became.
    pub keys: BTreeMap<String, String>,
    pub missing: BTreeSet<String>,
    pub sink: &'a mut dyn Sink,
}

impl Links<'_> {
    /// Where a link leads that names a file; `None`: it leads elsewhere, or to a page.
    pub fn target(&mut self, link: &str) -> Option<String> {
        self.lead(link, true)
    }

    /// The same in Markdown, where `list[one](two)` looks like a link: unless it is a picture, what is not there has to look like a path.
    pub fn written(&mut self, link: &str, is_picture: bool) -> Option<String> {
        self.lead(link, is_picture || is_path(link))
    }

    fn lead(&mut self, link: &str, may_be_missing: bool) -> Option<String> {
        if link.is_empty() || link.contains("://") || link.starts_with(['#', '/']) || has_scheme(link) {
            return None;
        }
        let link = link.split(['#', '?']).next().unwrap_or(link);
        let found = [percent_decode(link), link.to_owned()].iter().find_map(|path| {
            let path = join(self.folder, path)?;
            self.paths.contains(path.as_str()).then_some(path)
        });
        match found {
            Some(path) if super::is_page(&path) && super::named_after(&path).is_some() => None,
            Some(path) => self.attach(path),
            None if may_be_missing => self.miss(&percent_decode(link)),
            None => None,
        }
    }

    fn attach(&mut self, path: String) -> Option<String> {
        if let Some(key) = self.keys.get(&path) {
            return Some(format!("keepsake:attachment/{key}"));
        }
        if self.is_full() {
            return None;
        }
        self.used.insert(path.clone());
        // Names with letters that archives do not hold are there as links would write them.
        let name = percent_decode(path.rsplit('/').next().unwrap_or(&path));
        let key = self.push(&name, None);
        self.draft.files.push(DraftFile { key: key.clone(), path: path.clone() });
        let target = format!("keepsake:attachment/{key}");
        self.keys.insert(path, key);
        Some(target)
    }

    /// A file that is not there is told of once; one that is no page may still arrive.
    fn miss(&mut self, link: &str) -> Option<String> {
        if !self.missing.insert(link.to_owned()) {
            return self.keys.get(link).map(|key| format!("keepsake:attachment/{key}"));
        }
        let shown = link.escape_debug();
        if super::is_page(link) || link.to_ascii_lowercase().ends_with(".csv") {
            let reason = format!("links to {shown}, which is not in the export; export the whole workspace to have it");
            self.sink.problem(Problem::new(&self.draft.origin, reason));
            return None;
        }
        let reason = format!("its file {shown} is not in the export; put it there and import again to add it");
        self.sink.problem(Problem::new(&self.draft.origin, reason));
        if self.is_full() {
            return None;
        }
        let key = self.push(link.rsplit('/').next().unwrap_or(link), Some(link));
        let target = format!("keepsake:attachment/{key}");
        self.keys.insert(link.to_owned(), key);
        Some(target)
    }

    fn is_full(&mut self) -> bool {
        let is_full = self.draft.memory.attachments.len() >= ATTACHMENTS_MAX;
        if is_full {
            self.sink.problem(Problem::new(&self.draft.origin, "has more than 1,000 files; one that is beyond them was left out"));
        }
        is_full
    }

    fn push(&mut self, name: &str, expected: Option<&str>) -> String {
        let mut name: String = name.chars().map(|c| if "/\\\0".contains(c) { '-' } else { c }).take(255).collect();
        if name.is_empty() {
            name = "file".into();
        }
        let key = key_of_file(&self.draft.memory, &name);
        let kind = if name.to_ascii_lowercase().ends_with(".csv") { "text/csv" } else { media_type(&name) };
        let mut attachment = Attachment::new(key.clone(), name, kind);
        attachment.expected = expected.map(|path| Expected { md5: None, path: Some(path.to_owned()) });
        self.draft.memory.attachments.push(attachment);
        key
    }
}

/// Whether a link has a folder or the ending of a file.
fn is_path(link: &str) -> bool {
    let link = link.split(['#', '?']).next().unwrap_or(link);
    let is_ending = |ending: &str| (1..=10).contains(&ending.len()) && ending.bytes().all(|byte| byte.is_ascii_alphanumeric());
    link.contains('/') || link.rsplit_once('.').is_some_and(|(stem, ending)| !stem.is_empty() && is_ending(ending))
}

/// `mailto:`, `data:`, `tel:` and whatever else is no path.
fn has_scheme(link: &str) -> bool {
    link.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte))
    })
}
