//! What a memory tells of one of its files, as XMP (ISO 16684-1) that photo programs read: beside the file, or merged into the packet that it has.
//!
//! Common properties say what they can say. What has no such property, or says it less exactly (zones by name, the id, the Markdown), stands in the
//! namespace `urn:keepsake:media:1#`, so that an import finds it again.

mod dates;
mod merging;

use std::collections::BTreeMap;

use keepsake_record::{Attachment, Memory, Place, Position};

pub use self::merging::merged;
pub(crate) use self::{
    dates::{date, zoned},
    merging::named,
};
use crate::{markup::Markup, text};

/// Longer texts are cut: every file of a memory tells them again.
const TEXT_CHARS_MAX: usize = 20_000;

/// The namespaces of what is written.
pub(crate) const NAMESPACES: [(&str, &str, &str); 12] = [
    ("dc", "xmlns:dc", "http://purl.org/dc/elements/1.1/"),
    ("exif", "xmlns:exif", "http://ns.adobe.com/exif/1.0/"),
    ("exifEX", "xmlns:exifEX", "http://cipa.jp/exif/1.0/"),
    ("Iptc4xmpCore", "xmlns:Iptc4xmpCore", "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"),
    ("Iptc4xmpExt", "xmlns:Iptc4xmpExt", "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"),
    ("keepsake", "xmlns:keepsake", "urn:keepsake:media:1#"),
    ("lr", "xmlns:lr", "http://ns.adobe.com/lightroom/1.0/"),
    ("photoshop", "xmlns:photoshop", "http://ns.adobe.com/photoshop/1.0/"),
    ("rdf", "xmlns:rdf", RDF),
    ("tiff", "xmlns:tiff", "http://ns.adobe.com/tiff/1.0/"),
    ("xmp", "xmlns:xmp", "http://ns.adobe.com/xap/1.0/"),
    ("xmpMM", "xmlns:xmpMM", "http://ns.adobe.com/xap/1.0/mm/"),
];
const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";

/// Properties that mean something together: where one is said, none of another packet's stay.
const GROUPS: [&[&str]; 3] = [
    &["exif:GPSLatitude", "exif:GPSLongitude", "exif:GPSAltitude", "exif:GPSAltitudeRef", "exif:GPSHPositioningError"],
    &["Iptc4xmpCore:Location", "photoshop:City", "photoshop:State", "photoshop:Country", "Iptc4xmpCore:CountryCode"],
    // About June is no date of XMP: another one would say more than is known.
    &["exif:DateTimeOriginal", "photoshop:DateCreated", "xmp:CreateDate", "keepsake:When"],
];

/// What memories name by id.
#[derive(Debug, Clone, Default)]
pub struct Things {
    /// The names of people.
    pub people: BTreeMap<String, String>,
    /// Places.
    pub places: BTreeMap<String, Place>,
    /// The names of collections.
    pub collections: BTreeMap<String, String>,
}

/// What a property says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// One thing.
    Text(String),
    /// Words in the language of whoever reads them.
    Words(String),
    /// Things without an order.
    Bag(Vec<String>),
    /// Things in their order.
    Seq(Vec<String>),
}

/// Properties by name, in the order in which they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told(Vec<(&'static str, Said)>);

