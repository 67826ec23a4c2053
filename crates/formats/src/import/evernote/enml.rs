//! ENML, what Evernote writes notes in: XHTML with tags of its own for files, boxes to tick, and what is encrypted.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::markup::{self, Dialect, Page, Step, Tag};

/// A file that a note may show.
pub(super) struct Shown {
    pub key: String,
    pub name: String,
    pub is_picture: bool,
}

/// A task, and whether it is done.
pub(super) type Task = (bool, String);

#[derive(Default)]
pub(super) struct Enml {
    /// The note's files by their MD5.
    pub files: BTreeMap<String, Shown>,
    /// Its tasks by the group that the text has a place for; those that are left have none.
    pub tasks: BTreeMap<String, Vec<Task>>,
    /// Files that the text shows and the note does not have, with their media types.
    pub missing: BTreeMap<String, String>,
    /// What is said of each passage that is encrypted.
    pub encrypted: Vec<Value>,
    /// The language of the code that is gathered.
    pub language: String,
}

impl Enml {
    /// A note as Markdown, and what was wrong with it, if anything was.
    pub fn convert(&mut self, content: &str) -> (String, Option<&'static str>) {
        markup::convert(content, self)
    }

    fn medium(&mut self, tag: &Tag, page: &mut Page) {
        let hash = tag.get("hash").trim().to_ascii_lowercase();
        if let Some(file) = self.files.get(&hash) {
            let target = format!("keepsake:attachment/{}", file.key);
            if file.is_picture {
                page.picture(&target, tag.get("alt"));
            } else {
                page.link(&target, &file.name);
            }
        } else if hash.len() == 32 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let target = format!("keepsake:attachment/{hash}");
            if tag.get("type").starts_with("image/") {
                page.picture(&target, tag.get("alt"));
            } else {
                page.link(&target, &hash);
            }
            self.missing.insert(hash, tag.get("type").to_owned());
        }
    }
}

impl Dialect for Enml {
    fn begin(&mut self, tag: &Tag, page: &mut Page) -> Step {
        let says = |property: &str| tag.style(property).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        match tag.name.as_str() {
            "en-media" => {
                self.medium(tag, page);
                Step::Inside
            }
            "en-todo" => {
                page.tick(tag.get("checked").eq_ignore_ascii_case("true"));
                Step::Inside
            }
            "en-crypt" => {
                let said = ["cipher", "hint", "length"]
                    .into_iter()
                    .filter(|name| tag.has(name))
                    .map(|name| (name.to_owned(), tag.get(name).into()));
                self.encrypted.push(Value::Object(said.collect()));
                Step::Gather("en-crypt")
            }
            "li" => match tag.style("--en-checked") {
                Some(checked) => Step::Ticked(checked.eq_ignore_ascii_case("true")),
                None => Step::Usual,
            },
            "div" if says("--en-task-group") => {
                let group = tag.style("--en-id").unwrap_or_default();
                for (is_done, title) in self.tasks.remove(group).unwrap_or_default() {
                    page.item(is_done, &title);
                }
                // What stands in it is for programs that know no tasks.
                Step::Skip
            }
            // Older versions of Evernote write one hyphen.
            "div" | "pre" if says("--en-codeblock") || says("-en-codeblock") => {
                let language = tag.style("--en-codeblockLanguage").or_else(|| tag.style("--en-syntaxLanguage")).unwrap_or_default();
                let language = language.split_whitespace().collect::<Vec<_>>().join("-");
                self.language = if language == "plaintext" { String::new() } else { language };
                Step::Gather("code")
            }
            _ => Step::Usual,
        }
    }

    fn target(&mut self, _: &str) -> Option<String> {
        None
    }

    fn gathered(&mut self, name: &'static str, text: String, page: &mut Page) {
        if name == "en-crypt" {
            page.code("en-crypt", text.trim());
        } else {
            let language = std::mem::take(&mut self.language);
            page.code(&language, &text.replace('\u{a0}', " "));
        }
    }
}
