//! What templates of text can do with values beside what minijinja brings: dates, Markdown, lengths.

use jiff::{civil, fmt::strtime, tz::TimeZone};
use minijinja::{Environment, Error, ErrorKind, Value};

use crate::{
    markup::{Markup, Surroundings},
    text,
};

/// No pattern of a date is longer.
const PATTERN_CHARS: usize = 100;

pub(super) fn add(env: &mut Environment<'static>) {
    env.add_filter("date", date);
    env.add_filter("markdown", markdown);
    env.add_filter("words", words);
    env.add_filter("md", escaped);
    env.add_filter("size", size);
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

/// A day or an instant in words: `{{ memory.when.day | date("%-d %B %Y") }}`, an instant in a zone.
fn date(value: &str, pattern: Option<&str>, zone: Option<&str>) -> Result<String, Error> {
    let pattern = pattern.unwrap_or("%-d %B %Y");
    if pattern.chars().count() > PATTERN_CHARS {
        return Err(wrong("a pattern of a date is at most 100 characters long".into()));
    }
    let zone = match zone {
        None => TimeZone::UTC,
        Some(name) => name
            .parse::<keepsake_record::Zone>()
            .ok()
            .and_then(|zone| zone.to_jiff())
            .ok_or_else(|| wrong(format!("there is no zone `{name}`: it is called like Europe/Lisbon or +01:00")))?,
    };
    let made = match (value.parse::<jiff::Timestamp>(), value.parse::<civil::Date>()) {
        (Ok(instant), _) => strtime::format(pattern, &instant.to_zoned(zone)),
        (_, Ok(day)) => strtime::format(pattern, day),
        _ => return Err(wrong(format!("`{}` is neither a day nor an instant", value.chars().take(40).collect::<String>()))),
    };
    made.map_err(|error| wrong(format!("`{pattern}` is no pattern of a date: {error}")))
}

struct Nowhere;

impl Surroundings for Nowhere {
    fn memory(&self, _: &str) -> Option<String> {
        None
    }

    fn attachment(&self, _: &str) -> Option<String> {
        None
    }

    fn figure(&self, markup: &mut Markup, _: &str, words: &str) {
        markup.words("p", &[("class", "gone"), ("dir", "auto")], words);
    }
}

/// Markdown as safe HTML.
fn markdown(value: &str) -> Value {
    let mut markup = Markup::default();
    markup.blocks(&text::parse(value), 3, &Nowhere);
    Value::from_safe_string(markup.into_string())
}

/// Markdown as its words.
fn words(value: &str) -> String {
    text::all(&text::parse(value)).trim_end().to_owned()
}

/// Words that stay words in Markdown (CommonMark 0.31, 2.4), wherever they stand.
fn escaped(value: &str) -> String {
    // White space at the beginning is none in Markdown: what follows it stands at the beginning.
    let value = value.trim_start();
    let mut out = String::with_capacity(value.len());
    let digits = value.bytes().take_while(u8::is_ascii_digit).count();
    for (at, c) in value.char_indices() {
        // What would begin a list or underline a heading does so at the beginning of a line alone.
        let begins = (at == 0 && matches!(c, '+' | '-' | '=')) || (at == digits && at > 0 && matches!(c, '.' | ')'));
        match c {
            '\n' | '\r' => out.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '~' | '&' => out.extend(['\\', c]),
            c if begins => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

/// A length for people.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} kB", bytes.div_ceil(1_000)),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_told_as_asked() {
        let of = |value: &str, pattern: Option<&str>, zone: Option<&str>| date(value, pattern, zone).map_err(|error| error.to_string());
        assert_eq!(of("2024-03-17", None, None), Ok("17 March 2024".into()));
        assert_eq!(of("2024-03-17T23:30:00Z", Some("%Y-%m-%d %H:%M"), Some("Asia/Tokyo")), Ok("2024-03-18 08:30".into()));
        for (value, pattern, zone) in
            [("soon", None, None), ("2024-03-17", Some("%!"), None), ("2024-03-17T23:30:00Z", None, Some("Nowhere/At_All"))]
        {
            assert!(of(value, pattern, zone).is_err(), "{value} {pattern:?} {zone:?}");
        }
        assert!(of("2024-03-17", Some(&"%Y".repeat(60)), None).is_err());
    }

    #[test]
    fn words_stay_words_in_markdown() {
        for odd in ["# a *b* _c_ [d](e) <f> `g` \\ | ~~h~~ &amp; ![i](j)", "- a", "+ a", "12. a", "3) a", "=== a", "a\nb"] {
            let shown = words(&escaped(odd));
            assert_eq!(shown, odd.replace('\n', " "), "{}", escaped(odd));
        }
        for odd in ["  - a", "\n+ a", " \t12. a"] {
            assert_eq!(words(&escaped(odd)), odd.trim_start(), "{odd}");
        }
        assert_eq!(escaped("17 March 2024, 10:00, +01:00"), "17 March 2024, 10:00, +01:00");
        assert_eq!(markdown("a <b> *c*").to_string(), "<p dir=\"auto\">a &lt;b&gt; <em>c</em></p>\n");
    }
}