/// What a memory tells of one of its attachments.
pub fn told(memory: &Memory, attachment: &Attachment, things: &Things) -> Told {
    let mut told = Told::default();
    let text = cut(&memory.text);
    told.words("dc:title", memory.title.as_deref());
    let words = words_of(&text);
    told.words("dc:description", attachment.caption.as_deref().or(Some(&words)));
    told.words("Iptc4xmpCore:AltTextAccessibility", attachment.alt.as_deref());
    when(memory, attachment, &mut told);
    if let Some(position) = attachment.position.or(memory.position) {
        told.position(&position);
    }
    if let Some(place) = memory.place.as_ref().and_then(|id| things.places.get(&id.to_string())) {
        told.text("Iptc4xmpCore:Location", Some(&place.name));
        told.text("photoshop:City", place.locality.as_deref());
        told.text("photoshop:State", place.area.as_deref());
        told.text("photoshop:Country", place.country.as_deref());
    }
    let named = |names: &BTreeMap<String, String>, id: String| names.get(&id).cloned();
    told.bag("Iptc4xmpExt:PersonInImage", memory.people.iter().filter_map(|id| named(&things.people, id.to_string())).collect());
    let collections: Vec<String> =
        memory.collections.iter().filter_map(|member| named(&things.collections, member.collection.to_string())).collect();
    told.bag("dc:subject", memory.tags.iter().map(|tag| tag.as_str().to_owned()).collect());
    // Programs that read these read no others: flat tags are in it, too. A bar would be one more level.
    let tags = memory.tags.iter().map(|tag| tag.as_str()).filter(|tag| !tag.contains('|')).map(|tag| tag.replace('/', "|"));
    let albums = collections.iter().map(|name| format!("Collections|{}", name.replace('|', "/")));
    told.bag("lr:hierarchicalSubject", tags.chain(albums).collect());
    told.bag("keepsake:Collections", collections);
    told.text("xmp:Rating", memory.starred.then_some("5"));
    told.text("xmpMM:PreservedFileName", Some(&attachment.name));
    told.bag("dc:language", memory.language.iter().cloned().collect());
    told.text("keepsake:Memory", Some(&memory.id.to_string()));
    told.text("keepsake:Attachment", Some(&attachment.key));
    told.text("keepsake:Starred", memory.starred.then_some("true"));
    told.text("keepsake:Kind", word(memory.kind).as_deref());
    told.text("keepsake:Visibility", word(memory.visibility).as_deref());
    told.text("keepsake:Sensitivity", word(memory.sensitivity).as_deref());
    told.text("keepsake:Text", Some(&text));
    told
}

/// The word that the record has for something.
fn word(said: impl serde::Serialize) -> Option<String> {
    serde_json::to_value(said).ok()?.as_str().map(str::to_owned)
}

fn when(memory: &Memory, attachment: &Attachment, told: &mut Told) {
    let taken = attachment.captured.as_ref().and_then(date).or_else(|| date(&memory.when));
    for property in ["exif:DateTimeOriginal", "photoshop:DateCreated", "xmp:CreateDate"] {
        told.text(property, taken.as_deref());
    }
    told.text("keepsake:When", dates::exactly(&memory.when).as_deref());
    told.text("keepsake:Captured", attachment.captured.as_ref().and_then(dates::exactly).as_deref());
}

