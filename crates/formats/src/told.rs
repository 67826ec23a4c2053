//! What is told of a memory in words, the same wherever people read it: what it is called, when it was, what a picture shows.

use keepsake_record::{Attachment, AttachmentRole, LocalDay, Memory, When, Zone};

use crate::{
    names::Names,
    text::{self, Block},
};

/// A heading that is made of the first words has at most so many characters.
const HEADING_CHARS: usize = 60;

/// What a memory is called: its title, its day, or its first words.
pub fn heading(memory: &Memory, blocks: &[Block]) -> String {
    let title = memory.title.clone().filter(|title| !title.trim().is_empty());
    let heading = title.or_else(|| memory.when.day.map(long_day)).or_else(|| first_words(blocks));
    heading.unwrap_or_else(|| "Without a title".into())
}

/// The month that a memory belongs to.
pub fn month(day: Option<LocalDay>) -> String {
    day.map_or_else(|| "Without a day".to_owned(), |day| day.to_jiff().strftime("%B %Y").to_string())
}

/// A day in words.
pub fn long_day(day: LocalDay) -> String {
    day.to_jiff().strftime("%-d %B %Y").to_string()
}

/// When something was, as exactly as is known.
pub fn when(when: &When) -> Option<String> {
    let zone = when.zone.as_ref();
    if let Some(instant) = when.instant {
        let zoned = zone.and_then(Zone::to_jiff).map(|zone| instant.to_jiff().to_zoned(zone));
        let zoned = zoned.unwrap_or_else(|| instant.to_jiff().to_zoned(jiff::tz::TimeZone::UTC));
        let zone = zone.map_or("UTC", |zone| zone.as_str());
        return Some(format!("{}, {zone}", zoned.strftime("%A, %-d %B %Y, %H:%M")));
    }
    match (when.day, &when.edtf) {
        (_, Some(edtf)) => {
            let clock = edtf.as_str().parse::<jiff::civil::DateTime>().ok().filter(|_| edtf.as_str().contains('T'));
            Some(clock.map_or_else(|| edtf.as_str().to_owned(), |at| at.strftime("%A, %-d %B %Y, %H:%M").to_string()))
        }
        (Some(day), None) => Some(long_day(day)),
        (None, None) => None,
    }
}

fn first_words(blocks: &[Block]) -> Option<String> {
    let words = blocks.iter().find_map(|block| match block {
        Block::Paragraph(pieces) | Block::Heading(_, pieces) => Some(text::plain(pieces)).filter(|words| !words.trim().is_empty()),
        _ => None,
    })?;
    let short: String = words.trim().chars().take(HEADING_CHARS).collect();
    Some(if short.len() < words.trim().len() { format!("{}…", short.trim_end()) } else { short })
}

/// What belongs to another attachment is not shown beside it.
pub fn is_shown(attachment: &Attachment) -> bool {
    !matches!(attachment.role, AttachmentRole::LiveVideo | AttachmentRole::Raw | AttachmentRole::Sidecar)
}

/// Words for those who cannot see an attachment; never empty. `true`: somebody wrote them, and they were not made up of what is known.
pub fn description(attachment: &Attachment, memory: &Memory, names: &Names) -> (String, bool) {
    let said = [&attachment.alt, &attachment.caption].into_iter().flatten().find(|words| !words.trim().is_empty());
    if let Some(said) = said {
        return (said.clone(), true);
    }
    let kind = match attachment.media_type.split('/').next() {
        Some("image") => "Photo",
        Some("video") => "Film",
        Some("audio") => "Recording",
        _ => "Document",
    };
    let day = attachment.captured.as_ref().and_then(|when| when.day).or(memory.when.day).map(long_day);
    let place = memory.place.as_ref().and_then(|id| names.places.get(&id.to_string()));
    let known = [Some(kind.to_owned()), Some(attachment.name.clone()), day, place.cloned()];
    (known.into_iter().flatten().collect::<Vec<_>>().join(", "), false)
}
