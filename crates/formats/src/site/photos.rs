//! Photos: small ones to look at, galleries by month, and a page for each.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use keepsake_record::{Attachment, AttachmentRole, Medium, Memory, layout};

use super::{
    Making, Out,
    article::PLAYED,
    chain::{Chain, Step},
    frame::{Frame, count, up},
    index::Listed,
};
use crate::{markup::Markup, names::Names, pictures, told};

/// The longest side of a small picture, in pixels: sharp where a page shows it.
const SIDE_MAX: u32 = 640;
/// Longer originals are not decoded.
const PICTURE_BYTES_MAX: u64 = 256 << 20;
/// So many photos are made small at once, and wait in memory to be written.
const BATCH: usize = 64;
/// So many photos stand on a page of a gallery.
const GALLERY: usize = 120;
/// A page is called by so many characters of what its photo shows.
const TITLE_CHARS: usize = 100;
/// Each takes up to three quarters of a GiB with what it decodes.
const THREADS_MAX: usize = 4;
/// What browsers show as it is.
const SHOWN: [&str; 5] = ["image/jpeg", "image/png", "image/gif", "image/webp", "image/avif"];

/// A small picture: its path and its sides, or nothing to see.
pub(super) struct Preview {
    small: Option<(String, u32, u32)>,
}

impl Preview {
    pub fn write(&self, out: &mut Markup, up: &str, alt: &str) {
        match &self.small {
            Some((path, width, height)) => {
                let (width, height) = (width.to_string(), height.to_string());
                let attributes =
                    [("src", &*format!("{up}{path}")), ("alt", alt), ("width", &width), ("height", &height), ("loading", "lazy")];
                out.void("img", &attributes);
            }
            None => {
                out.words("span", &[("class", "gone"), ("dir", "auto")], alt);
            }
        }
    }
}

/// The photos of the month that is being written.
pub(super) struct Photos {
    month: String,
    /// By path of the original; `None`: nothing can be shown of it.
    known: BTreeMap<String, Option<(u32, u32)>>,
    /// Those that have a page.
    paged: BTreeSet<String>,
    galleries: Chain,
    pages: Chain,
    months: Vec<(String, String, u64)>,
}

impl Default for Photos {
    fn default() -> Self {
        Self {
            month: String::new(),
            known: BTreeMap::new(),
            paged: BTreeSet::new(),
            galleries: Chain::new("gallery"),
            pages: Chain::new(""),
            months: Vec::new(),
        }
    }
}

fn photos_of(memory: &Memory) -> impl Iterator<Item = (&Attachment, &Medium)> {
    memory.attachments.iter().filter(|a| a.media_type.starts_with("image/")).filter_map(|a| Some((a, a.medium.as_ref()?)))
}

/// How many memories, from the first on, have photos enough for a batch; at least one.
pub(super) fn batch(memories: &[Memory]) -> usize {
    let mut photos = 0;
    let fits = |memory: &&Memory| {
        photos += photos_of(memory).count();
        photos <= BATCH
    };
    memories.iter().take_while(fits).count().max(1)
}

fn media_path(memory: &Memory, attachment: &Attachment, medium: &Medium) -> String {
    layout::media_path(memory.when.day, &attachment.name, &medium.sha256)
}

/// A file that goes with an original, as another one of its name: bytes that have two endings are two originals.
fn inside(folder: &str, media: &str, ending: &str) -> String {
    format!("{folder}/{}.{ending}", media.strip_prefix("media/").unwrap_or(media))
}

/// The page of a photo.
pub(super) fn page_of(memory: &Memory, attachment: &Attachment) -> String {
    attachment.medium.as_ref().map_or_else(String::new, |medium| inside("photos", &media_path(memory, attachment, medium), "html"))
}

/// Whether a browser shows it without running anything of it.
pub(super) fn is_harmless(media_type: &str) -> bool {
    SHOWN.contains(&media_type) || PLAYED.contains(&media_type) || ["application/pdf", "text/plain"].contains(&media_type)
}

/// A length for people.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} kB", bytes.div_ceil(1_000)),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

