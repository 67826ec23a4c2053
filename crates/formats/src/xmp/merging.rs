//! One packet of what a file says already and what its memory tells: properties of others stay byte for byte, what both tell is as the memory tells
//! it, and lists are joined.

use quick_xml::{
    NsReader,
    escape::resolve_predefined_entity,
    events::{BytesStart, Event},
    name::{Namespace, NamespaceResolver, QName, ResolveResult},
};

use super::{NAMESPACES, Told};

/// The longest packet that is understood, and the deepest nesting.
const BYTES_MAX: usize = 4 << 20;
const DEPTH_MAX: usize = 64;
/// Where descriptions stand: inside `rdf:RDF`, which may stand inside `x:xmpmeta`; properties stand inside them.
/// What an export of media tells of every file that has it. Where a packet is one of ours, an import took it into the record: what is not told any more
/// was taken away there. Stars are another thing: see `gives_way`.
const TOLD: [&str; 20] = [
    "dc:description",
    "dc:language",
    "dc:subject",
    "dc:title",
    "exif:DateTimeOriginal",
    "exif:GPSAltitude",
    "exif:GPSAltitudeRef",
    "exif:GPSHPositioningError",
    "exif:GPSLatitude",
    "exif:GPSLongitude",
    "Iptc4xmpCore:AltTextAccessibility",
    "Iptc4xmpCore:Location",
    "Iptc4xmpExt:PersonInImage",
    "lr:hierarchicalSubject",
    "photoshop:City",
    "photoshop:Country",
    "photoshop:DateCreated",
    "photoshop:State",
    "xmp:CreateDate",
    "xmpMM:PreservedFileName",
];
const LISTS: [&str; 4] = ["dc:subject", "lr:hierarchicalSubject", "Iptc4xmpExt:PersonInImage", "keepsake:Collections"];

/// A packet with what is told merged into it.
///
/// # Errors
/// Why the packet cannot be understood, as a sentence.
pub fn merged(packet: &[u8], told: &Told) -> Result<String, String> {
    if packet.len() > BYTES_MAX {
        return Err("its XMP is longer than 4 MiB".into());
    }
    let text = std::str::from_utf8(packet).map_err(|_| "its XMP is not in UTF-8".to_owned())?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut merging =
        Merging { text, told, out: String::new(), copied: 0, joined: told.clone(), about: None, begun: (0, 0), is_own: is_own(text) };
    merging.run()?;
    Ok(merging.out)
}

struct Merging<'a> {
    text: &'a str,
    told: &'a Told,
    out: String,
    /// Up to here, the text was copied or left out.
    copied: usize,
    joined: Told,
    about: Option<String>,
    /// The description that is being read: where it begins in `out`, and how much of it stays.
    begun: (usize, usize),
    /// Whether an export of media wrote it.
    is_own: bool,
}

/// A property that gives way: how deep it stands, which it is, and the items of its list.
struct Leaving {
    depth: usize,
    property: String,
    items: Vec<String>,
    item: String,
}

