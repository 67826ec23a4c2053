//! The secret word of a share: 256 random bits that stand in its link. Only their SHA-256 is kept.

use data_encoding::BASE64URL_NOPAD;
use keepsake_record::Sha256Digest;
use keepsake_vault::Ambient;
use zeroize::Zeroizing;

use crate::{CustodyError, CustodyResult};

const BYTES: usize = 32;
/// What a link begins with that no server answers.
const SCHEME: &str = "keepsake-share:";
/// Where the server has what links lead to.
const FOLDER: &str = "s";
/// So that the digest is of nothing else by chance.
const DOMAIN: &[u8] = b"keepsake share\0";

/// What opens a share; never printed.
pub struct ShareToken(Zeroizing<[u8; BYTES]>);

impl ShareToken {
    pub(super) fn fresh(ambient: &dyn Ambient) -> Self {
        let mut bytes = Zeroizing::new([0; BYTES]);
        ambient.fill(bytes.as_mut());
        Self(bytes)
    }

    /// Reads a link, or the word in it.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(link: &str) -> CustodyResult<Self> {
        let word = link.trim().rsplit(['/', ':']).next().unwrap_or_default();
        let decoded = Zeroizing::new(BASE64URL_NOPAD.decode(word.as_bytes()).unwrap_or_default());
        match <[u8; BYTES]>::try_from(decoded.as_slice()) {
            Ok(bytes) => Ok(Self(Zeroizing::new(bytes))),
            Err(_) => Err(CustodyError::Usage("that is no link to an export: copy it whole, as `keepsake export share` showed it".into())),
        }
    }

    pub(super) fn hash(&self) -> Sha256Digest {
        Sha256Digest::of(&Zeroizing::new([DOMAIN, self.0.as_slice()].concat()))
    }

    /// What the share is known by: the beginning of the digest, which leads to no word.
    pub(super) fn id(&self) -> String {
        self.hash().to_string()[..16].to_owned()
    }

    pub(super) fn link(&self, base: Option<&str>) -> Zeroizing<String> {
        let word = Zeroizing::new(BASE64URL_NOPAD.encode(self.0.as_slice()));
        Zeroizing::new(match base {
            Some(base) => format!("{base}/{FOLDER}/{}", word.as_str()),
            None => format!("{SCHEME}{}", word.as_str()),
        })
    }
}

/// What links begin with, without `/` at the end; nothing, if nothing is set.
pub(super) fn checked_base(base: &str) -> CustodyResult<Option<String>> {
    let base = base.trim_end_matches('/');
    if base.is_empty() {
        return Ok(None);
    }
    let wrong = |problem: &str| Err(CustodyError::Usage(format!("links cannot begin with `{base}`: {problem}")));
    let host = |rest: &str| rest.split(['/', ':']).next().unwrap_or_default().to_owned();
    if base.chars().any(|c| !c.is_ascii_graphic() || matches!(c, '?' | '#' | '@' | '\\' | '"' | '<' | '>')) {
        return wrong("it needs the form https://HOST[:PORT][/PATH], without a user, `?` and `#`");
    }
    match (base.strip_prefix("https://"), base.strip_prefix("http://")) {
        (Some(rest), _) if !host(rest).is_empty() => Ok(Some(base.to_owned())),
        (_, Some(rest)) if matches!(host(rest).as_str(), "localhost" | "127.0.0.1") => Ok(Some(base.to_owned())),
        (_, Some(_)) => wrong("whoever is on the way would read them: it needs https://"),
        _ => wrong("it needs the form https://HOST[:PORT][/PATH]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemClock;

    #[test]
    fn links_lead_back_to_their_word() {
        let token = ShareToken::fresh(&SystemClock);
        for base in [None, Some("https://example.org/keep"), Some("http://localhost:8080")] {
            let link = token.link(base);
            let again = ShareToken::parse(&format!(" {}\n", link.as_str())).expect("a link");
            assert_eq!((again.hash(), again.id()), (token.hash(), token.id()));
            assert!(!link.contains(&token.id()));
        }
        for bad in ["", "keepsake-share:", "keepsake-share:AAAA", "https://example.org/s/", &format!("{}A", token.link(None).as_str())] {
            assert!(ShareToken::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn links_begin_with_what_nobody_reads_on_the_way() {
        assert_eq!(checked_base("").expect("nothing"), None);
        assert_eq!(checked_base("https://example.org/").expect("good").as_deref(), Some("https://example.org"));
        for bad in ["example.org", "http://example.org", "https://", "https://me:x@example.org", "https://a?b", "ftp://a", "https://a b"] {
            assert!(checked_base(bad).is_err(), "{bad}");
        }
    }
}
