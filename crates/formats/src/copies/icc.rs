//! Profiles of colours (ICC.1:2022, 7; ICC.1:2001-04, 6): what turns numbers into colours is kept; who made a profile, for which screen of which
//! number, when and in which words, goes.

/// What turns numbers into colours.
const KEPT: [&[u8; 4]; 19] = [
    b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC", b"kTRC", b"wtpt", b"bkpt", b"chad", b"lumi", b"cicp", b"A2B0", b"A2B1", b"A2B2",
    b"B2A0", b"B2A1", b"B2A2", b"gamt",
];
/// Of the head: date, maker, model, creator and digest.
const CLEARED: [std::ops::Range<usize>; 3] = [24..36, 48..56, 80..100];
const HEAD: usize = 128;
/// More tags, or longer profiles, have none that pictures need.
const TAGS_MAX: usize = 100;
const BYTES_MAX: usize = 4 << 20;
const WORDS: &[u8] = b"Colours";

/// A profile without anything but colours; `None`: it is none.
pub(super) fn stripped(profile: &[u8]) -> Option<Vec<u8>> {
    let u32_at = |at: usize| Some(u32::from_be_bytes(profile.get(at..at + 4)?.try_into().ok()?) as usize);
    if profile.get(36..40)? != b"acsp" || profile.len() > BYTES_MAX {
        return None;
    }
    let count = u32_at(HEAD)?;
    if count > TAGS_MAX {
        return None;
    }
    let is_old = profile[8] < 4;
    let words = words(is_old);
    let mut tags: Vec<([u8; 4], Vec<u8>)> = vec![(*b"desc", words.clone()), (*b"cprt", if is_old { plain() } else { words })];
    for number in 0..count {
        let at = HEAD + 4 + 12 * number;
        let name: [u8; 4] = profile.get(at..at + 4)?.try_into().ok()?;
        let (offset, length) = (u32_at(at + 4)?, u32_at(at + 8)?);
        if KEPT.contains(&&name) {
            tags.push((name, profile.get(offset..offset.checked_add(length)?)?.to_vec()));
        }
    }
    let mut out = profile.get(..HEAD)?.to_vec();
    CLEARED.iter().for_each(|range| out[range.clone()].fill(0));
    out.extend((tags.len() as u32).to_be_bytes());
    let mut offset = HEAD + 4 + 12 * tags.len();
    // The three curves are often one: what is the same is there once.
    let mut bodies: Vec<(usize, &Vec<u8>)> = Vec::new();
    for (name, body) in &tags {
        let there = bodies.iter().find(|(_, known)| *known == body).map(|(at, _)| *at);
        out.extend_from_slice(name);
        out.extend((there.unwrap_or(offset) as u32).to_be_bytes());
        out.extend((body.len() as u32).to_be_bytes());
        if there.is_none() {
            bodies.push((offset, body));
            offset += body.len().next_multiple_of(4);
        }
    }
    for (_, body) in bodies {
        out.extend_from_slice(body);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    let length = (out.len() as u32).to_be_bytes();
    out[..4].copy_from_slice(&length);
    Some(out)
}

/// What a profile is called: each must be called something.
fn words(is_old: bool) -> Vec<u8> {
    if is_old {
        // An ASCII text with its end, then none in Unicode and none for old Macintoshes.
        let length = (WORDS.len() as u32 + 1).to_be_bytes();
        return [b"desc\0\0\0\0", &length[..], WORDS, &[0], &[0; 8], &[0; 3], &[0; 67]].concat();
    }
    let utf16: Vec<u8> = WORDS.iter().flat_map(|byte| [0, *byte]).collect();
    [b"mluc\0\0\0\0\0\0\0\x01\0\0\0\x0cenUS", &(utf16.len() as u32).to_be_bytes()[..], &28_u32.to_be_bytes(), &utf16].concat()
}

fn plain() -> Vec<u8> {
    [b"text\0\0\0\0", WORDS, &[0]].concat()
}
