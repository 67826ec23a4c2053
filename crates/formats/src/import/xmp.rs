//! XMP beside a photo (`NAME.xmp`, `NAME.EXT.xmp`): ISO 16684-1, the few properties that people's programs write.

use std::collections::BTreeMap;

use keepsake_record::{Attachment, Place, PlaceId, Position, When, Zone, rewrite_links};
use quick_xml::{
    NsReader, XmlVersion,
    events::Event,
    name::{LocalName, ResolveResult},
};
use serde::de::DeserializeOwned;

use super::{CollectionDraft, Draft};
use crate::xmp::{date, named, words_of};

/// The longest sidecar, and the deepest nesting: beyond is no sidecar.
const BYTES_MAX: usize = 4 << 20;
const DEPTH_MAX: usize = 64;

/// What stands in every packet that an export of media wrote.
pub(crate) const OWN: &[u8] = b"urn:keepsake:media:1#";

/// Reads a sidecar into a draft. `true`: it tells of the memory, too, because an export of media wrote it.
///
/// # Errors
/// What is wrong with it, as a sentence.
pub(crate) fn apply(bytes: &[u8], zone: Option<&Zone>, draft: &mut Draft) -> Result<bool, String> {
    let properties = properties(bytes).map_err(|reason| format!("its XMP cannot be read: {reason}"))?;
    let mut own = Own::of(&properties);
    let one = |names: &[&str]| names.iter().find_map(|name| properties.get(*name)?.first()).cloned();
    let Some(attachment) = draft.memory.attachments.first_mut() else { return Ok(false) };
    let taken = one(&["exif:DateTimeOriginal", "photoshop:DateCreated", "xmp:CreateDate"]);
    if let Some(own) = &mut own {
        own.apply(taken.as_deref(), zone, attachment);
    } else if let Some(when) = taken.as_deref().and_then(|text| When::parse(text, zone).ok()) {
        attachment.captured = Some(when);
    }
    let degrees = |name: &str| one(&[name]).and_then(|text| gps(&text));
    if let (Some(latitude), Some(longitude)) = (degrees("exif:GPSLatitude"), degrees("exif:GPSLongitude")) {
        let number = |name: &str| one(&[name]).and_then(|text| fraction(&text));
        let altitude =
            number("exif:GPSAltitude").map(|metres| if one(&["exif:GPSAltitudeRef"]).as_deref() == Some("1") { -metres } else { metres });
        let read = Position::new(latitude, longitude).ok().map(|position| Position {
            altitude,
            accuracy: number("exif:GPSHPositioningError"),
            ..position
        });
        attachment.position = read.or(attachment.position);
    }
    attachment.alt = one(&["Iptc4xmpCore:AltTextAccessibility"]).or(attachment.alt.take());
    let text = properties.get("keepsake:Text").filter(|_| own.is_some()).and_then(|texts| texts.first());
    // Where nobody wrote a caption, the words of the text are the description.
    if let Some(description) = one(&["dc:description"]).filter(|said| text.is_none_or(|text| words_of(text).trim() != said)) {
        attachment.caption = Some(description);
    }
    let key = own.as_ref().map(|own| format!("keepsake:attachment/{}", own.key)).unwrap_or_default();
    if let Some(text) = text {
        // Its key is another one here.
        draft.memory.text = rewrite_links(text, |link| (link == key).then(|| format!("keepsake:attachment/{}", attachment.key)));
    }
    if let Some(title) = one(&["dc:title"]).filter(|t| t.chars().count() <= 1000) {
        draft.memory.title = Some(title);
    }
    draft.memory.tags.extend(properties.get("dc:subject").into_iter().flatten().filter_map(|tag| tag.parse().ok()));
    draft.people.extend(properties.get("Iptc4xmpExt:PersonInImage").into_iter().flatten().cloned());
    draft.place = place(&one);
    let is_own = own.is_some();
    if let Some(own) = own {
        draft.memory.starred = own.is_starred;
        draft.memory.kind = said(&one, "keepsake:Kind").unwrap_or(draft.memory.kind);
        // Who sees it is not for a file to say.
        draft.memory.sensitivity = said(&one, "keepsake:Sensitivity").unwrap_or_default();
        draft.memory.language = one(&["dc:language"]).filter(|tag| is_language(tag)).or(draft.memory.language.take());
        let collections = properties.get("keepsake:Collections").into_iter().flatten();
        draft.collections.extend(collections.map(|name| CollectionDraft { name: name.clone(), kind: "album" }));
        draft.memory.when = own.when.unwrap_or_default();
    }
    Ok(is_own)
}

