//! What of a template makes a page do more than be read: whoever got it from others is told.

use super::{Kind, Problem, Set};

/// What a browser loads or leads to.
const ADDRESSES: [&str; 6] = ["src=", "srcset=", "href=", "action=", "url(", "@import"];

impl Set {
    /// What in pages of it runs programs or leads elsewhere, as far as its own words show it. What its writer hides from this is not found.
    pub fn reaches_out(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        if self.manifest.kind == Kind::Typst {
            return found;
        }
        for (path, bytes) in &self.files {
            for (at, line) in String::from_utf8_lossy(bytes).lines().enumerate() {
                let line = line.to_ascii_lowercase();
                let mut tell = |message: &str| found.push(Problem { line: Some(at + 1), ..Problem::of(path, message) });
                if line.contains("<script") {
                    tell("this is a program: it runs in the browser of whoever opens the page, and sees what is on it");
                }
                let is_elsewhere = ["http:", "https:", "\"//", "'//", "(//"].iter().any(|begin| line.contains(begin));
                if is_elsewhere && ADDRESSES.iter().any(|name| line.contains(name)) {
                    tell("this leads to another machine, which learns of it when the page is opened or the link is followed");
                }
            }
        }
        found
    }
}