impl Merging<'_> {
    fn run(&mut self) -> Result<(), String> {
        let mut reader = NsReader::from_str(self.text);
        let mut depth = 0;
        // How deep `rdf:RDF` and the description in it stand that are being read.
        let (mut rdf, mut inside): (Option<usize>, bool) = (None, false);
        let mut leaving: Option<Leaving> = None;
        let mut done = false;
        loop {
            let start = reader.buffer_position() as usize;
            let event = reader.read_event().map_err(|error| format!("its XMP cannot be read: {error}"))?;
            let end = reader.buffer_position() as usize;
            let resolver = reader.resolver();
            match event {
                Event::DocType(_) => return Err("its XMP has a document type".into()),
                Event::Eof if done => {
                    self.out.push_str(&self.text[self.copied..]);
                    return Ok(());
                }
                Event::Eof => return Err("its XMP has no rdf:RDF, or no end".into()),
                Event::Start(ref element) | Event::Empty(ref element) => {
                    let is_empty = matches!(event, Event::Empty(_));
                    if depth >= DEPTH_MAX {
                        return Err("its XMP is nested too deeply".into());
                    }
                    let name = name_of(resolver, element.name());
                    if leaving.is_none() {
                        if rdf.is_none() && !done && name == "rdf:RDF" {
                            if is_empty {
                                self.insert_into_empty(start, end);
                                done = true;
                            } else {
                                rdf = Some(depth);
                            }
                        } else if rdf.is_some_and(|rdf| depth == rdf + 1) && name == "rdf:Description" {
                            self.description(resolver, element, start, end, is_empty)?;
                            inside = !is_empty;
                            if is_empty {
                                self.end_description(end);
                            }
                        } else if inside && rdf.is_some_and(|rdf| depth == rdf + 2) && self.gives_way(&name, &self.text[end..]) {
                            self.copy_to(start);
                            leaving = Some(Leaving { depth, property: name, items: Vec::new(), item: String::new() });
                        } else if inside {
                            self.begun.1 += 1;
                        }
                    }
                    if is_empty {
                        self.leave(&mut leaving, depth, end);
                    } else {
                        depth += 1;
                    }
                }
                Event::End(element) => {
                    depth = depth.checked_sub(1).ok_or("its XMP has an end without a beginning")?;
                    if let Some(leaving) = &mut leaving
                        && name_of(resolver, element.name()) == "rdf:li"
                    {
                        let item = std::mem::take(&mut leaving.item).trim().to_owned();
                        leaving.items.extend(Some(item).filter(|item| !item.is_empty()));
                    }
                    self.leave(&mut leaving, depth, end);
                    if rdf == Some(depth) {
                        self.copy_to(start);
                        self.insert();
                        (rdf, done) = (None, true);
                    }
                    if inside && rdf.is_some_and(|rdf| depth == rdf + 1) {
                        self.end_description(end);
                        inside = false;
                    }
                }
                Event::Text(text) => {
                    if let Some(leaving) = &mut leaving {
                        leaving.item.push_str(&text.xml10_content());
                    }
                }
                Event::CData(data) => {
                    if let Some(leaving) = &mut leaving {
                        leaving.item.push_str(&data.xml10_content());
                    }
                }
                Event::GeneralRef(reference) => {
                    if let Some(leaving) = &mut leaving {
                        let character = reference.resolve_char_ref().ok().flatten().map(String::from);
                        let named = || resolve_predefined_entity(&reference).map(str::to_owned);
                        leaving.item.push_str(&character.or_else(named).unwrap_or_default());
                    }
                }
                _ => {}
            }
        }
    }

    /// Whether a property gives way, whose value begins like this.
    fn gives_way(&self, property: &str, value: &str) -> bool {
        // Five stars are ours, fewer are somebody else's.
        let is_star = || property == "xmp:Rating" && value.trim_start().starts_with('5');
        self.told.replaces(property) || self.is_own && (TOLD.contains(&property) || is_star())
    }

    /// Copies what stands before a place.
    fn copy_to(&mut self, at: usize) {
        self.out.push_str(&self.text[self.copied..at]);
        self.copied = at;
    }

    /// Leaves out what stands before a place, and the room behind it.
    fn skip_to(&mut self, at: usize) {
        let rest = &self.text[at..];
        self.copied = at + (rest.len() - rest.trim_start().len());
    }

    /// Ends a description: one of which nothing stays goes.
    fn end_description(&mut self, end: usize) {
        let (start, stays) = self.begun;
        if stays == 0 {
            self.out.truncate(start);
            self.skip_to(end);
        }
    }

    /// Ends a property that gives way, if this is its end.
    fn leave(&mut self, leaving: &mut Option<Leaving>, depth: usize, end: usize) {
        if let Some(left) = leaving.take_if(|leaving| leaving.depth == depth) {
            self.skip_to(end);
            if !self.is_own && LISTS.contains(&left.property.as_str()) {
                self.joined.join(&left.property, left.items);
            }
        }
    }

    /// Copies the beginning of a description without the attributes that give way.
    fn description(
        &mut self,
        resolver: &NamespaceResolver,
        element: &BytesStart<'_>,
        start: usize,
        end: usize,
        is_empty: bool,
    ) -> Result<(), String> {
        self.copy_to(start);
        self.begun = (self.out.len(), 0);
        let mut kept = String::new();
        let mut left = false;
        for attribute in element.attributes() {
            let attribute = attribute.map_err(|error| format!("its XMP cannot be read: {error}"))?;
            let (space, local) = resolver.resolve_attribute(attribute.key);
            let name = named(&space, local.as_ref());
            if name == "rdf:about" || attribute.key.as_ref() == "about" {
                self.about.get_or_insert_with(|| attribute.value.to_string());
            } else if attribute.key.as_namespace_binding().is_none() {
                self.begun.1 += 1;
            }
            if self.gives_way(&name, &attribute.value) {
                left = true;
                self.begun.1 -= 1;
                continue;
            }
            let quote = if attribute.value.contains('"') { '\'' } else { '"' };
            kept.push_str(&format!("\n {}={quote}{}{quote}", attribute.key.as_ref(), attribute.value));
        }
        if left {
            self.out.push_str(&format!("<{}{kept}{}", element.name().as_ref(), if is_empty { "/>" } else { ">" }));
            self.copied = end;
        }
        Ok(())
    }

    /// Writes what is told, about what the packet is about.
    fn insert(&mut self) {
        // It stands in quotes there as it stands here, or in others.
        let about = self.about.clone().unwrap_or_default();
        let about = quick_xml::escape::unescape(&about).map_or_else(|_| String::new(), std::borrow::Cow::into_owned);
        let description = self.joined.description(&about);
        self.out.push_str(&description);
    }

    fn insert_into_empty(&mut self, start: usize, end: usize) {
        self.copy_to(start);
        let tag = &self.text[start..end];
        let open = tag.trim_end_matches('>').trim_end_matches('/');
        let name = open[1..].split_whitespace().next().unwrap_or("rdf:RDF").to_owned();
        self.out.push_str(&format!("{open}>\n"));
        self.insert();
        self.out.push_str(&format!("</{name}>"));
        self.copied = end;
    }
}