/// One of the words that a field of the record takes.
fn said<T: DeserializeOwned>(one: &dyn Fn(&[&str]) -> Option<String>, name: &str) -> Option<T> {
    serde_json::from_value(one(&[name])?.into()).ok()
}

/// What was written by an export of media: more exactly than common properties can say it.
struct Own {
    key: String,
    name: Option<String>,
    when: Option<When>,
    captured: Option<When>,
    is_starred: bool,
}

impl Own {
    fn of(properties: &BTreeMap<String, Vec<String>>) -> Option<Self> {
        let one = |name: &str| properties.get(name).and_then(|values| values.first());
        let when = |name: &str| one(name).and_then(|text| serde_json::from_str(text).ok());
        one("keepsake:Memory")?;
        Some(Self {
            key: one("keepsake:Attachment").cloned().unwrap_or_default(),
            name: one("xmpMM:PreservedFileName").cloned(),
            when: when("keepsake:When"),
            captured: when("keepsake:Captured"),
            is_starred: one("keepsake:Starred").is_some_and(|said| said == "true"),
        })
    }

    /// Takes over what it says of the file. If another program has changed the date since, that one counts.
    fn apply(&mut self, taken: Option<&str>, zone: Option<&Zone>, attachment: &mut Attachment) {
        let said = self.captured.as_ref().and_then(date).or_else(|| self.when.as_ref().and_then(date));
        if said.as_deref() == taken {
            attachment.captured = self.captured.take();
        } else if said.is_none() && self.when.is_some() {
            // No date was told, because none says what is known: one that is there was not changed.
            attachment.captured = taken.and_then(|text| When::parse(text, zone).ok()).or(attachment.captured.take());
        } else {
            attachment.captured = taken.and_then(|text| When::parse(text, zone).ok());
            self.when.clone_from(&attachment.captured);
        }
        let name = self.name.take().map(|name| name.replace(['/', '\\', '\0'], "-"));
        if let Some(name) = name.filter(|name| !name.is_empty() && name.len() <= 1024) {
            attachment.name = name;
        }
    }
}

/// Which file of which memory a packet is of, if an export of media wrote it.
pub(crate) fn own_id(bytes: &[u8]) -> Option<String> {
    let properties = properties(bytes).ok()?;
    let one = |name: &str| properties.get(name).and_then(|values| values.first()).filter(|value| value.len() <= 200);
    Some(format!("{}/{}", one("keepsake:Memory")?, one("keepsake:Attachment")?))
}

/// Whether a text has the shape of a tag of a language (BCP 47): any other one would keep the whole memory out.
fn is_language(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let first = parts.next().unwrap_or_default();
    let part = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    tag.len() <= 64 && first.len() >= 2 && first.bytes().all(|byte| byte.is_ascii_alphabetic()) && part(first) && parts.all(part)
}

/// The place that a photo names, if it names one.
fn place(one: &dyn Fn(&[&str]) -> Option<String>) -> Option<Place> {
    let [locality, area, country] = ["photoshop:City", "photoshop:State", "photoshop:Country"].map(|name| one(&[name]));
    let name = one(&["Iptc4xmpCore:Location"]).or_else(|| locality.clone().or(area.clone()).or(country.clone()))?;
    let (custom, extra) = (BTreeMap::new(), BTreeMap::new());
    Some(Place { area, country, custom, id: PlaceId::from_bytes([0; 16]), locality, name, position: None, extra })
}

/// A number as XMP writes it: `2250/1000`, or as it is.
fn fraction(text: &str) -> Option<f64> {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let value = match text.split_once('/') {
        Some((above, below)) => number(above)? / number(below)?,
        None => number(text)?,
    };
    Some(value).filter(|value| value.is_finite())
}

/// XMP writes `52,31.5N`: degrees, minutes with a fraction or with seconds, and the direction.
fn gps(text: &str) -> Option<f64> {
    let direction = text.chars().last()?;
    let numbers: Vec<f64> = text[..text.len() - direction.len_utf8()].split(',').map(|n| n.trim().parse().ok()).collect::<Option<_>>()?;
    let degrees: f64 = numbers.iter().zip([1.0, 60.0, 3600.0]).map(|(n, d)| n / d).sum();
    let sign = match direction {
        'N' | 'E' => 1.0,
        'S' | 'W' => -1.0,
        _ => return None,
    };
    Some((degrees * sign * 1e7).round() / 1e7)
}