impl Photos {
    /// How many photos there are.
    pub fn count(&self) -> u64 {
        self.months.iter().map(|(.., photos)| photos).sum()
    }

    /// What can be shown of an attachment; `None`: it is not here.
    pub fn preview(&self, memory: &Memory, attachment: &Attachment) -> Option<Preview> {
        let path = media_path(memory, attachment, attachment.medium.as_ref()?);
        let sides = self.known.get(&path)?;
        Some(Preview { small: sides.map(|(width, height)| (inside("small", &path, "jpg"), width, height)) })
    }

    /// Makes the photos of memories of one day small, on all cores. Answers those of which nothing can be shown, each with the reason.
    pub fn prepare(&mut self, memories: &[Memory], making: &Making<'_>, out: &mut Out<'_>) -> io::Result<Vec<(String, String)>> {
        let month =
            memories.first().and_then(|memory| memory.when.day).map_or_else(|| "undated".into(), |day| day.to_string()[..7].to_owned());
        if self.month != month {
            self.month = month;
            self.known.clear();
            self.paged.clear();
        }
        let mut wanted: BTreeMap<String, (&Medium, String)> = BTreeMap::new();
        for memory in memories {
            for (attachment, medium) in photos_of(memory) {
                let path = media_path(memory, attachment, medium);
                if !self.known.contains_key(&path) {
                    wanted.entry(path).or_insert_with(|| (medium, format!("{} of {}", attachment.name, memory.id)));
                }
            }
        }
        let wanted: Vec<(String, (&Medium, String))> = wanted.into_iter().collect();
        let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
        let work = || {
            while let Some((_, (medium, _))) = wanted.get(next.fetch_add(1, Ordering::Relaxed)).map(|(path, it)| (path, it)) {
                let made = small(medium, making);
                let mut done = done.lock().expect("no holder panics");
                let _ = done.insert(medium.sha256, made);
            }
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(wanted.len()).min(THREADS_MAX);
        if threads <= 1 {
            work();
        } else {
            std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
        }
        let done = done.into_inner().expect("no holder panics");
        let mut problems = Vec::new();
        for (path, (medium, name)) in wanted {
            let sides = match &done[&medium.sha256] {
                Ok(picture) => {
                    out(&inside("small", &path, "jpg"), &picture.jpeg)?;
                    Some((picture.width, picture.height))
                }
                Err(reason) => {
                    problems.push((name, reason.clone()));
                    None
                }
            };
            self.known.insert(path, sides);
        }
        Ok(problems)
    }

    /// Puts the photos of a memory into the gallery of its month, and gives each a page.
    pub fn show(
        &mut self,
        memory: &Memory,
        names: &Names,
        listed: &Listed,
        month: &str,
        title: &str,
        frame: &Frame,
        out: &mut Out<'_>,
    ) -> io::Result<()> {
        for (attachment, medium) in photos_of(memory).filter(|(attachment, _)| told::is_shown(attachment)) {
            let path = page_of(memory, attachment);
            if !self.paged.insert(path.clone()) {
                continue;
            }
            if self.months.last().is_none_or(|(last, ..)| last != month) {
                self.months.push((month.to_owned(), title.to_owned(), 0));
                self.galleries.begin(&format!("photos/{month}.html"), &format!("Photos, {title}"), frame, out)?;
            } else if self.galleries.is_full(GALLERY, usize::MAX) {
                self.galleries.go_on(frame, out)?;
            }
            if let Some((.., photos)) = self.months.last_mut() {
                *photos += 1;
            }
            let (alt, _) = told::description(attachment, memory, names);
            let (mut item, up) = (Markup::default(), up(self.galleries.path()));
            item.raw("<li>").open("a", &[("href", &format!("{up}{path}"))]);
            if let Some(preview) = self.preview(memory, attachment) {
                preview.write(&mut item, &up, &alt);
            }
            item.raw("</a></li>\n");
            self.galleries.add(&item);
            let title: String = alt.chars().take(TITLE_CHARS).collect();
            self.pages.begin(&path, &title, frame, out)?;
            let page = self.page(memory, attachment, medium, &alt, listed, names);
            self.pages.add(&page);
        }
        Ok(())
    }

    fn page(&self, memory: &Memory, attachment: &Attachment, medium: &Medium, alt: &str, listed: &Listed, names: &Names) -> Markup {
        let up = up(&page_of(memory, attachment));
        let original = format!("{up}{}", media_path(memory, attachment, medium));
        let mut out = Markup::default();
        let mut attributes = vec![("href", &*original)];
        attributes.extend((!is_harmless(&attachment.media_type)).then_some(("download", &*attachment.name)));
        out.raw("<figure class=\"large\">").open("a", &attributes);
        if SHOWN.contains(&attachment.media_type.as_str()) {
            out.void("img", &[("src", &original), ("alt", alt)]);
        } else if let Some(preview) = self.preview(memory, attachment) {
            preview.write(&mut out, &up, alt);
        }
        out.raw("</a>");
        if let Some(caption) = attachment.caption.as_ref().filter(|caption| !caption.trim().is_empty()) {
            out.words("figcaption", &[("dir", "auto")], caption);
        }
        out.raw("</figure>\n<ul class=\"facts\">");
        let mut fact = |words: &str| {
            out.words("li", &[("dir", "auto")], words);
        };
        attachment.captured.as_ref().or(Some(&memory.when)).and_then(told::when).iter().for_each(|when| fact(when));
        memory.place.as_ref().and_then(|id| names.places.get(&id.to_string())).into_iter().for_each(|place| fact(place));
        attachment.camera.iter().for_each(|camera| fact(camera));
        if let (Some(width), Some(height)) = (attachment.width, attachment.height) {
            fact(&format!("{width} × {height}"));
        }
        attributes.push(("dir", "auto"));
        out.raw("<li>").words("a", &attributes, &attachment.name);
        out.raw(" ").words("span", &[("class", "count")], &size(medium.bytes)).raw("</li>");
        let partners = memory.attachments.iter().filter(|other| other.of.as_deref() == Some(&attachment.key));
        for (partner, medium) in partners.filter_map(|partner| Some((partner, partner.medium.as_ref()?))) {
            let kind = match partner.role {
                AttachmentRole::LiveVideo => "Film: ",
                AttachmentRole::Raw => "Raw: ",
                AttachmentRole::Edited => "Edited: ",
                _ => "With it: ",
            };
            let address = format!("{up}{}", media_path(memory, partner, medium));
            out.raw("<li>").text(kind).words("a", &[("dir", "auto"), ("href", &address)], &partner.name).raw("</li>");
        }
        out.raw("</ul>\n<p>").words("a", &[("dir", "auto"), ("href", &format!("{up}{}", listed.address))], &listed.heading).raw("</p>\n");
        out
    }

    /// Writes what is open, and the list of galleries.
    pub fn end(&mut self, frame: &Frame, out: &mut Out<'_>) -> io::Result<()> {
        self.galleries.end(frame, out)?;
        self.pages.end(frame, out)?;
        let mut body = Markup::default();
        body.raw("<h1>Photos</h1>");
        if self.months.is_empty() {
            body.raw("<p>There are none.</p>");
        } else {
            body.raw("<ul class=\"list\">");
            for (month, title, photos) in &self.months {
                body.raw("<li>").words("a", &[("href", &format!("{month}.html"))], title).raw(" ");
                body.words("span", &[("class", "count")], &count(*photos, "photo", "photos")).raw("</li>");
            }
            body.raw("</ul>");
        }
        frame.write(&Step { path: "photos/index.html".into(), title: "Photos".into() }, &body, None, None, out)
    }
}

fn small(medium: &Medium, making: &Making<'_>) -> Result<pictures::Picture, String> {
    if medium.bytes > PICTURE_BYTES_MAX {
        return Err("it is too long for a picture".into());
    }
    let original = making.originals.read(&medium.sha256, medium.bytes)?;
    // One strange photo does not keep the others from their pages.
    let made = || pictures::printable_with(&original, SIDE_MAX, making.programs, &making.space);
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(made)).unwrap_or_else(|_| Err("its decoder failed".into()))
}
