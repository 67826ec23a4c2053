//! Templates of text, filled in with minijinja: values only, bounded in steps, memory and output, and no file but the template's own.

use std::{
    collections::BTreeMap,
    error::Error as _,
    io::{self, Write},
    thread,
};

use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value, escape_formatter, syntax::SyntaxConfig};

use super::{
    Kind, Problem, Set, chains, filters,
    view::{self, Head, View},
};
use crate::markup::Markup;

/// What filling in one file may take: an instruction is a step, and so are 64 bytes that are made. It bounds memory, too: to a GiB.
pub const STEPS_MAX: u64 = 16_000_000;
/// No file becomes longer.
pub const OUTPUT_BYTES_MAX: usize = 256 << 20;
/// Includes, macros and loops in each other; an include counts for ten.
const DEEP_MAX: usize = 200;
/// Reading goes as deep as a template is, on a stack of its own.
const STACK_BYTES: usize = 64 << 20;
/// So much of what is wrong is quoted.
const QUOTED_CHARS: usize = 80;

/// A template that is ready to be filled in.
pub struct Engine {
    env: Environment<'static>,
    entry: String,
}

impl Engine {
    /// Reads all files of a template.
    ///
    /// # Errors
    /// What is wrong, with file and line.
    pub fn new(set: &Set) -> Result<Self, Vec<Problem>> {
        let read = thread::scope(|scope| {
            let thread = thread::Builder::new().name("template".into()).stack_size(STACK_BYTES);
            thread.spawn_scoped(scope, || Self::read(set)).map(thread::ScopedJoinHandle::join)
        });
        let failed = |why: &str| Err(vec![Problem::new(why)]);
        match read {
            Ok(Ok(read)) => read,
            Ok(Err(_)) => failed("it makes what reads it fail"),
            Err(_) => failed("the system has no thread to read it with: try again when it has less to do"),
        }
    }

    fn read(set: &Set) -> Result<Self, Vec<Problem>> {
        let mut env = Environment::new();
        let kind = set.manifest.kind;
        env.set_undefined_behavior(UndefinedBehavior::Strict);
        env.set_auto_escape_callback(move |name| {
            let is_markup = [".html", ".htm", ".xhtml", ".xml", ".svg"].iter().any(|ending| name.to_ascii_lowercase().ends_with(ending));
            if kind == Kind::Html || is_markup { AutoEscape::Html } else { AutoEscape::None }
        });
        env.set_recursion_limit(DEEP_MAX);
        env.set_fuel(Some(STEPS_MAX));
        // So that an error can say which word it is about.
        env.set_debug(true);
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build();
        env.set_syntax(syntax.expect("its marks are the usual ones"));
        env.set_formatter(|out, state, value| match value.as_str() {
            Some(words) if !value.is_safe() && matches!(state.auto_escape(), AutoEscape::Html) => {
                // As everywhere: what no page may hold stands there as U+FFFD.
                let mut markup = Markup::default();
                markup.text(words);
                out.write_str(&markup.into_string()).map_err(Error::from)
            }
            _ => escape_formatter(out, state, value),
        });
        filters::add(&mut env);
        // Nothing that a template says makes words markup.
        env.remove_filter("safe");
        let mut problems = Vec::new();
        for (path, bytes) in &set.files {
            let Ok(text) = String::from_utf8(bytes.clone()) else { continue };
            if let Some(problem) = chains::refused(path, &text) {
                problems.push(problem);
                continue;
            }
            if let Err(error) = env.add_template_owned(path.clone(), text) {
                problems.push(problem(&error, path));
            }
        }
        if problems.is_empty() { Ok(Self { env, entry: set.manifest.entry.clone() }) } else { Err(problems) }
    }

    /// Fills in one file. `alone`: with a single memory.
    ///
    /// # Errors
    /// What is wrong, with file and line.
    pub fn fill(&self, head: &Head, memories: &[View], alone: bool, left_out: &[(String, String)]) -> Result<Vec<u8>, Problem> {
        let told = |error: Error| problem(&error, &self.entry);
        let mut out = Bounded { bytes: Vec::new(), is_full: false };
        let filled =
            self.env.get_template(&self.entry).map_err(told)?.render_captured_to(values(head, memories, alone, left_out), &mut out);
        if out.is_full {
            return Err(Problem::of(
                &self.entry,
                "what it makes is longer than 256 MiB: choose less with --filter, or make a file of each memory",
            ));
        }
        filled.map_err(told)?;
        Ok(out.bytes)
    }
}

/// Takes what is written, up to a length.
struct Bounded {
    bytes: Vec<u8>,
    is_full: bool,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > OUTPUT_BYTES_MAX {
            self.is_full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the template sees: markup of our own is markup to it, and nothing else is.
fn values(head: &Head, memories: &[View], alone: bool, left_out: &[(String, String)]) -> Value {
    let all: Vec<Value> = memories
        .iter()
        .map(|view| {
            let mut fields = fields_of(&view.fields);
            fields.extend(view.html.clone().map(|html| ("html".to_owned(), Value::from_safe_string(html))));
            Value::from(fields)
        })
        .collect();
    let mut values = match view::data(head, &[], false, left_out) {
        serde_json::Value::Object(fields) => fields_of(&fields),
        _ => BTreeMap::new(),
    };
    if let (true, [memory]) = (alone, all.as_slice()) {
        values.insert("memory".into(), memory.clone());
    }
    values.insert("memories".into(), Value::from(all));
    Value::from(values)
}

fn fields_of(fields: &serde_json::Map<String, serde_json::Value>) -> BTreeMap<String, Value> {
    fields.iter().map(|(name, value)| (name.clone(), value_of(value))).collect()
}

/// Our own data is not deep.
fn value_of(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::from(()),
        serde_json::Value::Bool(is_so) => Value::from(*is_so),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::from(number),
            (None, Some(number)) => Value::from(number),
            (None, None) => Value::from(number.as_f64().unwrap_or_default()),
        },
        serde_json::Value::String(words) => Value::from(words.as_str()),
        serde_json::Value::Array(items) => Value::from(items.iter().map(value_of).collect::<Vec<_>>()),
        serde_json::Value::Object(fields) => Value::from(fields_of(fields)),
    }
}

/// What went wrong, where it did: of includes in each other, the innermost.
fn problem(error: &Error, entry: &str) -> Problem {
    let mut innermost = error;
    let mut cause = error.source();
    while let Some(found) = cause {
        if let Some(found) = found.downcast_ref::<Error>() {
            innermost = found;
        }
        cause = found.source();
    }
    let quoted = innermost
        .range()
        .and_then(|range| innermost.template_source()?.get(range))
        .map(|source| source.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(QUOTED_CHARS).collect::<String>())
        .filter(|source| !source.is_empty());
    let detail = innermost.detail().map_or_else(|| innermost.kind().to_string(), str::to_owned);
    let message = match (innermost.kind(), quoted) {
        (ErrorKind::OutOfFuel, _) => {
            "it takes more than 16 million steps: it may never end, or there are too many memories for one file (choose less with --filter)"
                .to_owned()
        }
        (ErrorKind::UndefinedError, Some(quoted)) => format!("`{quoted}` is not there: `keepsake template show` tells what is ({detail})"),
        (ErrorKind::UndefinedError, None) => format!("something is not there: `keepsake template show` tells what is ({detail})"),
        (_, Some(quoted)) => format!("{detail} (at `{quoted}`)"),
        (_, None) => detail,
    };
    Problem { file: Some(innermost.name().unwrap_or(entry).to_owned()), line: innermost.line(), message }
}
