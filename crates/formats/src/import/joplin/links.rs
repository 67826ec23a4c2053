//! Links in notes of Joplin: `:/ID` names a file or another note, in Markdown and in HTML alike.

use std::collections::{BTreeMap, BTreeSet};

use keepsake_record::{ATTACHMENTS_MAX, Attachment, Expected, settle_value};

use super::{
    super::{
        Draft, DraftFile, Problem, Sink,
        markup::{self, Dialect, Page, Step, Tag},
        media_type::media_type,
    },
    Resource, is_id, is_usual,
};

const MARK: &str = ":/";
const ID_BYTES: usize = 32;

/// The ids that a text links to, each once.
pub(super) fn ids(text: &str) -> BTreeSet<String> {
    places(text).map(|(_, id)| id).collect()
}

/// Where links begin, and the ids they name.
fn places(text: &str) -> impl Iterator<Item = (usize, String)> + '_ {
    text.match_indices(MARK).filter_map(|(at, _)| {
        let id = text.get(at + MARK.len()..at + MARK.len() + ID_BYTES).filter(|id| is_id(id))?;
        // `https:/…` is another sort of link.
        let is_bare = text[..at].chars().next_back().is_none_or(|before| !before.is_alphanumeric());
        let is_whole = text[at + MARK.len() + ID_BYTES..].chars().next().is_none_or(|after| !after.is_alphanumeric());
        (is_bare && is_whole).then(|| (at, id.to_ascii_lowercase()))
    })
}

/// Makes attachments of the files that a note links to.
pub(super) struct Links<'a> {
    pub resources: &'a BTreeMap<String, Resource>,
    pub here: &'a BTreeMap<String, String>,
    pub used: &'a mut BTreeSet<String>,
    pub draft: &'a mut Draft,
    pub sink: &'a mut dyn Sink,
}

impl Links<'_> {
    /// A Markdown text with its links to files led to the attachments. Pictures that are written as HTML become pictures of Markdown.
    pub fn rewrite(&mut self, text: &str) -> String {
        let text = markup::pictures(text, &mut |source, tag| self.picture(source, tag));
        let mut out = String::with_capacity(text.len());
        let mut from = 0;
        for (at, id) in places(&text).collect::<Vec<_>>() {
            if let Some(target) = self.attach(&id) {
                out.push_str(&text[from..at]);
                out.push_str(&target);
                from = at + MARK.len() + ID_BYTES;
            }
        }
        out.push_str(&text[from..]);
        out
    }

    /// How a picture was written is kept with its file.
    fn picture(&mut self, source: &str, tag: &str) -> Option<String> {
        let target = self.target(source)?;
        let is_plain = tag.matches('=').count() == 1;
        let attachment =
            self.draft.memory.attachments.iter_mut().find(|attachment| target.ends_with(&attachment.key)).filter(|_| !is_plain);
        if let Some(attachment) = attachment {
            attachment.custom.insert("img".into(), tag.into());
        }
        Some(target)
    }

    /// The link of an attachment that is made of a file, once; `None`: the id is no file's.
    fn attach(&mut self, id: &str) -> Option<String> {
        let resource = self.resources.get(id)?;
        let target = format!("keepsake:attachment/{id}");
        if self.draft.memory.attachments.iter().any(|attachment| attachment.key == id) {
            return Some(target);
        }
        if self.draft.memory.attachments.len() >= ATTACHMENTS_MAX {
            self.sink.problem(Problem::new(&self.draft.origin, "has more than 1,000 files; one that is beyond them was left out"));
            return None;
        }
        self.used.insert(resource.path.clone());
        let said = |name: &str| resource.fields.get(name).and_then(serde_json::Value::as_str).filter(|text| !text.is_empty());
        let ending = said("file_extension").map_or(String::new(), |ending| format!(".{ending}"));
        let mut name: String = resource.name.chars().map(|c| if "/\\\0".contains(c) { '-' } else { c }).take(255).collect();
        if name.trim().is_empty() {
            name = format!("{id}{}", ending.replace(['/', '\\', '\0'], "-").chars().take(16).collect::<String>());
        }
        let kind = said("mime").filter(|kind| kind.contains('/') && kind.len() <= 128);
        let mut attachment = Attachment::new(id, name.clone(), kind.unwrap_or_else(|| media_type(&name)));
        for (field, value) in &resource.fields {
            let is_said = matches!(field.as_str(), "mime" | "file_extension" | "size") || is_usual(field, value);
            if !is_said {
                let mut value = value.clone();
                settle_value(&mut value);
                attachment.custom.insert(field.clone(), value);
            }
        }
        let path = self.here.get(id).filter(|_| said("encryption_blob_encrypted") != Some("1"));
        match path {
            Some(path) => {
                self.used.insert(path.clone());
                self.draft.files.push(DraftFile { key: id.to_owned(), path: path.clone() });
            }
            None => {
                let path = format!("resources/{id}{ending}");
                let reason =
                    format!("its file {path} ({name}) is not in the export, or is encrypted; put it there and import again to add it");
                self.sink.problem(Problem::new(&self.draft.origin, reason));
                attachment.expected = Some(Expected { md5: None, path: Some(path) });
            }
        }
        self.draft.memory.attachments.push(attachment);
        Some(target)
    }
}

impl Dialect for Links<'_> {
    fn begin(&mut self, _: &Tag, _: &mut Page) -> Step {
        Step::Usual
    }

    fn target(&mut self, link: &str) -> Option<String> {
        let (_, id) = places(link).next().filter(|(at, _)| *at == 0)?;
        self.attach(&id)
    }
}
