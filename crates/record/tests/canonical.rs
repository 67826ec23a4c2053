//! Canonical JSON: RFC 8785's own examples, and round trips of whatever a memory can hold.

use keepsake_record::{Attachment, Memory, MemoryId, canonical_value, settle_value};
use proptest::prelude::*;
use serde_json::json;

#[test]
fn follows_rfc_8785() {
    let value = json!({"\u{20ac}": "Euro Sign", "\r": "Carriage Return", "1": "One", "\u{1F600}": "Smiley", "\u{80}": "Control", "\u{00f6}": "o", "\u{fb33}": "Dagesh",
        "numbers": [333_333_333.333_333_3_f64, 1e30, 4.5, 2e-3, 1e-27], "literals": [null, true, false]});
    assert_eq!(
        canonical_value(&value),
        "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\"\u{80}\":\"Control\",\"ö\":\"o\",\"€\":\"Euro Sign\",\"😀\":\"Smiley\",\"\u{fb33}\":\"Dagesh\"}"
    );
}

#[test]
fn integers_that_readers_would_round_become_strings() {
    let mut value =
        json!({"big": 9_007_199_254_740_993_u64, "fits": 9_007_199_254_740_992_u64, "neg": -9_007_199_254_740_993_i64, "nul": "a\u{0}b"});
    settle_value(&mut value);
    assert_eq!(
        value,
        json!({"big": "9007199254740993", "fits": 9_007_199_254_740_992_u64, "neg": "-9007199254740993", "nul": "a\u{FFFD}b"})
    );
}

#[test]
fn fields_of_newer_versions_survive() {
    let line = br#"{"attachments":[{"key":"a","mediaType":"image/png","name":"a.png","role":"original","tint":3}],"created":"2024-01-01T00:00:00Z","id":"00000000-0000-7000-8000-000000000001","kind":"note","modified":"2024-01-01T00:00:00Z","mood":{"joy":0.5},"when":{}}"#;
    let memory = Memory::from_line(line).expect("readable");
    assert_eq!(String::from_utf8(memory.to_line()).expect("UTF-8"), String::from_utf8_lossy(line));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn a_line_reads_back_as_the_same_memory(text in any::<String>(), title in proptest::option::of(any::<String>()), number in any::<f64>(), id in any::<[u8; 16]>()) {
        let mut memory = Memory::new(MemoryId::from_bytes(id), "2024-01-01T00:00:00.000001Z".parse().expect("valid"));
        memory.text = text;
        memory.title = title;
        memory.custom.insert("n".into(), json!(if number.is_finite() { number } else { 0.0 }));
        memory.attachments.push(Attachment::new("k", "n.jpg", "image/jpeg"));
        memory.settle();
        let line = memory.to_line();
        let back = Memory::from_line(&line).expect("readable");
        prop_assert_eq!(back.to_line(), line);
        prop_assert_eq!(&back.text, &memory.text);
    }
}
