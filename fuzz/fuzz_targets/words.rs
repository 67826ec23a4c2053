//! What is put into photos: the bytes are a picture, or a packet of XMP that another is merged into.
#![no_main]

use keepsake_formats::{
    copies,
    xmp::{Things, merged, told},
};
use keepsake_record::{Attachment, Memory, MemoryId};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut memory = Memory::new(MemoryId::from_bytes([0; 16]), "2024-01-01T00:00:00Z".parse().expect("valid"));
    memory.title = Some("A title".into());
    memory.tags.insert("sea".parse().expect("valid"));
    let words = told(&memory, &Attachment::new("a", "a.jpg", "image/jpeg"), &Things::default());
    if copies::takes_words(bytes) {
        drop(copies::told(bytes, &words));
    } else {
        drop(merged(bytes, &words));
    }
});
