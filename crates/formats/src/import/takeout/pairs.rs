//! Which sidecar of a folder says something of which file, and which files belong to others.
//!
//! Surer ways go first, and a sidecar is taken once: by its name, by the title in it, by what is left of a name that was cut, by a name without its ending.

use std::collections::{BTreeMap, HashMap};

use keepsake_record::{AttachmentRole, Kind};

use super::names;
use crate::import::{InputFile, media_type};

/// A sidecar: where it is, and the name that it says its file had.
pub(super) struct Sidecar<'a> {
    pub file: &'a InputFile,
    pub title: String,
}

/// A file that is a memory, with what belongs to it.
#[derive(Debug)]
pub(super) struct Item<'a> {
    pub main: &'a InputFile,
    /// Its name without the number that its folder gave it.
    pub name: String,
    pub companions: Vec<(&'a InputFile, AttachmentRole)>,
    /// The number of its sidecar.
    pub sidecar: Option<usize>,
    /// Whether the sidecar is that of another file, which is not here.
    pub is_of_another: bool,
}

/// What became of a folder.
pub(super) struct Paired<'a> {
    pub items: Vec<Item<'a>>,
    /// Sidecars that say nothing of any file.
    pub left: Vec<usize>,
    /// Files that are no photo, film or recording, and that no sidecar names.
    pub others: Vec<&'a InputFile>,
}

struct Medium<'a> {
    file: &'a InputFile,
    name: String,
    number: Option<u32>,
    is_media: bool,
    sidecar: Option<usize>,
    is_of_another: bool,
    of: Option<(usize, AttachmentRole)>,
}

impl Medium<'_> {
    /// What files that belong together have alike.
    fn stem(&self) -> (String, Option<u32>) {
        (names::split(&self.name).0.to_lowercase(), self.number)
    }

    fn is_still(&self) -> bool {
        self.is_media && media_type::kind(&self.name) == Kind::Photo && !media_type::is_raw(&self.name)
    }

    fn is_film(&self) -> bool {
        media_type::kind(&self.name) == Kind::Video
    }

    /// Whether nothing says what it is yet.
    fn is_loose(&self) -> bool {
        self.sidecar.is_none() && self.of.is_none()
    }
}

struct Folder<'a, 's> {
    sidecars: &'s [Sidecar<'a>],
    taken: Vec<bool>,
    by_name: HashMap<(&'s str, Option<u32>), usize>,
    /// By the title's stem as it is compared.
    by_title: BTreeMap<String, Vec<usize>>,
    /// The same with the number, in small letters.
    by_stem: HashMap<(String, Option<u32>), Vec<usize>>,
}

type Way<'a, 's> = fn(&Folder<'a, 's>, &Medium<'_>) -> Option<usize>;

/// Pairs the files of one folder.
pub(super) fn pair<'a>(files: &[&'a InputFile], sidecars: &[Sidecar<'a>]) -> Paired<'a> {
    let mut media: Vec<Medium<'a>> = files.iter().map(|file| medium(file)).collect();
    // A film takes what its photo has left.
    media.sort_by(|a, b| (a.is_film(), &a.name, a.number).cmp(&(b.is_film(), &b.name, b.number)));
    let mut folder = Folder::of(sidecars);
    folder.give(&mut media, Folder::by_whole_name);
    for one in &mut media {
        one.is_media |= one.sidecar.is_some();
    }
    for way in [Folder::by_title, Folder::by_title_alone, Folder::by_cut_name, Folder::without_ending] {
        folder.give(&mut media, way);
    }
    companions(&mut media);
    for one in media.iter_mut().filter(|one| one.is_media && one.is_loose()) {
        if let Some(found) = folder.of_another(one) {
            folder.taken[found] = true;
            (one.sidecar, one.is_of_another) = (Some(found), true);
        }
    }
    let left = (0..sidecars.len()).filter(|at| !folder.taken[*at]).collect();
    assemble(media, left)
}

fn medium(file: &InputFile) -> Medium<'_> {
    let (name, number) = names::plain(file.name());
    Medium { file, name, number, is_media: media_type::is_media(&file.path), sidecar: None, is_of_another: false, of: None }
}