/// The name of a property; ours is ours only by its namespace, those of others are known by their usual prefixes, too.
fn called(name: &str, (space, local): (ResolveResult<'_>, LocalName<'_>)) -> String {
    let known = named(&space, local.as_ref());
    if known.is_empty() && !name.starts_with("keepsake:") { name.to_owned() } else { known }
}

/// The text of every property of what the packet is of, as element or attribute, lists flattened. What stands in structures is of other things.
fn properties(bytes: &[u8]) -> Result<BTreeMap<String, Vec<String>>, String> {
    if bytes.len() > BYTES_MAX {
        return Err("it is longer than 4 MiB".into());
    }
    let text = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
    let mut reader = NsReader::from_str(text);
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut path: Vec<String> = Vec::new();
    // The text of the innermost element so far; references stand between its pieces.
    let mut gathered = String::new();
    loop {
        let event = reader.read_event().map_err(|e| e.to_string())?;
        let resolver = reader.resolver();
        match event {
            Event::Start(element) | Event::Empty(element) if path.len() >= DEPTH_MAX => {
                return Err(format!("it is nested too deeply at `{}`", element.name().as_ref().escape_debug()));
            }
            Event::Start(ref element) | Event::Empty(ref element) => {
                gathered.clear();
                let name = called(element.name().as_ref(), resolver.resolve_element(element.name()));
                let is_description = path.last().is_some_and(|outer| outer == "rdf:RDF") && name == "rdf:Description";
                for attribute in element.attributes().filter(|_| is_description) {
                    let attribute = attribute.map_err(|e| e.to_string())?;
                    let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|e| e.to_string())?.into_owned();
                    let name = called(attribute.key.as_ref(), resolver.resolve_attribute(attribute.key));
                    found.entry(name).or_default().push(value);
                }
                if matches!(event, Event::Start(_)) {
                    path.push(name);
                }
            }
            Event::End(_) => {
                let owner = path.iter().rposition(|name| !name.starts_with("rdf:")).filter(|at| {
                    at.checked_sub(2).and_then(|outer| path.get(outer..*at)).is_some_and(|outer| outer == ["rdf:RDF", "rdf:Description"])
                });
                if let (false, Some(owner)) = (gathered.trim().is_empty(), owner) {
                    found.entry(path[owner].clone()).or_default().push(gathered.trim().to_owned());
                }
                gathered.clear();
                path.pop();
            }
            Event::Text(text) => gathered.push_str(&text.xml10_content()),
            Event::CData(data) => gathered.push_str(&data.xml10_content()),
            Event::GeneralRef(reference) => {
                let resolved = reference.resolve_char_ref().ok().flatten().map(String::from);
                let named = || quick_xml::escape::resolve_predefined_entity(&reference).map(str::to_owned);
                gathered.push_str(&resolved.or_else(named).unwrap_or_default());
            }
            // A document type could define entities that grow without end.
            Event::DocType(_) => return Err("it has a document type".into()),
            Event::Eof => return Ok(found),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_programs_write() {
        let xmp = r#"<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description exif:GPSLatitude="52,31.5N" exif:GPSLongitude="13,24,36W">
            <dc:description><rdf:Alt><rdf:li xml:lang="x-default">Salt &amp; &quot;Pepper&quot;</rdf:li></rdf:Alt></dc:description>
            <dc:subject><rdf:Bag><rdf:li>R&amp;B</rdf:li><rdf:li>sea</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"#;
        let found = properties(xmp.as_bytes()).expect("readable");
        assert_eq!(found["dc:description"], ["Salt & \"Pepper\""]);
        assert_eq!(found["dc:subject"], ["R&B", "sea"]);
        assert_eq!((gps(&found["exif:GPSLatitude"][0]), gps(&found["exif:GPSLongitude"][0])), (Some(52.525), Some(-13.41)));
        let odd = r#"<rdf:RDF><rdf:Description keepsake:Memory="1" xmlns:k="urn:keepsake:media:1#" k:Attachment="a"><dc:title><![CDATA[A & B]]></dc:title>
            <o:region><rdf:Description dc:title="of a face"><dc:title>of a face</dc:title></rdf:Description></o:region></rdf:Description></rdf:RDF>"#;
        let found = properties(odd.as_bytes()).expect("readable");
        assert_eq!(found["dc:title"], ["A & B"], "what a region is called is another thing");
        assert_eq!((found.get("keepsake:Memory"), found["keepsake:Attachment"].as_slice()), (None, ["a".to_owned()].as_slice()));
        assert!(is_language("zh-Hant") && !is_language("German, I think") && !is_language(""));
        assert!(properties(b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>").is_err());
        assert!(properties("<a>".repeat(100).as_bytes()).is_err());
    }
}
