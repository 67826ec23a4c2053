//! What filters take, and what they say of mistakes.

use keepsake_record::{Membership, PersonId, PlaceId, Timestamp, When};

use super::*;

const ID: &str = "01900000-0000-7000-8000-0000000000aa";

fn named() -> Named {
    let mut named = Named::default();
    let id = |n: u8| format!("01900000-0000-7000-8000-0000000000{n:02x}");
    note(&mut named.collections, &id(1), ["Trip"]);
    note(&mut named.people, &id(2), ["Ada Lovelace", "Ada"]);
    note(&mut named.places, &id(3), ["Alfama", "Lisbon"]);
    named.positions.insert(id(3), Position::new(38.711, -9.13).expect("a point"));
    named
}

fn memory() -> Memory {
    let mut memory = Memory::new(ID.parse().expect("an id"), Timestamp::from_micros(0).expect("a time"));
    memory.when = When::day("2024-03-17".parse().expect("a day"));
    memory.text = "Two swallows over the *Río*".into();
    memory.tags.insert("trip/sea".parse().expect("a tag"));
    let [collection, person, place] = [1, 2, 3].map(|n: u8| format!("01900000-0000-7000-8000-0000000000{n:02x}"));
    memory.collections.push(Membership { collection: collection.parse().expect("an id"), ..membership() });
    memory.people.insert(person.parse::<PersonId>().expect("an id"));
    memory.place = Some(place.parse::<PlaceId>().expect("an id"));
    memory
}

fn membership() -> Membership {
    serde_json::from_str(r#"{"collection":"01900000-0000-7000-8000-000000000001"}"#).expect("a membership")
}

fn takes(filter: &str) -> bool {
    let filter: Filter = filter.parse().unwrap_or_else(|e| panic!("{filter}: {e}"));
    Chosen::new(&filter, named()).unwrap_or_else(|e| panic!("{}: {e}", filter.as_str())).takes(&memory())
}

#[test]
fn terms_mean_what_they_say() {
    let cases = [
        ("from:2024-03-17 to:2024-03-17", true),
        ("from:2024 to:2024", true),
        ("from:2024-03 to:2024-03", true),
        ("to:2024-02", false),
        ("from:2025", false),
        ("kind:photo,entry", true),
        ("kind:photo", false),
        ("visibility:public", false),
        ("tag:trip", true),
        ("tag:Trip/Sea", true),
        ("tag:tri", false),
        ("collection:trip person:ada place:lisbon", true),
        ("person:\"Ada Lovelace\"", true),
        ("near:38.7,-9.1,5km", true),
        ("near:38.7,-9.1,500m", false),
        ("text:SWALLOWS", true),
        ("text:\"rio swallows\"", true),
        ("text:gull", false),
        ("undated", false),
        ("starred or tag:trip", true),
        ("not starred", true),
        ("not (tag:trip or starred)", false),
        ("(from:2025 or to:2024) and not undated", true),
        ("not not tag:trip", true),
        ("tag:#trip/ and sensitivity:normal", true),
        ("not sensitivity:sensitive", true),
    ];
    for (filter, expected) in cases {
        assert_eq!(takes(filter), expected, "{filter}");
    }
    assert!(takes(&format!("id:{ID}")) && !takes("id:01900000-0000-7000-8000-0000000000ab"));
}

#[test]
fn mistakes_are_named() {
    let cases = [
        ("", "it is empty"),
        ("swallow", "`swallow` is no term"),
        ("colour:red", "`colour:` is no term"),
        ("from:yesterday", "is no date"),
        ("from:2024-13", "is no date"),
        ("to:2024-13", "is no date"),
        ("kind:dream", "there is no `dream`; there are audio, document"),
        ("tag:", "nothing stands after `tag:`"),
        ("near:1,2", "needs degrees north"),
        ("near:91,2,3", "needs degrees north"),
        ("near:1,2,NaN", "needs degrees north"),
        ("(tag:a", "is not closed"),
        ("tag:a)", "has no `(` before it"),
        ("tag:\"a", "a quotation mark is not closed"),
        ("tag:a or", "something is missing"),
        ("tag:a and", "something is missing"),
        ("and tag:a", "something is missing"),
        ("tag:a and and tag:b", "something is missing"),
        ("tag:a and or tag:b", "something is missing"),
        ("text:🐦", "holds no word to look for"),
        ("not", "something is missing"),
        ("()", "something is missing"),
        ("id:7", "is no id of a memory"),
    ];
    for (filter, expected) in cases {
        let error = filter.parse::<Filter>().expect_err(filter).to_string();
        assert!(error.contains(expected), "{filter}: {error}");
    }
    let deep = format!("{}tag:a{}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(deep.parse::<Filter>().expect_err("deep").to_string().contains("too deep"));
    let typo: Filter = "not tag:privat".parse().expect("understood");
    let typo = Chosen::new(&typo, named()).expect("tags are not known before");
    assert!(typo.takes(&memory()));
    assert!(
        typo.refuse_unknown_tags()
            .expect_err("no memory has it")
            .to_string()
            .contains("the tag `privat`, which no memory has; there are trip/sea …")
    );
    let unknown: Filter = "person:Grace".parse().expect("understood");
    let error = Chosen::new(&unknown, named()).expect_err("nobody of that name").to_string();
    assert_eq!(error, "the filter names the person `Grace`, which is not there; there are ada, ada lovelace …");
}

#[test]
fn days_bound_what_is_read() {
    let days = |filter: &str| {
        let chosen = Chosen::new(&filter.parse().expect(filter), named()).expect(filter);
        let (first, last) = chosen.days();
        [first, last].map(|day| day.map(|day| day.to_string()))
    };
    let some = |day: &str| Some(day.to_owned());
    assert_eq!(days("from:2024"), [some("2024-01-01"), None]);
    assert_eq!(days("from:2023 kind:photo to:2024 from:2024-02"), [some("2024-02-01"), some("2024-12-31")]);
    assert_eq!(days("from:2024 or starred"), [None, None], "some may be earlier");
    assert_eq!(days("not from:2024"), [None, None]);
    assert_eq!(days("from:2024 not tag:trip"), [None, None], "where tags are, is not known before");
}

proptest::proptest! {
    #[test]
    fn no_text_is_too_odd(text in "(\\PC|[()\"\\\\: ]|tag:|near:|from:|not |or ){0,40}") {
        // Whatever it says, it says it.
        if let Err(error) = text.parse::<Filter>() {
            assert!(error.to_string().starts_with("the filter cannot be understood: "));
        }
    }
}
