//! What people and programs write as a date is read without making anything up.

use keepsake_record::{When, Zone};

fn show(text: &str, zone: Option<&str>) -> String {
    let zone = zone.map(|z| z.parse::<Zone>().expect("zone"));
    match When::parse(text, zone.as_ref()) {
        Ok(when) => serde_json::to_string(&when).expect("JSON"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn reads_days_instants_local_times_and_partial_dates() {
    assert_eq!(show("2024-03-17", None), r#"{"day":"2024-03-17"}"#);
    assert_eq!(show("2024-03-17T23:30:00+02:00", None), r#"{"day":"2024-03-17","instant":"2024-03-17T21:30:00Z","zone":"+02:00"}"#);
    assert_eq!(
        show("2020-10-12T19:44:30Z", Some("Australia/Darwin")),
        r#"{"day":"2020-10-13","instant":"2020-10-12T19:44:30Z","zone":"Australia/Darwin"}"#
    );
    assert_eq!(
        show("2024-03-17T10:00:00", Some("Europe/Berlin")),
        r#"{"day":"2024-03-17","instant":"2024-03-17T09:00:00Z","zone":"Europe/Berlin"}"#
    );
    assert_eq!(
        show("2024-03-17T00:30:00+01:00", Some("America/New_York")),
        r#"{"day":"2024-03-17","instant":"2024-03-16T23:30:00Z","zone":"+01:00"}"#
    );
    assert_eq!(
        show("2024-03-17T00:30:00+01:00", Some("Europe/Berlin")),
        r#"{"day":"2024-03-17","instant":"2024-03-16T23:30:00Z","zone":"Europe/Berlin"}"#
    );
    assert_eq!(show("2024-03-17T10:00:00", None), r#"{"day":"2024-03-17","edtf":"2024-03-17T10:00:00"}"#);
    assert_eq!(show("1978-06~", None), r#"{"edtf":"1978-06~"}"#);
    assert_eq!(show("next week", None), "date: `next week` is neither a day, an instant nor an EDTF date");
    assert_eq!(show("2023-02-29", None), "date: `2023-02-29` is neither a day, an instant nor an EDTF date");
}
