//! Runs the real program in a home of its own.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

pub struct Home {
    pub folder: tempfile::TempDir,
}

pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Panics unless the program ended with this code.
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "out: {}\nerr: {}", self.out, self.err);
        self
    }

    /// The last JSON object of the output: the summary, or the one object.
    pub fn json(&self) -> Value {
        let line = self.out.lines().last().unwrap_or_else(|| panic!("no output; err: {}", self.err));
        serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))
    }
}

pub fn command(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keepsake"));
    command.env_clear().env("KEEPSAKE_HOME", home).env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("USER", "tester");
    command.stdin(std::process::Stdio::null());
    command
}

impl Home {
    /// A folder without a home.
    pub fn none() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    pub fn new() -> Self {
        let home = Self::none();
        home.run(&["init", "--yes", "--quiet"]).ended(0);
        home
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    #[must_use]
    pub fn run(&self, args: &[&str]) -> Ran {
        let Output { status, stdout, stderr } = command(&self.path()).args(args).output().expect("the program starts");
        Ran {
            code: status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&stdout).into_owned(),
            err: String::from_utf8_lossy(&stderr).into_owned(),
        }
    }

    /// Runs with `--json`; every line must be an object.
    #[must_use]
    pub fn json(&self, args: &[&str]) -> Ran {
        let ran = self.run(&[args, &["--json"]].concat());
        for line in ran.out.lines() {
            assert!(serde_json::from_str::<Value>(line).is_ok_and(|v| v.is_object()), "{args:?}: {line}");
        }
        ran
    }

    pub fn count(&self) -> usize {
        self.json(&["memory", "list"]).ended(0).out.lines().count()
    }
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// The real data, or `None` with a line that says so; in CI its absence fails.
pub fn data(name: &str) -> Option<PathBuf> {
    let root = std::env::var("KEEPSAKE_TEST_DATA").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data").into());
    let path = Path::new(&root).join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "no test data at {}", path.display());
    println!("no test data at {}: this test was not run", path.display());
    None
}

pub fn files(root: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(root) else { return Vec::new() };
    entries.map(|e| e.expect("an entry").path()).flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Asks veraPDF whether a file is PDF/A-3a and PDF/UA-1.
pub fn check_pdf(file: &Path) {
    let Some(check) = std::env::var_os("KEEPSAKE_CHECK_PDF") else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "KEEPSAKE_CHECK_PDF is not set: run scripts/test");
        println!("no KEEPSAKE_CHECK_PDF: veraPDF was not asked; scripts/test asks it");
        return;
    };
    let asked = Command::new(check).arg(file).output().expect("it runs");
    assert!(asked.status.success(), "{}{}", String::from_utf8_lossy(&asked.stdout), String::from_utf8_lossy(&asked.stderr));
}
