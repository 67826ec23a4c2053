//! The answer to PROPFIND (RFC 4918, 13).

use quick_xml::{Reader, events::Event};

/// A file or a folder on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its path below the root; of a folder with `/` at the end.
    pub path: String,
    /// Its length; of a folder 0.
    pub bytes: u64,
    pub is_folder: bool,
}

/// More entries in one folder are no answer to anything that we keep.
const ENTRIES: usize = 1_000_000;

/// Reads a multistatus; what is not below `root` (a path that begins and ends with `/`) is left out.
pub(crate) fn entries(xml: &[u8], root: &str) -> Result<Vec<Entry>, String> {
    let mut reader = Reader::from_reader(xml);
    let mut found = Vec::new();
    // An answer that was cut off must not pass for a short one.
    let mut ended = false;
    let (mut element, mut href, mut length, mut is_folder) = (String::new(), String::new(), 0, false);
    loop {
        match reader.read_event().map_err(|e| e.to_string())? {
            Event::Start(start) => {
                element = start.local_name().as_ref().to_owned();
                if element == "response" {
                    (href, length, is_folder) = (String::new(), 0, false);
                }
                is_folder |= element == "collection";
            }
            Event::Empty(empty) => is_folder |= empty.local_name().as_ref() == "collection",
            Event::Text(text) => match element.as_str() {
                "href" => href.push_str(text.trim()),
                "getcontentlength" => length = text.trim().parse().map_err(|_| "a length is no number")?,
                _ => {}
            },
            Event::End(end) => {
                ended |= end.local_name().as_ref() == "multistatus";
                if end.local_name().as_ref() == "response" {
                    if found.len() == ENTRIES {
                        return Err("it is longer than any that it should give".into());
                    }
                    found.extend(entry(&href, root, length, is_folder));
                }
                element.clear();
            }
            Event::Eof if ended => return Ok(found),
            Event::Eof => return Err("it was cut off".into()),
            _ => {}
        }
    }
}

fn entry(href: &str, root: &str, bytes: u64, is_folder: bool) -> Option<Entry> {
    // An absolute URL, or a path.
    let path = match href.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => href,
    };
    let path = unescaped(path)?;
    let below = path.strip_prefix(root)?.trim_matches('/');
    // Nothing that a server names may lead out of the folder.
    if below.is_empty() || below.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return None;
    }
    Some(Entry {
        path: if is_folder { format!("{below}/") } else { below.to_owned() },
        bytes: if is_folder { 0 } else { bytes },
        is_folder,
    })
}

fn unescaped(path: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_several_servers() {
        let xml = br#"<?xml version="1.0"?><D:multistatus xmlns:D="DAV:">
            <D:response><D:href>/dav/</D:href><D:propstat><D:prop><D:resourcetype><D:collection/></D:resourcetype></D:prop></D:propstat></D:response>
            <D:response><D:href>http://h:80/dav/keys/</D:href><D:propstat><D:prop><D:resourcetype><D:collection></D:collection></D:resourcetype></D:prop></D:propstat></D:response>
            <D:response><D:href>/dav/co%6Efig</D:href><D:propstat><D:prop><D:resourcetype/><D:getcontentlength>155</D:getcontentlength></D:prop></D:propstat></D:response>
            <D:response><D:href>/dav/../etc/passwd</D:href><D:propstat><D:prop><D:getcontentlength>1</D:getcontentlength></D:prop></D:propstat></D:response>
            <D:response><D:href>/elsewhere/x</D:href></D:response></D:multistatus>"#;
        let found = entries(xml, "/dav/").expect("a list");
        let of = |path: &str, bytes, is_folder| Entry { path: path.into(), bytes, is_folder };
        assert_eq!(found, [of("keys/", 0, true), of("config", 155, false)]);
    }

    #[test]
    fn nonsense_is_an_error_or_nothing() {
        assert!(entries(b"", "/").is_err());
        let cut = b"<multistatus><response><href>/x</href></response>";
        assert!(entries(cut, "/").is_err(), "an answer that was cut off");
        assert!(entries(b"<a><b></a>", "/").is_err());
        assert!(entries(b"<r><response><href>/x</href><getcontentlength>much</getcontentlength></response></r>", "/").is_err());
        assert_eq!(entries(b"<multistatus><response><href>/%zz</href></response></multistatus>", "/"), Ok(vec![]));
    }
}
