//! Running commands and reading what they took; numbers and words that a seed decides.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The programs that are compared.
pub struct Tools {
    pub keepsake: PathBuf,
    pub restic: PathBuf,
}

impl Tools {
    /// Builds ours for release and finds the newest stock restic.
    pub fn ready() -> Result<Self, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no root")?;
        let build = Command::new("cargo").args(["build", "--release", "-p", "keepsake"]).current_dir(root).status();
        if !build.map_err(|e| e.to_string())?.success() {
            return Err("the release build failed".into());
        }
        let fetched = root.join("target/tools/restic-new");
        let restic = if fetched.exists() { fetched } else { PathBuf::from("restic") };
        Ok(Self { keepsake: root.join("target/release/keepsake"), restic })
    }

    /// Runs our program on a home.
    pub fn keepsake(&self, home: &Path, args: &[&str]) -> Result<Measured, String> {
        measure(Command::new(&self.keepsake).env("KEEPSAKE_HOME", home).args(args))
    }

    /// Stock restic with a repository and a cache in `space`.
    pub fn restic(&self, space: &Path, args: &[&str]) -> Result<Measured, String> {
        let mut command = Command::new(&self.restic);
        command
            .env("RESTIC_PASSWORD", "bench")
            .env("RESTIC_CACHE_DIR", space.join("restic-cache"))
            .arg("-r")
            .arg(space.join("restic"))
            .args(args);
        measure(&mut command)
    }

    /// Stock restic on what a home keeps: its vault and its media.
    pub fn restic_backup(&self, space: &Path) -> Result<Measured, String> {
        let home = space.join("home");
        self.restic(space, &["backup", "-q", text(&home.join("vault.db")), text(&home.join("media"))])
    }
}

/// Words for made-up texts.
const WORDS: &str = "river garden letter snow bread window train mother evening market swallow kitchen winter harbour music stone apple morning bridge candle forest island journey lantern meadow neighbour orchard pencil quiet rain summer thunder";

/// What a command took.
pub struct Measured {
    pub seconds: f64,
    pub peak_mib: u64,
    pub output: String,
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
pub fn measure(command: &mut Command) -> Result<Measured, String> {
    let started = Instant::now();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(|e| format!("{command:?}: {e}"))?;
    let mut stdout = child.stdout.take().ok_or("no output")?;
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        drop(std::io::Read::read_to_string(&mut stdout, &mut text));
        text
    });
    let peak_kib = watch(&mut child)?;
    let seconds = started.elapsed().as_secs_f64();
    let output = reader.join().map_err(|_| "the reader panicked")?;
    let status = child.wait().map_err(|e| e.to_string())?;
    if !matches!(status.code(), Some(0 | 3)) {
        let mut error = String::new();
        drop(std::io::Read::read_to_string(&mut child.stderr.take().ok_or("no errors")?, &mut error));
        return Err(format!("{command:?} ended with {status}: {error}"));
    }
    Ok(Measured { seconds, peak_mib: peak_kib / 1024, output })
}

/// Waits for the end; answers the peak of resident memory in KiB, as the kernel counts it.
fn watch(child: &mut Child) -> Result<u64, String> {
    let mut peak = 0;
    loop {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        peak = peak.max(line.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0));
        if child.try_wait().map_err(|e| e.to_string())?.is_some() {
            return Ok(peak);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Numbers for a seed, and texts that they decide.
pub struct Dice {
    numbers: keepsake_testing::Dice,
    words: Vec<&'static str>,
}

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self { numbers: keepsake_testing::Dice(seed), words: WORDS.split(' ').collect() }
    }

    pub fn next(&mut self) -> u64 {
        self.numbers.roll()
    }

    /// Sentences of at least so many bytes, with numbers among the words so that they compress as diaries do.
    pub fn text(&mut self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + 32);
        while text.len() < bytes {
            let word = (self.next() % 32) as usize;
            text.push_str(self.words[word]);
            text.push_str(if self.next().is_multiple_of(12) { ". " } else { " " });
            if self.next().is_multiple_of(8) {
                text.push_str(&format!("{} ", self.next() % 20_000));
            }
        }
        text
    }

    /// Bytes that nothing compresses.
    pub fn noise(&mut self, bytes: usize) -> Vec<u8> {
        let mut noise = Vec::with_capacity(bytes + 8);
        while noise.len() < bytes {
            noise.extend_from_slice(&self.next().to_le_bytes());
        }
        noise.truncate(bytes);
        noise
    }
}
