//! What Google says of a bucket, in the words of all clouds (Cloud Storage JSON API, "Buckets" resource).

use serde_json::Value;

use crate::BucketState;

/// A text in an answer, by the names that lead to it; empty if it is not there.
pub(super) fn text<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    path.iter().try_fold(value, |value, name| value.get(name)).and_then(Value::as_str).unwrap_or_default()
}

/// A number, which Google writes as a text where it may be long.
pub(super) fn number(value: &Value, path: &[&str]) -> Option<u64> {
    let found = path.iter().try_fold(value, |value, name| value.get(name))?;
    found.as_u64().or_else(|| found.as_str()?.parse().ok())
}

pub(super) fn micros(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_microsecond)
}

pub(super) fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

/// Seconds as whole days, the last one begun.
fn days(seconds: u64) -> u64 {
    seconds.div_ceil(86_400)
}

/// What a rule does, in words, and whether it removes current objects ("Object Lifecycle Management").
fn rule_sentence(rule: &Value) -> (String, bool) {
    let condition = rule.get("condition").cloned().unwrap_or_default();
    let of = |name: &str| number(&condition, &[name]);
    let mut when = Vec::new();
    for (name, words) in [
        ("age", "that are NUMBER days old"),
        ("daysSinceNoncurrentTime", "that were replaced NUMBER days ago"),
        ("numNewerVersions", "with NUMBER newer ones"),
        ("daysSinceCustomTime", "NUMBER days after a time that they have"),
    ] {
        when.extend(of(name).map(|number| words.replace("NUMBER", &number.to_string())));
    }
    let date = text(&condition, &["createdBefore"]);
    when.extend((!date.is_empty()).then(|| format!("made before {date}")));
    let replaced = ["daysSinceNoncurrentTime", "numNewerVersions", "noncurrentTimeBefore"].iter().any(|name| condition.get(name).is_some());
    let is_old = replaced || condition.get("isLive") == Some(&Value::Bool(false));
    let what = if is_old { "old versions" } else { "objects" };
    let when = when.join(" and ");
    match text(rule, &["action", "type"]) {
        "Delete" => (format!("removes {what} {when}").trim_end().to_owned(), !is_old),
        "SetStorageClass" => (format!("moves {what} {when} to {}", text(rule, &["action", "storageClass"])), false),
        "AbortIncompleteMultipartUpload" => (format!("gives up unfinished uploads {when}"), false),
        other => (format!("does something that is not known here ({other})"), false),
    }
}

/// Reads what a bucket says of itself; `ours`: what the keys of our objects begin with.
pub(super) fn state_of(bucket: &Value, ours: &str) -> BucketState {
    let mut state = BucketState {
        versioning: Some(bucket.get("versioning").and_then(|v| v.get("enabled")) == Some(&Value::Bool(true))),
        locks: text(bucket, &["objectRetention", "mode"]) == "Enabled",
        ..BucketState::default()
    };
    let period = |path: &[&str]| number(bucket, path).filter(|seconds| *seconds > 0).map(days);
    state.default_lock = period(&["retentionPolicy", "retentionPeriod"]).map(|days| format!("a retention policy of {days} days"));
    if bucket.get("defaultEventBasedHold") == Some(&Value::Bool(true)) {
        state.default_lock = Some("an event-based hold".into());
    }
    state.undelete_days = period(&["softDeletePolicy", "retentionDurationSeconds"]);
    for rule in bucket.get("lifecycle").into_iter().flat_map(|lifecycle| list(lifecycle, "rule")) {
        let mut prefixes = rule.get("condition").into_iter().flat_map(|c| list(c, "matchesPrefix")).filter_map(Value::as_str).peekable();
        if prefixes.peek().is_some() && !prefixes.any(|prefix| prefix.starts_with(ours) || ours.starts_with(prefix)) {
            continue;
        }
        let (sentence, expires) = rule_sentence(rule);
        state.lifecycle.push(sentence);
        state.expires_objects |= expires;
    }
    state
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Answers as Google's reference prints them ("Buckets: get", "Manage object lifecycles").
    #[test]
    fn what_a_bucket_says_of_itself() {
        let bucket = json!({
            "versioning": { "enabled": true },
            "softDeletePolicy": { "retentionDurationSeconds": "604800", "effectiveTime": "2024-03-01T00:00:00Z" },
            "objectRetention": { "mode": "Enabled" },
            "lifecycle": { "rule": [
                { "action": { "type": "Delete" }, "condition": { "daysSinceNoncurrentTime": 7, "matchesPrefix": ["ours/"] } },
                { "action": { "type": "Delete" }, "condition": { "age": 3, "matchesPrefix": ["theirs/"] } },
                { "action": { "type": "SetStorageClass", "storageClass": "NEARLINE" }, "condition": { "age": 365, "isLive": true } },
                { "action": { "type": "AbortIncompleteMultipartUpload" }, "condition": { "age": 2 } },
            ] },
        });
        let state = state_of(&bucket, "ours/");
        assert_eq!((state.versioning, state.locks, state.undelete_days), (Some(true), true, Some(7)));
        assert_eq!((state.expires_objects, state.default_lock.as_deref()), (false, None));
        let rules = [
            "removes old versions that were replaced 7 days ago",
            "moves objects that are 365 days old to NEARLINE",
            "gives up unfinished uploads that are 2 days old",
        ];
        assert_eq!(state.lifecycle, rules);
        let deadly = json!({ "retentionPolicy": { "retentionPeriod": "2592000" },
            "lifecycle": { "rule": [{ "action": { "type": "Delete" }, "condition": { "age": 30 } }] } });
        let state = state_of(&deadly, "");
        assert_eq!((state.versioning, state.locks, state.undelete_days), (Some(false), false, None));
        assert!(state.expires_objects);
        assert_eq!(state.default_lock.as_deref(), Some("a retention policy of 30 days"));
    }
}
