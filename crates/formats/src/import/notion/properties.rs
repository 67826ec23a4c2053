//! The properties of a page: dates and tags have a place of their own, the others are kept under their names.

use keepsake_record::{When, Zone};

use super::{
    super::{Draft, front_matter::custom},
    dates,
};

/// A property as it is shown.
#[derive(Debug, Default)]
pub(super) struct Property {
    pub name: String,
    pub value: String,
    /// Its type, which only HTML says: `created_time`, `multi_select` …
    pub kind: String,
}

/// What properties are called that say when a page was made or changed, where no type says it.
const CREATED: [&str; 5] = ["created", "created time", "created at", "date created", "creation date"];
const EDITED: [&str; 6] = ["last edited", "last edited time", "edited", "updated", "updated at", "last updated"];
const TAGS: [&str; 2] = ["tags", "tag"];

/// Moves what properties say into a draft. What they show stays under their names, since dates are shown without zone and seconds.
pub(super) fn apply(properties: Vec<Property>, zone: Option<&Zone>, draft: &mut Draft) {
    let (mut created, mut dated) = (None, Vec::new());
    for Property { name, value, kind } in properties {
        let called = name.to_lowercase();
        let is = |kinds: &str, names: &[&str]| kind == kinds || (kind.is_empty() && names.contains(&called.as_str()));
        let date = dates::read(&value, zone);
        if is("created_time", &CREATED) && date.is_some() {
            if let Some(at) = date.as_ref().and_then(|when| when.instant) {
                draft.memory.created = at;
                draft.memory.modified = at;
            }
            created = date;
        } else if is("last_edited_time", &EDITED) && date.is_some() {
            if let Some(at) = date.and_then(|when| when.instant) {
                draft.memory.modified = at;
            }
        } else if let Some(date) = date {
            dated.push((called == "date", kind == "date", date));
        } else if TAGS.contains(&called.as_str()) && ["", "multi_select", "select"].contains(&kind.as_str()) {
            let names: Result<Vec<_>, _> = value.split(',').filter(|tag| !tag.trim().is_empty()).map(str::parse).collect();
            if let Ok(names) = names {
                draft.memory.tags.extend(names);
                continue;
            }
        }
        if !value.is_empty() {
            let name = if name.is_empty() { "property".to_owned() } else { name };
            custom(draft, name, value.into());
        }
    }
    draft.memory.when = when(dated, created, draft.memory.title.as_deref(), zone);
    if let Some(at) = draft.memory.when.instant.filter(|_| draft.memory.modified < draft.memory.created) {
        draft.memory.modified = draft.memory.created.max(at);
    }
}

/// When a page was: the date that its owner gave it, the day that it is called after, or when it was made.
fn when(mut dated: Vec<(bool, bool, When)>, created: Option<When>, title: Option<&str>, zone: Option<&Zone>) -> When {
    // A property called "Date" first, then one that is a date by its type.
    dated.sort_by_key(|(is_called, is_date, _)| (!is_called, !is_date));
    let is_sure = |(is_called, is_date, _): &&(bool, bool, When)| *is_called || *is_date;
    let sure = dated.iter().find(is_sure).map(|(_, _, when)| when.clone());
    let only = || match &dated[..] {
        [(_, _, when)] => Some(when.clone()),
        _ => None,
    };
    sure.or_else(|| dates::read(title?, zone)).or_else(only).or(created).unwrap_or_default()
}