/// Whether a packet names the memory that it is of.
fn is_own(text: &str) -> bool {
    let mut reader = NsReader::from_str(text);
    loop {
        match reader.read_event() {
            Ok(Event::Start(element) | Event::Empty(element)) => {
                let resolver = reader.resolver();
                let is_named = element.attributes().flatten().any(|attribute| {
                    let (space, local) = resolver.resolve_attribute(attribute.key);
                    named(&space, local.as_ref()) == "keepsake:Memory"
                });
                if is_named || name_of(resolver, element.name()) == "keepsake:Memory" {
                    return true;
                }
            }
            Ok(Event::Eof) | Err(_) => return false,
            Ok(_) => {}
        }
    }
}

/// The name of an element as it is called here, whatever its prefix is called there.
fn name_of(resolver: &NamespaceResolver, name: QName<'_>) -> String {
    let (space, local) = resolver.resolve_element(name);
    named(&space, local.as_ref())
}

pub(crate) fn named(space: &ResolveResult<'_>, local: &str) -> String {
    match space {
        ResolveResult::Bound(Namespace(space)) => match NAMESPACES.iter().find(|(_, _, known)| known == space) {
            Some((prefix, ..)) => format!("{prefix}:{local}"),
            None => String::new(),
        },
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmp::{RDF, Said};

    fn told() -> Told {
        let mut told = Told::default();
        told.text("exif:GPSLatitude", Some("1,2.0N"));
        told.add("dc:title", Some(Said::Words("Ours & yours".into())));
        told.add("dc:subject", Some(Said::Bag(vec!["sea".into(), "b".into()])));
        told
    }

    #[test]
    fn what_others_say_stays() {
        let packet = format!(
            "<?xpacket begin='' id='x'?><x:xmpmeta xmlns:x='adobe:ns:meta/'><R:RDF xmlns:R='{RDF}'>\n<R:Description R:about='uuid:1&amp;2' \
             xmlns:d='http://purl.org/dc/elements/1.1/' xmlns:exif='http://ns.adobe.com/exif/1.0/' xmlns:o='urn:o' exif:GPSAltitude='7/1' o:a='x \"y\"' exif:FNumber='2/1'>\
             <d:title><R:Alt><R:li xml:lang='x-default'>Theirs</R:li></R:Alt></d:title><d:subject><R:Bag><R:li>b</R:li><R:li>c &amp; d</R:li></R:Bag></d:subject>\
             <o:title><d:title>inside</d:title></o:title><d:creator/></R:Description></R:RDF></x:xmpmeta><?xpacket end='w'?>"
        );
        let made = merged(packet.as_bytes(), &told()).expect("merged");
        for there in
            ["o:a='x \"y\"'", "exif:FNumber=\"2/1\"", "<o:title><d:title>inside</d:title></o:title><d:creator/>", "<?xpacket end='w'?>"]
        {
            assert!(made.contains(there), "{there}: {made}");
        }
        for gone in ["Theirs", "GPSAltitude"] {
            assert!(!made.contains(gone), "{gone}: {made}");
        }
        assert!(made.contains("<rdf:li>sea</rdf:li><rdf:li>b</rdf:li><rdf:li>c &amp; d</rdf:li>"), "{made}");
        assert!(made.contains("rdf:about=\"uuid:1&amp;2\"") && made.contains("Ours &amp; yours"), "{made}");
        // What was merged is as it would be if it was merged again, but for where it stands.
        assert_eq!(merged(made.as_bytes(), &told()).expect("merged").matches("Ours").count(), 1);
    }

    #[test]
    fn what_was_told_before_does_not_come_back() {
        let mut before = told();
        for (name, text) in [("keepsake:Memory", "1"), ("keepsake:Starred", "true"), ("xmp:Rating", "5"), ("tiff:Model", "Box")] {
            before.text(name, Some(text));
        }
        before.add("dc:description", Some(Said::Words("Old".into())));
        let mut now = Told::default();
        now.text("keepsake:Memory", Some("1"));
        now.add("dc:subject", Some(Said::Bag(vec!["b".into()])));
        let made = merged(before.packet().as_bytes(), &now).expect("merged");
        for gone in ["Starred", "Rating", "Old", "Ours", "sea", "GPSLatitude"] {
            assert!(!made.contains(gone), "{gone}: {made}");
        }
        assert!(made.contains("<tiff:Model>Box</tiff:Model>") && made.contains("<rdf:li>b</rdf:li>"), "{made}");
        // Fewer stars are not of ours, and nothing of what others say goes with us.
        let three = before.packet().replace(">5</xmp:Rating>", ">3</xmp:Rating>");
        assert!(merged(three.as_bytes(), &now).expect("merged").contains(">3</xmp:Rating>"));
        let foreign = before.packet().replace("keepsake:Memory", "keepsake:Other");
        assert!(merged(foreign.as_bytes(), &now).expect("merged").contains("<rdf:li>sea</rdf:li>"));
    }

    #[test]
    fn items_are_read_however_they_are_written() {
        let packet = format!(
            "<r:RDF xmlns:r='{RDF}'><r:Description xmlns:dc='http://purl.org/dc/elements/1.1/'><dc:subject><r:Bag><r:li><![CDATA[R&B]]></r:li><r:li/>\
             <r:li> </r:li></r:Bag></dc:subject></r:Description></r:RDF>"
        );
        let made = merged(packet.as_bytes(), &told()).expect("merged");
        assert!(made.contains("<rdf:li>b</rdf:li><rdf:li>R&amp;B</rdf:li></rdf:Bag>"), "{made}");
    }

    #[test]
    fn odd_packets_are_taken_or_named() {
        let empty = format!("<r:RDF xmlns:r=\"{RDF}\"/>");
        let made = merged(empty.as_bytes(), &told()).expect("merged");
        assert!(made.starts_with("<r:RDF ") && made.ends_with("</r:RDF>") && made.contains("Ours"), "{made}");
        let deep = format!("<r:RDF xmlns:r=\"{RDF}\">{}", "<a>".repeat(100));
        for bad in ["", "<a/>", "<!DOCTYPE a><a/>", "<r:RDF>", deep.as_str(), &format!("<r:RDF xmlns:r=\"{RDF}\">"), "</a>"] {
            assert!(merged(bad.as_bytes(), &told()).is_err(), "{bad}");
        }
        assert!(merged(b"\xff\xfe<\0", &told()).is_err());
    }
}