/// The words of a text, as a description has them.
pub(crate) fn words_of(markdown: &str) -> String {
    if markdown.is_empty() { String::new() } else { text::all(&text::parse(markdown)).trim().to_owned() }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl Told {
    /// One thing, if it is told.
    pub fn text(&mut self, property: &'static str, said: Option<&str>) {
        self.add(property, said.filter(|said| !said.trim().is_empty()).map(|said| Said::Text(said.to_owned())));
    }

    fn words(&mut self, property: &'static str, said: Option<&str>) {
        self.add(property, said.filter(|said| !said.trim().is_empty()).map(|said| Said::Words(said.to_owned())));
    }

    fn bag(&mut self, property: &'static str, said: Vec<String>) {
        self.add(property, Some(said).filter(|said| !said.is_empty()).map(Said::Bag));
    }

    /// Adds what is said of a property.
    pub fn add(&mut self, property: &'static str, said: Option<Said>) {
        self.0.extend(said.map(|said| (property, said)));
    }

    fn position(&mut self, position: &Position) {
        self.text("exif:GPSLatitude", Some(&degrees(position.latitude, 'N', 'S')));
        self.text("exif:GPSLongitude", Some(&degrees(position.longitude, 'E', 'W')));
        if let Some(altitude) = position.altitude {
            self.text("exif:GPSAltitude", Some(&thousandths(altitude)));
            self.text("exif:GPSAltitudeRef", Some(if altitude < 0.0 { "1" } else { "0" }));
        }
        self.text("exif:GPSHPositioningError", position.accuracy.map(thousandths).as_deref());
    }

    /// Leaves out what is said of a property.
    pub fn leave_out(&mut self, property: &str) {
        self.0.retain(|(known, _)| *known != property);
    }

    /// Whether a property of another packet gives way to what is said here. What stands in our namespace is of us, and older.
    fn replaces(&self, property: &str) -> bool {
        let says = |name: &str| self.0.iter().any(|(known, _)| *known == name);
        property.starts_with("keepsake:")
            || says(property)
            || GROUPS.iter().any(|group| group.contains(&property) && group.iter().any(|name| says(name)))
    }

    /// What is said of a list, with what another packet says in it beside that.
    fn join(&mut self, property: &str, more: Vec<String>) {
        for (_, said) in self.0.iter_mut().filter(|(known, _)| *known == property) {
            if let Said::Bag(items) | Said::Seq(items) = said {
                let new: Vec<String> = more.iter().filter(|item| !items.contains(item)).cloned().collect();
                items.extend(new);
            }
        }
    }

    /// A description of `about` with all of it, which needs nothing from around it.
    fn description(&self, about: &str) -> String {
        let used = |prefix: &str| prefix == "rdf" || self.0.iter().any(|(property, _)| property.split(':').next() == Some(prefix));
        let mut attributes = vec![("rdf:about", about)];
        attributes.extend(NAMESPACES.iter().filter(|(prefix, ..)| used(prefix)).map(|(_, name, space)| (*name, *space)));
        let mut out = Markup::default();
        out.open("rdf:Description", &attributes).raw("\n");
        for (property, said) in &self.0 {
            match said {
                Said::Text(text) => {
                    out.words(property, &[], text);
                }
                Said::Words(text) => {
                    out.open(property, &[]).raw("<rdf:Alt>").words("rdf:li", &[("xml:lang", "x-default")], text).raw("</rdf:Alt>");
                    out.close(property);
                }
                Said::Bag(items) | Said::Seq(items) => {
                    let list = if matches!(said, Said::Bag(_)) { "rdf:Bag" } else { "rdf:Seq" };
                    out.open(property, &[]).open(list, &[]);
                    for item in items {
                        out.words("rdf:li", &[], item);
                    }
                    out.close(list).close(property);
                }
            }
            out.raw("\n");
        }
        out.close("rdf:Description").raw("\n");
        out.into_string()
    }

    /// A packet of nothing else, as XML.
    pub fn packet(&self) -> String {
        format!(
            "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\" x:xmptk=\"Keepsake {}\">\n<rdf:RDF xmlns:rdf=\"{RDF}\">\n{}</rdf:RDF>\n</x:xmpmeta>\n",
            env!("CARGO_PKG_VERSION"),
            self.description("")
        )
    }

    /// The file that stands beside another.
    pub fn sidecar(&self) -> String {
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", self.packet())
    }
}

/// `52,31.50000000N`: degrees, and minutes to a hundredth of a millimetre.
fn degrees(degrees: f64, positive: char, negative: char) -> String {
    const MINUTE: u64 = 100_000_000;
    let all = (degrees.abs() * 60.0 * MINUTE as f64).round() as u64;
    let (whole, minutes) = (all / (60 * MINUTE), all % (60 * MINUTE));
    format!("{whole},{}.{:08}{}", minutes / MINUTE, minutes % MINUTE, if degrees < 0.0 { negative } else { positive })
}

/// A fraction, as XMP writes numbers that are not whole.
fn thousandths(number: f64) -> String {
    format!("{:.0}/1000", (number.abs() * 1000.0).round())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_programs_read_them() {
        assert_eq!((degrees(38.7, 'N', 'S'), degrees(-179.9, 'E', 'W')), ("38,42.00000000N".into(), "179,54.00000000W".into()));
        assert_eq!((degrees(-0.000_000_1, 'N', 'S'), degrees(90.0, 'N', 'S')), ("0,0.00000600S".into(), "90,0.00000000N".into()));
        assert_eq!((thousandths(2.25), thousandths(-3.0)), ("2250/1000".into(), "3000/1000".into()));
    }

    #[test]
    fn words_never_become_markup() {
        let mut told = Told::default();
        told.words("dc:title", Some("</rdf:RDF> & \"<\u{1}"));
        told.text("keepsake:Memory", Some("  "));
        assert!(told.packet().contains("&lt;/rdf:RDF&gt; &amp; &quot;&lt;\u{fffd}"), "{}", told.packet());
        assert!(!told.packet().contains("keepsake:Memory"), "what is empty is not said");
    }
}
