//! Numbers as people read them.

use keepsake_record::Timestamp;

/// `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `3 memories`, `1 memory`.
pub fn of(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A number of bytes as people write it: `4 GiB`, `500MB`, `1048576`.
///
/// # Errors
/// What it should look like.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()));
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "tb" => 1e12,
        "kib" => 1024.0,
        "mib" => 1_048_576.0,
        "gib" => 1_073_741_824.0,
        "tib" => 1_099_511_627_776.0,
        _ => return Err(format!("`{text}` is no size: write it like 4 GiB or 500 MB")),
    };
    let number: f64 = number.parse().map_err(|_| format!("`{text}` is no size: write it like 4 GiB or 500 MB"))?;
    Ok((number * factor).round() as u64)
}

/// `1.4 MiB`.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = number as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{number} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// `3 hours ago`; the exact time stands beside it where it matters.
pub fn ago(then: &str, now: Timestamp) -> String {
    let Ok(then) = then.parse::<jiff::Timestamp>() else { return then.to_owned() };
    let seconds = now.to_jiff().as_second() - then.as_second();
    let (amount, unit) = match seconds.unsigned_abs() {
        0..=59 => return "just now".into(),
        60..=3599 => (seconds / 60, "minute"),
        3600..=86_399 => (seconds / 3600, "hour"),
        86_400..=2_591_999 => (seconds / 86_400, "day"),
        2_592_000..=31_535_999 => (seconds / 2_592_000, "month"),
        _ => (seconds / 31_536_000, "year"),
    };
    let plural = if amount.abs() == 1 { "" } else { "s" };
    if amount >= 0 { format!("{amount} {unit}{plural} ago") } else { format!("in {} {unit}{plural}", -amount) }
}

/// The day of an instant in microseconds, `2026-11-23` (UTC).
pub fn day(micros: i64) -> String {
    // No lock ends so late: that is how a legal hold is told.
    jiff::Timestamp::from_microsecond(micros).map_or_else(|_| "a hold ends".into(), |at| at.strftime("%Y-%m-%d").to_string())
}

/// The beginning of a text on one line.
pub fn line(text: &str, width: usize) -> String {
    let flat: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let safe: String = flat.chars().filter(|c| !c.is_control()).collect();
    if safe.chars().count() <= width { safe } else { safe.chars().take(width.saturating_sub(1)).collect::<String>() + "…" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_well() {
        assert_eq!((count(1_234_567), count(999), of(1, "memory", "memories")), ("1,234,567".into(), "999".into(), "1 memory".into()));
        assert_eq!((bytes(512), bytes(1536), bytes(3 << 30)), ("512 B".into(), "1.5 KiB".into(), "3.0 GiB".into()));
        let now = "2024-03-17T12:00:00Z".parse().expect("valid");
        assert_eq!(
            (ago("2024-03-17T11:00:00Z", now), ago("2024-03-15T12:00:00Z", now), ago("2024-03-17T11:59:59Z", now)),
            ("1 hour ago".into(), "2 days ago".into(), "just now".into())
        );
        assert_eq!(line("a\n b\x1b[31m  c", 20), "a b[31m c");
        assert_eq!(line("abcdef", 4), "abc…");
    }
}
