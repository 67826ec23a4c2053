//! The documents that the clouds answer with: small trees of elements with text.

use quick_xml::{Reader, events::Event};

/// An element and what is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Element {
    /// Its name without a namespace.
    pub name: String,
    text: String,
    children: Vec<Element>,
}

/// No document that we ask for is deeper, or has more elements.
const DEPTH: usize = 16;
const ELEMENTS: usize = 200_000;

impl Element {
    /// Reads a whole document.
    pub fn parse(xml: &[u8]) -> Result<Self, String> {
        let mut reader = Reader::from_reader(xml);
        let mut open: Vec<Element> = vec![Element::default()];
        let mut count = 0;
        loop {
            match reader.read_event().map_err(|e| e.to_string())? {
                Event::Start(start) => {
                    count += 1;
                    if open.len() > DEPTH || count > ELEMENTS {
                        return Err("it is longer than any that it should give".into());
                    }
                    open.push(Element { name: start.local_name().as_ref().to_owned(), ..Element::default() });
                }
                Event::Empty(empty) => {
                    count += 1;
                    if count > ELEMENTS {
                        return Err("it is longer than any that it should give".into());
                    }
                    let child = Element { name: empty.local_name().as_ref().to_owned(), ..Element::default() };
                    open.last_mut().expect("the document is open").children.push(child);
                }
                Event::Text(text) => open.last_mut().expect("the document is open").text.extend(plain(&text)),
                Event::GeneralRef(entity) => {
                    let named = quick_xml::escape::resolve_predefined_entity(&entity);
                    let numbered = entity.resolve_char_ref().ok().flatten().map(String::from);
                    let text = named.map(str::to_owned).or(numbered).ok_or("it refers to what is not there")?;
                    open.last_mut().expect("the document is open").text.extend(plain(&text));
                }
                Event::End(_) => {
                    let done = open.pop().expect("an end has a start");
                    open.last_mut().ok_or("an element ends that never began")?.children.push(done);
                }
                Event::Eof => break,
                _ => {}
            }
        }
        // An answer that was cut off must not pass for a short one.
        match (open.len(), open.pop().and_then(|mut document| document.children.pop())) {
            (1, Some(root)) => Ok(root),
            _ => Err("it was cut off".into()),
        }
    }

    /// The elements of a name right below this one.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The elements right below this one.
    pub fn children(&self) -> &[Element] {
        &self.children
    }

    /// The text of the element at a path of names below this one; empty if it is not there.
    pub fn at(&self, path: &[&str]) -> &str {
        let found = path.iter().try_fold(self, |element, name| element.children.iter().find(|child| child.name == *name));
        found.map_or("", |element| element.text.trim())
    }
}

/// What a server says may be shown on a terminal.
fn plain(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().filter(|c| !c.is_control())
}

/// Text as it stands in a document.
pub(crate) fn escaped(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_by_their_path() {
        let xml = br#"<?xml version="1.0"?><A xmlns="urn:x"><B><C>1 &amp; &#65;</C></B><B><C>2</C><D/></B></A>"#;
        let root = Element::parse(xml).expect("a document");
        assert_eq!(root.all("B").map(|b| b.at(&["C"])).collect::<Vec<_>>(), ["1 & A", "2"]);
        assert_eq!((root.name.as_str(), root.at(&["B", "C"]), root.at(&["X", "C"])), ("A", "1 & A", ""));
        assert_eq!(root.children()[1].children().len(), 2);
    }

    #[test]
    fn what_is_cut_off_or_too_deep_is_refused() {
        for bad in ["", "<A><B>", "<A></A", "<A>&nothing;</A>", "</A>", &"<A>".repeat(100)] {
            assert!(Element::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
