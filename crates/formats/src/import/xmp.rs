//! XMP beside a photo (`NAME.xmp`, `NAME.EXT.xmp`): ISO 16684-1, the few properties that people's programs write.

use std::collections::BTreeMap;

use keepsake_record::{Position, When, Zone};
use quick_xml::{Reader, XmlVersion, events::Event};

use super::Draft;

/// The longest sidecar, and the deepest nesting: beyond is no sidecar.
const BYTES_MAX: usize = 4 << 20;
const DEPTH_MAX: usize = 64;

/// Reads a sidecar into a draft. Answers what was wrong with it, if anything was.
pub(crate) fn apply(bytes: &[u8], zone: Option<&Zone>, draft: &mut Draft) -> Option<String> {
    let properties = match properties(bytes) {
        Ok(properties) => properties,
        Err(reason) => return Some(format!("its XMP cannot be read: {reason}")),
    };
    let one = |names: &[&str]| names.iter().find_map(|name| properties.get(*name)?.first()).cloned();
    let attachment = draft.memory.attachments.first_mut()?;
    if let Some(when) = one(&["exif:DateTimeOriginal", "photoshop:DateCreated", "xmp:CreateDate"]).and_then(|t| When::parse(&t, zone).ok())
    {
        attachment.captured = Some(when);
    }
    let degrees = |name: &str| one(&[name]).and_then(|text| gps(&text));
    if let (Some(latitude), Some(longitude)) = (degrees("exif:GPSLatitude"), degrees("exif:GPSLongitude")) {
        attachment.position = Position::new(latitude, longitude).ok().or(attachment.position);
    }
    if let Some(description) = one(&["dc:description"]) {
        attachment.caption = Some(description);
    }
    if let Some(title) = one(&["dc:title"]).filter(|t| t.chars().count() <= 1000) {
        draft.memory.title = Some(title);
    }
    draft.memory.tags.extend(properties.get("dc:subject").into_iter().flatten().filter_map(|tag| tag.parse().ok()));
    draft.people.extend(properties.get("Iptc4xmpExt:PersonInImage").into_iter().flatten().cloned());
    None
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

/// The text of every property, as element or attribute, lists flattened.
fn properties(bytes: &[u8]) -> Result<BTreeMap<String, Vec<String>>, String> {
    if bytes.len() > BYTES_MAX {
        return Err("it is longer than 4 MiB".into());
    }
    let text = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
    let mut reader = Reader::from_str(text);
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut path: Vec<String> = Vec::new();
    // The text of the innermost element so far; references stand between its pieces.
    let mut gathered = String::new();
    loop {
        let event = reader.read_event().map_err(|e| e.to_string())?;
        match event {
            Event::Start(element) | Event::Empty(element) if path.len() >= DEPTH_MAX => {
                return Err(format!("it is nested too deeply at `{}`", element.name().as_ref().escape_debug()));
            }
            Event::Start(ref element) | Event::Empty(ref element) => {
                gathered.clear();
                for attribute in element.attributes() {
                    let attribute = attribute.map_err(|e| e.to_string())?;
                    let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|e| e.to_string())?.into_owned();
                    found.entry(attribute.key.as_ref().to_owned()).or_default().push(value);
                }
                if matches!(event, Event::Start(_)) {
                    path.push(element.name().as_ref().to_owned());
                }
            }
            Event::End(_) => {
                let owner = path.iter().rev().find(|name| !name.starts_with("rdf:"));
                if let (false, Some(owner)) = (gathered.trim().is_empty(), owner) {
                    found.entry(owner.clone()).or_default().push(gathered.trim().to_owned());
                }
                gathered.clear();
                path.pop();
            }
            Event::Text(text) => gathered.push_str(&text.xml10_content()),
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
        assert!(properties(b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>").is_err());
        assert!(properties("<a>".repeat(100).as_bytes()).is_err());
    }
}
