//! What is said: sentences and tables for people, one JSON object a line for programs. The only place that prints.

use std::{
    collections::BTreeMap,
    io::{IsTerminal, Write},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

/// Where words go.
#[derive(Debug, Clone)]
pub struct Output {
    json: bool,
    quiet: bool,
    /// The last word of the verb, until it is known how it ends.
    last: Arc<Mutex<Option<Value>>>,
}

impl Output {
    pub fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet, last: Arc::default() }
    }

    pub fn is_json(&self) -> bool {
        self.json
    }

    /// A sentence or a table for people.
    pub fn say(&self, text: impl AsRef<str>) {
        if !self.json && !self.quiet {
            put(&mut std::io::stdout(), text.as_ref());
        }
    }

    /// What was asked for itself, which not even `--quiet` holds back.
    pub fn give(&self, text: impl AsRef<str>) {
        if !self.json {
            put(&mut std::io::stdout(), text.as_ref());
        }
    }

    /// Something that is not as it should be, for people.
    pub fn warn(&self, text: impl AsRef<str>) {
        if !self.json && !self.quiet {
            put(&mut std::io::stderr(), &format!("{} {}", paint("warning:", "33"), text.as_ref()));
        }
    }

    /// One object of a list, for programs.
    pub fn object(&self, value: &Value) {
        if self.json {
            put(&mut std::io::stdout(), &value.to_string());
        }
    }

    /// An event while something goes on, for programs.
    pub fn event(&self, event: &str, mut value: Value) {
        if let Some(fields) = value.as_object_mut() {
            fields.insert("event".into(), json!(event));
        }
        self.object(&value);
    }

    /// The last word of a verb, for programs. It is said at the end, when it is known how all copies came out.
    pub fn summary(&self, code: u8, mut value: Value) {
        if let Some(fields) = value.as_object_mut() {
            fields.insert("exit_code".into(), json!(code));
        }
        *self.last.lock().expect("no holder panics") = Some(value);
    }

    /// Says the last word. Destinations that lack something make a verb that was complete one that is not.
    pub fn end(&self, code: u8, missed: &BTreeMap<String, String>) -> u8 {
        let code = if code == crate::exit::COMPLETE && !missed.is_empty() { crate::exit::SKIPPED } else { code };
        for (destination, reason) in missed {
            self.warn(format!("destination `{destination}` lacks what was written now: {reason}"));
        }
        if !missed.is_empty() {
            self.say("`keepsake destination sync` makes up for it, and so does the next backup.");
        }
        if let Some(mut value) = self.last.lock().expect("no holder panics").take() {
            if let Some(fields) = value.as_object_mut() {
                let own = fields.get("exit_code").and_then(Value::as_u64).unwrap_or(0) as u8;
                let code = if own == crate::exit::COMPLETE { code } else { own };
                fields.insert("exit_code".into(), json!(code));
                fields.insert("outcome".into(), json!(crate::exit::name(code)));
                if !missed.is_empty() {
                    fields.insert("missed_copies".into(), json!(missed));
                }
            }
            self.event("summary", value);
        }
        code
    }

    /// The last word of a verb that failed.
    pub fn error(&self, outcome: &str, message: &str, code: Option<u8>) {
        if self.json {
            self.event("error", json!({ "outcome": outcome, "message": message, "exit_code": code }));
        } else {
            put(&mut std::io::stderr(), &format!("{} {message}", paint("error:", "31")));
        }
    }
}

/// Colour only on a terminal whose owner did not ask for none.
fn paint(word: &str, colour: &str) -> String {
    let wanted = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    if wanted { format!("\x1b[1;{colour}m{word}\x1b[0m") } else { word.to_owned() }
}

/// A reader that went away (`| head`) is no error.
fn put(stream: &mut dyn Write, text: &str) {
    drop(writeln!(stream, "{text}"));
}

/// Asks a yes-or-no question on the terminal; without one, or without an answer, the answer is no.
pub fn confirm(question: &str) -> bool {
    if !std::io::stdin().is_terminal() {
        return false;
    }
    drop(write!(std::io::stderr(), "{question} [y/N] "));
    drop(std::io::stderr().flush());
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).is_ok() && ["y", "yes"].contains(&answer.trim().to_lowercase().as_str())
}