impl<'a, 's> Folder<'a, 's> {
    fn of(sidecars: &'s [Sidecar<'a>]) -> Self {
        let mut folder = Self {
            sidecars,
            taken: vec![false; sidecars.len()],
            by_name: HashMap::new(),
            by_title: BTreeMap::new(),
            by_stem: HashMap::new(),
        };
        for (at, sidecar) in sidecars.iter().enumerate() {
            let title = names::comparable(&sidecar.title);
            let (stem, name) = (names::split(&title).0, names::of_sidecar(sidecar.file.name()));
            folder.by_name.insert(name, at);
            folder.by_title.entry(stem.to_owned()).or_default().push(at);
            folder.by_stem.entry((stem.to_lowercase(), name.1)).or_default().push(at);
        }
        folder
    }

    /// Gives sidecars to files that have none, each to the first for which a way leads to it.
    fn give(&mut self, media: &mut [Medium<'_>], way: Way<'a, 's>) {
        for one in media.iter_mut().filter(|one| one.sidecar.is_none()) {
            if let Some(found) = way(self, one) {
                self.taken[found] = true;
                one.sidecar = Some(found);
            }
        }
    }

    fn free(&self, name: &str, number: Option<u32>) -> Option<usize> {
        self.by_name.get(&(name, number)).copied().filter(|at| !self.taken[*at])
    }

    /// `IMG(1).jpg.json`, `IMG.jpg(1).json`, `IMG(1).jpg(1).json` for `IMG(1).jpg`, with as much of `.supplemental-metadata` as there is.
    fn by_whole_name(&self, one: &Medium<'_>) -> Option<usize> {
        let found = |name: &str, number| names::sidecars_of(name).find_map(|name| self.free(&name, number));
        let numbered = || one.number.and_then(|_| found(&one.name, one.number).or_else(|| found(one.file.name(), one.number)));
        found(one.file.name(), None).or_else(numbered)
    }

    /// Free sidecars whose title is a file's name.
    fn titled(&self, name: &str) -> Vec<usize> {
        let name = names::comparable(name);
        let stem = names::split(&name).0;
        let is_one = |at: &usize| !self.taken[*at] && names::is_title(&name, &names::comparable(&self.sidecars[*at].title));
        let longer = self.by_title.range(stem.to_owned()..).take_while(|(title, _)| title.starts_with(stem));
        let most = if names::may_be_beginning(stem) { usize::MAX } else { 1 };
        longer.take(most).flat_map(|(_, all)| all).copied().filter(is_one).collect()
    }

    fn number(&self, sidecar: usize) -> Option<u32> {
        names::of_sidecar(self.sidecars[sidecar].file.name()).1
    }

    fn by_title(&self, one: &Medium<'_>) -> Option<usize> {
        self.titled(&one.name).into_iter().find(|at| one.is_media && self.number(*at) == one.number)
    }

    /// Where names were cut, numbers tell apart what had different names before; then only the title can say it.
    fn by_title_alone(&self, one: &Medium<'_>) -> Option<usize> {
        let is_cut = |at: &usize| names::is_cut_sidecar(names::of_sidecar(self.sidecars[*at].file.name()).0);
        match self.titled(&one.name).into_iter().filter(is_cut).collect::<Vec<_>>()[..] {
            [only] if one.is_media => Some(only),
            _ => None,
        }
    }

    fn by_cut_name(&self, one: &Medium<'_>) -> Option<usize> {
        names::cut_sidecars_of(&one.name).find_map(|name| self.free(name, one.number)).filter(|_| one.is_media)
    }

    fn without_ending(&self, one: &Medium<'_>) -> Option<usize> {
        names::sidecars_without_ending(&one.name).find_map(|name| self.free(&name, one.number)).filter(|_| one.is_media)
    }

    /// A film's or an edited copy's, when the file that the sidecar is of is not here.
    fn of_another(&self, one: &Medium<'_>) -> Option<usize> {
        let stem = names::split(&one.name).0;
        let mut stems = names::originals(stem, one.number);
        stems.insert(0, (stem.to_lowercase(), one.number));
        stems.into_iter().find_map(|(stem, number)| {
            let all = self.by_stem.get(&(names::comparable(&stem), number))?;
            all.iter().copied().find(|at| !self.taken[*at])
        })
    }
}

/// Finds what belongs to others: films of live photos, raw files, edited copies.
fn companions(media: &mut [Medium<'_>]) {
    let mut stems: HashMap<(String, Option<u32>), Vec<usize>> = HashMap::new();
    for (at, one) in media.iter().enumerate().filter(|(_, one)| one.is_media) {
        stems.entry(one.stem()).or_default().push(at);
    }
    let still = |media: &[Medium<'_>], stem: &(String, Option<u32>)| {
        let stills = || stems.get(stem).into_iter().flatten().copied().filter(|at| media[*at].is_still() && media[*at].of.is_none());
        stills().find(|at| media[*at].sidecar.is_some()).or_else(|| stills().next())
    };
    for at in 0..media.len() {
        if !media[at].is_loose() || media[at].is_still() {
            continue;
        }
        let one = &media[at];
        // `PXL.MP` and `MVIMG` are films of `PXL.MP.jpg` and `MVIMG.jpg`.
        let whole = (one.name.to_lowercase(), one.number);
        let role = if media_type::is_raw(&one.name) { AttachmentRole::Raw } else { AttachmentRole::LiveVideo };
        let main = still(media, &whole).or_else(|| still(media, &one.stem()).filter(|_| one.is_film() || role == AttachmentRole::Raw));
        media[at].of = main.map(|main| (main, role));
    }
    for at in 0..media.len() {
        let one = &media[at];
        if !one.is_loose() || !one.is_media {
            continue;
        }
        let stem = names::split(&one.name).0;
        let mains = names::originals(stem, one.number).into_iter().filter_map(|original| {
            let all = stems.get(&original)?;
            let same = all.iter().find(|other| media[**other].is_film() == one.is_film());
            Some(*same.or_else(|| all.first())?)
        });
        let main = mains.map(|main| media[main].of.map_or(main, |(main, _)| main)).find(|main| *main != at && media[*main].of.is_none());
        media[at].of = main.map(|main| (main, AttachmentRole::Edited));
    }
}

fn assemble(media: Vec<Medium<'_>>, left: Vec<usize>) -> Paired<'_> {
    let mut belonging: BTreeMap<usize, Vec<(&InputFile, AttachmentRole)>> = BTreeMap::new();
    for (one, (main, role)) in media.iter().filter_map(|one| Some((one, one.of?))) {
        belonging.entry(main).or_default().push((one.file, role));
    }
    let mut paired = Paired { items: Vec::new(), left, others: Vec::new() };
    for (at, one) in media.into_iter().enumerate().filter(|(_, one)| one.of.is_none()) {
        if !one.is_media {
            paired.others.push(one.file);
            continue;
        }
        let companions = belonging.remove(&at).unwrap_or_default();
        paired.items.push(Item { main: one.file, name: one.name, companions, sidecar: one.sidecar, is_of_another: one.is_of_another });
    }
    paired
}
