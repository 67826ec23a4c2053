//! What arrives from outside is settled once, at the door: no U+0000, no integers that JSON readers would round.

use serde_json::Value;

/// Replaces U+0000, which no database or XML file can hold, by U+FFFD. Everything else stays as it came.
pub fn settle_text(text: &mut String) {
    if text.contains('\0') {
        *text = text.replace('\0', "\u{FFFD}");
    }
}

/// The largest integer that every JSON reader keeps exactly (RFC 8785, section 3.2.2.3).
const EXACT_MAX: u64 = 1 << 53;

/// Settles a free JSON value: text as [`settle_text`], integers beyond 2^53 as strings.
pub fn settle_value(value: &mut Value) {
    match value {
        Value::String(text) => settle_text(text),
        Value::Array(items) => items.iter_mut().for_each(settle_value),
        Value::Object(fields) => {
            if fields.keys().any(|key| key.contains('\0')) {
                let old = std::mem::take(fields);
                fields.extend(old.into_iter().map(|(mut key, value)| {
                    settle_text(&mut key);
                    (key, value)
                }));
            }
            fields.values_mut().for_each(settle_value);
        }
        Value::Number(number) => {
            let big = number.as_u64().is_some_and(|n| n > EXACT_MAX) || number.as_i64().is_some_and(|n| n.unsigned_abs() > EXACT_MAX);
            if big {
                *value = Value::String(number.to_string());
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}
