//! Templates of typst: set in the closed world of books, with data that they read and no word of it as source.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use keepsake_formats::{
    book::Printed,
    template::{Problem, Setter, Sheet, Standard},
};
use serde_json::Value;
use typst::{
    World, WorldExt,
    diag::{SourceDiagnostic, Warned},
    foundations::Smart,
    syntax::DiagSpan,
};
use typst_layout::PagedDocument;
use typst_pdf::{PdfOptions, PdfStandard, PdfStandards};

use crate::{
    Press,
    coverage::Cover,
    setting::{ATTEMPTS, date_of, has_more_shapeless},
    tree::language,
    world::Closed,
};

/// What every template can import.
const LIBRARY: &str = include_str!("keepsake.typ");
/// Its path, and that of the data.
const LIBRARY_PATH: &str = "/keepsake.typ";
const DATA_PATH: &str = "/data.json";
/// So much of what is wrong is told.
const PROBLEMS_MAX: usize = 10;

impl Setter for Press {
    /// Bounded by what it is given alone: typst ends loops after 10,000 rounds and calls in each other after 80, but many loops take long. Whoever
    /// sets what others wrote gives up after a while.
    fn set(&self, sheet: &Sheet) -> Result<Printed, Vec<Problem>> {
        let mut refused = BTreeSet::new();
        let mut result = Err(vec![Problem::new("characters without a shape turn up again and again")]);
        for attempt in 1..=ATTEMPTS {
            let made = self.try_fill(sheet, &mut refused, attempt == ATTEMPTS);
            // What typst remembers of a sheet is of no use to the next.
            comemo::evict(0);
            if let Some(made) = made.transpose() {
                result = made;
                break;
            }
        }
        result
    }
}

impl Press {
    fn try_fill(&self, sheet: &Sheet, refused: &mut BTreeSet<char>, is_last: bool) -> Result<Option<Printed>, Vec<Problem>> {
        let known = refused.clone();
        let cover = Cover::new(&self.fonts, &known);
        let mut data = covered(&sheet.data, &cover);
        self.add_voices(&mut data);
        let replaced = cover.replaced();
        let world = self.world(sheet, &data);
        let Warned { output, .. } = typst::compile::<PagedDocument>(&world);
        let document = output.map_err(|errors| problems(&errors, &world))?;
        // One that stands in the template itself has no shape in the last attempt either.
        if has_more_shapeless(&document, refused) && !is_last {
            return Ok(None);
        }
        let standards: &[PdfStandard] = match sheet.set.manifest.standard {
            Standard::Plain => &[],
            Standard::Accessible => &[PdfStandard::Ua_1],
            Standard::Archival => &[PdfStandard::A_3a, PdfStandard::Ua_1],
        };
        let options = PdfOptions {
            ident: Smart::Custom(sheet.ident.clone()),
            creator: Smart::Custom(Some(self.creator.clone())),
            standards: PdfStandards::new(standards).map_err(|error| vec![Problem::new(error.message().to_string())])?,
            ..PdfOptions::default()
        };
        let file = typst_pdf::pdf(&document, &options).map_err(|errors| problems(&errors, &world))?;
        Ok(Some(Printed { file, pages: Some(document.pages().len()), replaced }))
    }

    fn world(&self, sheet: &Sheet, data: &Value) -> Closed {
        let set = &sheet.set;
        let is_source = |path: &str| path.ends_with(".typ");
        let sources = set.files.iter().filter(|(path, _)| is_source(path));
        let sources = sources.map(|(path, bytes)| (format!("/{path}"), String::from_utf8_lossy(bytes).into_owned()));
        let sources = sources.filter(|(path, _)| path != LIBRARY_PATH).chain([(LIBRARY_PATH.to_owned(), LIBRARY.to_owned())]);
        let own = set.files.iter().filter(|(path, _)| !is_source(path)).map(|(path, bytes)| (format!("/{path}"), bytes.clone()));
        let pictures = sheet.pictures.iter().map(|(path, bytes)| (path.clone(), bytes.clone()));
        let files = own.chain(pictures).chain([(DATA_PATH.to_owned(), data.to_string().into_bytes())]);
        Closed::of(Arc::clone(&self.fonts), &format!("/{}", set.manifest.entry), sources, files, date_of(sheet.date))
    }

    /// Tells for the whole and for each memory how typst calls its language, and which fonts it is set in.
    fn add_voices(&self, data: &mut Value) {
        let add = |value: &mut Value| {
            let Some(fields) = value.as_object_mut() else { return };
            let tag = fields.get("language").and_then(Value::as_str).unwrap_or("en").to_owned();
            fields.insert("lang".into(), language(&tag).into());
            fields.insert("fonts".into(), self.fonts.families(&tag).into());
        };
        add(data);
        data.get_mut("memories").and_then(Value::as_array_mut).into_iter().flatten().for_each(&add);
        data.get_mut("memory").into_iter().for_each(&add);
    }
}

/// Data of which every word can be printed. Where links lead (`["a", url, [words]]`), and where pictures are, is no word.
/// As deep as texts are, which are bounded.
fn covered(value: &Value, cover: &Cover) -> Value {
    match value {
        Value::String(words) => Value::String(cover.text(words).into_owned()),
        Value::Array(items) => {
            let is_link = matches!(items.as_slice(), [kind, _, Value::Array(_)] if kind == "a");
            let item = |(at, item): (usize, &Value)| if is_link && at == 1 { item.clone() } else { covered(item, cover) };
            items.iter().enumerate().map(item).collect()
        }
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| {
                let is_place = matches!(name.as_str(), "path" | "language");
                (name.clone(), if is_place { value.clone() } else { covered(value, cover) })
            };
            Value::Object(fields.iter().map(field).collect())
        }
        other => other.clone(),
    }
}

/// Errors as what is wrong with the template: where in its own files, if somewhere there.
fn problems(errors: &[SourceDiagnostic], world: &Closed) -> Vec<Problem> {
    let mut all: BTreeMap<Problem, ()> = BTreeMap::new();
    for error in errors {
        let places = std::iter::once(error.span).chain(error.trace.iter().map(|point| DiagSpan::from(point.span)));
        let mut found = places.filter_map(|span| place(span, world));
        let first = found.next();
        let own =
            first.clone().filter(|(file, _)| *file != LIBRARY_PATH[1..]).or_else(|| found.find(|(file, _)| *file != LIBRARY_PATH[1..]));
        let (file, line) = own.or(first).map_or((None, None), |(file, line)| (Some(file), Some(line)));
        let hints: String = error.hints.iter().map(|hint| format!("; {}", hint.v)).collect();
        all.insert(Problem { file, line, message: format!("{}{hints}", error.message) }, ());
    }
    all.into_keys().take(PROBLEMS_MAX).collect()
}

fn place(span: DiagSpan, world: &Closed) -> Option<(String, usize)> {
    let id = span.id()?;
    let range = world.range(span)?;
    let source = world.source(id).ok()?;
    let line = source.lines().byte_to_line(range.start)?;
    Some((id.get().vpath().get_without_slash().to_owned(), line + 1))
}
