//! The world that typst sees: a template, the volume as data, its pictures, and a date. Nothing else can be reached.

use std::{collections::HashMap, sync::Arc};

use typst::{
    Library, LibraryExt, World,
    diag::{FileError, FileResult},
    foundations::{Binding, Bytes, Datetime, Duration, Value},
    syntax::{FileId, RootedPath, Source, VirtualPath, VirtualRoot},
    text::{Font, FontBook},
    utils::LazyHash,
};

use crate::Fonts;

/// Everything that a volume is made of.
pub(crate) struct Closed {
    library: LazyHash<Library>,
    fonts: Arc<Fonts>,
    main: FileId,
    sources: HashMap<FileId, Source>,
    files: HashMap<FileId, Bytes>,
    date: Option<Datetime>,
}

/// Names of files are remembered for as long as the program runs, and there can be 65,535 of them (`typst_syntax::FileId`): volume after volume uses
/// the same ones.
fn id(path: &str) -> FileId {
    RootedPath::new(VirtualRoot::Project, VirtualPath::new(path).expect("our own names are paths")).intern()
}

/// What templates can call: everything but what makes programs of words (`eval`) or of bytes (`plugin`).
fn library() -> Library {
    let mut library = Library::builder().build();
    for name in ["eval", "plugin"] {
        if let Some(binding) = library.global.scope_mut().get_mut(name) {
            *binding = Binding::detached(Value::None);
        }
    }
    library.std = Binding::detached(library.global.clone());
    library
}

impl Closed {
    /// `files` by path, such as `/m/0`.
    pub fn new(fonts: Arc<Fonts>, template: &str, files: impl IntoIterator<Item = (String, Vec<u8>)>, date: Option<Datetime>) -> Self {
        Self::of(fonts, "/book.typ", [("/book.typ".to_owned(), template.to_owned())], files, date)
    }

    /// With sources by path, one of which is where setting begins.
    pub fn of(
        fonts: Arc<Fonts>,
        main: &str,
        sources: impl IntoIterator<Item = (String, String)>,
        files: impl IntoIterator<Item = (String, Vec<u8>)>,
        date: Option<Datetime>,
    ) -> Self {
        let source = |(path, text): (String, String)| (id(&path), Source::new(id(&path), text));
        Self {
            library: LazyHash::new(library()),
            fonts,
            main: id(main),
            sources: sources.into_iter().map(source).collect(),
            files: files.into_iter().map(|(path, bytes)| (id(&path), Bytes::new(bytes))).collect(),
            date,
        }
    }
}

impl World for Closed {
    fn library(&self) -> &LazyHash<Library> {
        &self.library
    }

    fn book(&self) -> &LazyHash<FontBook> {
        self.fonts.book()
    }

    fn main(&self) -> FileId {
        self.main
    }

    fn source(&self, id: FileId) -> FileResult<Source> {
        self.sources.get(&id).cloned().ok_or(FileError::AccessDenied)
    }

    fn file(&self, id: FileId) -> FileResult<Bytes> {
        self.files.get(&id).cloned().ok_or(FileError::AccessDenied)
    }

    fn font(&self, index: usize) -> Option<Font> {
        self.fonts.font(index)
    }

    fn today(&self, _offset: Option<Duration>) -> Option<Datetime> {
        self.date
    }
}

#[cfg(test)]
mod tests {
    use typst_layout::PagedDocument;

    use super::*;

    fn compiles(template: &str) -> Result<(), String> {
        let files = [("/m/0".to_owned(), b"a plugin".to_vec()), ("/volume.json".to_owned(), b"{}".to_vec())];
        let world = Closed::new(Arc::new(Fonts::load([""; 0])), template, files, None);
        typst::compile::<PagedDocument>(&world).output.map(drop).map_err(|errors| errors[0].message.to_string())
    }

    #[test]
    fn nothing_leads_out() {
        assert_eq!(compiles("#json(\"/volume.json\").len()"), Ok(()));
        for template in [
            "#read(\"/etc/passwd\")",
            "#read(\"../../../../etc/passwd\")",
            "#image(\"/etc/passwd\")",
            "#include \"/etc/passwd\"",
            "#import \"@preview/cetz:0.3.0\"",
            "#plugin(\"/m/0\")",
            "#datetime.today()",
            "#eval(\"1 + 1\")",
            "#std.eval(\"1 + 1\")",
            "#std.plugin(bytes(\"x\"))",
        ] {
            assert!(compiles(template).is_err(), "{template}");
        }
    }

    /// The names of files are remembered for good, and there can be 65,535: a program that runs for years makes more volumes than that.
    #[test]
    fn volume_after_volume_has_the_same_names() {
        let first = id("/m/7");
        for _ in 0..70_000 {
            assert_eq!(id("/m/7"), first);
        }
    }
}
