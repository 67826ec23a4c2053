//! An item of Joplin as a file: title, text, and below them the fields, a line each.

use serde_json::{Map, Value};

use super::super::InputFile;

pub(super) struct Item {
    /// Its `type_`.
    pub kind: u32,
    pub title: String,
    pub body: String,
    pub fields: Map<String, Value>,
}

/// Whether a text is an id: 32 digits and letters of hexadecimal.
pub(super) fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Folders that hold the files of notes: an export's, and those of a folder that Joplin synchronises with.
const RESOURCES: [&str; 2] = ["resources", ".resource"];

/// Whether a file is one that notes hold.
pub(super) fn is_resource(file: &InputFile) -> bool {
    file.path.rsplit('/').nth(1).is_some_and(|folder| RESOURCES.contains(&folder))
}

/// Whether a file's name is that of an item.
pub(super) fn is_item(file: &InputFile) -> bool {
    !is_resource(file) && file.name().strip_suffix(".md").is_some_and(is_id)
}

impl Item {
    /// Reads an item, from its last line upwards, as Joplin does.
    pub fn read(text: &str) -> Option<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut fields = Map::new();
        // Files end without a newline, unless somebody added one.
        let mut rest = text.trim_end();
        let mut above = "";
        while !rest.is_empty() {
            let (before, line) = rest.rsplit_once('\n').unwrap_or(("", rest));
            if line.trim().is_empty() {
                above = before;
                break;
            }
            let (name, value) = line.split_once(':')?;
            fields.insert(name.trim().to_owned(), unescaped(value.trim()).into());
            rest = before;
        }
        let kind = fields.get("type_")?.as_str()?.parse().ok()?;
        let (title, body) = above.split_once('\n').unwrap_or((above, ""));
        let body = body.strip_prefix("\r\n").or_else(|| body.strip_prefix('\n')).unwrap_or(body);
        Some(Self { kind, title: title.trim_end_matches('\r').to_owned(), body: body.to_owned(), fields })
    }

    /// A field; empty where there is none.
    pub fn text(&self, name: &str) -> &str {
        self.fields.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// Its id, which is its file's name, too.
    pub fn id(&self, path: &str) -> String {
        let named = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".md");
        Some(self.text("id")).filter(|id| is_id(id)).unwrap_or(named).to_ascii_lowercase()
    }
}

/// Fields have one line each: what they hold of others is written as `\n` and `\r`.
fn unescaped(value: &str) -> String {
    value.replace("\\n", "\n").replace("\\r", "\r").replace("\\\n", "\\n").replace("\\\r", "\\r")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_joplin_writes() {
        let item = Item::read("A title\n\nfirst: not a field\n\nlast\n\nid: 00000000000000000000000000000001\nsource_url: https://a/b:c\nuser_data: a\\nb\\\\nc\ntype_: 1").expect("an item");
        assert_eq!((item.kind, item.title.as_str(), item.body.as_str()), (1, "A title", "first: not a field\n\nlast"));
        assert_eq!((item.text("source_url"), item.text("user_data")), ("https://a/b:c", "a\nb\\nc"));
        let tagged = Item::read("id: 00000000000000000000000000000002\nnote_id: x\ntype_: 6\n").expect("an item");
        assert_eq!((tagged.kind, tagged.title.as_str(), tagged.text("note_id")), (6, "", "x"));
        let titled = Item::read("A notebook\n\nid: 1\ntype_: 2").expect("an item");
        assert_eq!((titled.title.as_str(), titled.body.as_str()), ("A notebook", ""));
        assert!(Item::read("a note\n\nwithout fields").is_none() && Item::read("").is_none() && Item::read("id: 1").is_none());
    }
}
