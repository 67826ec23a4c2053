//! `cargo xtask soak [KILLS]`: faults in numbers that a test run has no time for, with the same code.
//!
//! The long forms of the randomised tests, then the real program: killed at any moment, on a disk that is full, two writers
//! beside a pruner, a writer that sleeps through a prune. Prints what was done and with which seed; docs/SOAK.md keeps it.

mod exports;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::{
    bench::{Dice, Tools, text},
    say,
};

/// A test in its long form: crate, test, what the environment says.
type LongForm = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const LONG_FORMS: [LongForm; 8] = [
    ("keepsake-repository", "model::", &[("KEEPSAKE_TEST_STEPS", "30000"), ("KEEPSAKE_TEST_SEED", "1")]),
    ("keepsake-repository", "model::", &[("KEEPSAKE_TEST_STEPS", "30000"), ("KEEPSAKE_TEST_SEED", "2")]),
    ("keepsake-repository", "fuzzing::", &[("KEEPSAKE_TEST_STEPS", "2000000"), ("KEEPSAKE_TEST_SEED", "3")]),
    ("keepsake-formats", "fuzzing::", &[("KEEPSAKE_TEST_STEPS", "50000"), ("KEEPSAKE_TEST_SEED", "4")]),
    ("keepsake-repository", "network::", &[("KEEPSAKE_TEST_STEPS", "10000"), ("KEEPSAKE_TEST_SEED", "1000")]),
    ("keepsake-custody", "cut_off::", &[("KEEPSAKE_TEST_EVERY", "1")]),
    ("keepsake-custody", "rewriting::", &[("KEEPSAKE_TEST_SEED", "101")]),
    ("keepsake-custody", "accidents::", &[("KEEPSAKE_TEST_SEED", "102")]),
];

struct Soak {
    tools: Tools,
    home: PathBuf,
    space: PathBuf,
    dice: Dice,
}

pub fn run(args: &[String]) -> Result<(), String> {
    let kills: u32 = args.first().map_or(Ok(200), |a| a.parse()).map_err(|_| "soak takes a number of kills")?;
    let seed = std::env::var("KEEPSAKE_TEST_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(7);
    say(&format!("seed {seed}"));
    let tools = Tools::ready()?;
    let space = tempfile::Builder::new().prefix("keepsake-soak-").tempdir().map_err(|e| e.to_string())?;
    let mut soak = Soak { tools, home: space.path().join("home"), space: space.path().into(), dice: Dice::new(seed) };
    soak.fill()?;
    soak.kill(kills)?;
    soak.two_writers_and_a_pruner(20)?;
    soak.sleeper(5)?;
    soak.full_disk()?;
    soak.killed_exports(kills / 4)?;
    if std::env::var_os("KEEPSAKE_SOAK_SHORT").is_none() {
        long_forms()?;
    }
    say("all of it held");
    Ok(())
}

fn long_forms() -> Result<(), String> {
    for (package, test, environment) in LONG_FORMS {
        let status = Command::new("cargo")
            .args(["test", "-q", "-p", package, "--test", "main", test])
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .status()
            .map_err(|e| e.to_string())?;
        let told: Vec<String> = environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !status.success() {
            return Err(format!("{} cargo test -p {package} --test main {test} failed", told.join(" ")));
        }
        say(&format!("{package} {test} {}: held", told.join(" ")));
    }
    Ok(())
}

impl Soak {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.tools.keepsake);
        command.env("KEEPSAKE_HOME", &self.home).args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the program; its exit code and what it printed.
    fn ran(&self, args: &[&str]) -> Result<(i32, String), String> {
        let output = self.command(args).output().map_err(|e| e.to_string())?;
        let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        Ok((output.status.code().unwrap_or(-1), told))
    }

    fn must(&self, args: &[&str]) -> Result<String, String> {
        match self.ran(args)? {
            (0 | 3, told) => Ok(told),
            (code, told) => Err(format!("keepsake {args:?} ended with {code}: {told}")),
        }
    }

    /// A home with memories and media, backed up once, and two folders.
    fn fill(&mut self) -> Result<(), String> {
        let (diary, photos) = (self.space.join("diary.ndjson"), self.space.join("photos"));
        crate::bench::write_diary(&diary, 2000, 100).map_err(|e| e.to_string())?;
        fs::create_dir_all(&photos).map_err(|e| e.to_string())?;
        for number in 0..40 {
            let mut bytes = vec![0xff, 0xd8, 0xff, 0xd9];
            bytes.extend(self.dice.noise(300_000));
            fs::write(photos.join(format!("{number}.gif")), bytes).map_err(|e| e.to_string())?;
        }
        self.must(&["init", "-q"])?;
        self.must(&["import", text(&diary), "-q"])?;
        self.must(&["import", text(&photos), "-q"])?;
        self.must(&["backup", "-q"])?;
        for folder in ["one", "two"] {
            self.change_folder(folder)?;
        }
        Ok(())
    }

    /// Some files of a folder are new or others.
    fn change_folder(&mut self, name: &str) -> Result<(), String> {
        let folder = self.space.join(name);
        fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
        for _ in 0..6 {
            let (number, bytes) = (self.dice.next() % 40, 20_000 + (self.dice.next() % 2_000_000) as usize);
            fs::write(folder.join(number.to_string()), self.dice.noise(bytes)).map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    fn add_memory(&mut self) -> Result<(), String> {
        let words = self.dice.text(200);
        self.must(&["memory", "add", "--text", &words, "-q"]).map(drop)
    }

    /// Our own check of every byte, and those of the stock tools.
    fn sound(&self) -> Result<(), String> {
        // What was cut off between the repository and the catalogue is no damage: a snapshot of one's own is adopted.
        let (_, told) = self.ran(&["verify", "--json"])?;
        let report: Value = serde_json::from_str(told.lines().last().unwrap_or_default()).unwrap_or_default();
        for foreign in report["foreign_snapshots"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            self.must(&["snapshot", "adopt", foreign])?;
        }
        match self.ran(&["verify", "--read-data"])? {
            (0, _) => {}
            (code, told) => return Err(format!("verify ended with {code}: {told}")),
        }
        let shown = self.must(&["repository", "show", "--json"])?;
        let shown: Value = serde_json::from_str(shown.lines().next().unwrap_or_default()).map_err(|e| e.to_string())?;
        let password = self.must(&["key", "reveal", "--yes"])?;
        for tool in ["restic", self.tools.restic.to_str().unwrap_or_default()] {
            // `unlock` removes the locks of processes that are gone.
            for verb in [&["unlock"][..], &["check", "--read-data"]] {
                let place = ["--no-cache", "-r", shown["restic_location"].as_str().unwrap_or_default()];
                let output = Command::new(tool).args(place).args(verb).env("RESTIC_PASSWORD", password.trim()).output();
                let output = output.map_err(|e| format!("{tool}: {e}"))?;
                if !output.status.success() {
                    return Err(format!("{tool}: {}", String::from_utf8_lossy(&output.stderr)));
                }
            }
        }
        Ok(())
    }

    /// A verb that writes, chosen by the dice.
    fn verb(&mut self) -> Vec<&'static str> {
        match self.dice.next() % 9 {
            0..=2 => vec!["backup"],
            3 => vec!["backup", "--kind", "full"],
            4 => vec!["snapshot", "forget", "--keep-last", "4", "--yes"],
            5..=6 => vec!["prune", "--max-unused", "0"],
            7 => vec!["key", "rewrap"],
            _ => vec!["key", "re-encrypt", "--yes"],
        }
    }

    fn kill(&mut self, kills: u32) -> Result<(), String> {
        let (mut killed, mut ended) = (0, 0);
        while killed < kills {
            self.add_memory()?;
            let verb = self.verb();
            let mut child = self.command(&verb).spawn().map_err(|e| e.to_string())?;
            std::thread::sleep(Duration::from_millis(self.dice.next() % 350));
            if child.try_wait().map_err(|e| e.to_string())?.is_some() {
                ended += 1;
                continue;
            }
            child.kill().and_then(|()| child.wait().map(drop)).map_err(|e| e.to_string())?;
            killed += 1;
            self.must(&["backup", "-q"]).map_err(|e| format!("after kill {killed} of {verb:?}: {e}"))?;
            if killed % 20 == 0 {
                self.sound().map_err(|e| format!("after kill {killed} of {verb:?}: {e}"))?;
            }
        }
        self.must(&["key", "re-encrypt", "--yes"])?;
        self.sound()?;
        say(&format!("killed -9 {killed} times ({ended} verbs ended before it): every next backup went on, all sound"));
        Ok(())
    }

    fn two_writers_and_a_pruner(&mut self, rounds: u32) -> Result<(), String> {
        let mut codes = std::collections::BTreeMap::<i32, u32>::new();
        for _ in 0..rounds {
            self.change_folder("one")?;
            self.change_folder("two")?;
            let (one, two) = (self.space.join("one"), self.space.join("two"));
            let verbs: [&[&str]; 4] = [
                &["backup", "--folder", text(&one)],
                &["backup", "--folder", text(&two)],
                &["prune", "--max-unused", "0"],
                &["snapshot", "forget", "--keep-last", "3", "--yes"],
            ];
            let children: Vec<Child> =
                verbs.iter().map(|verb| self.command(verb).spawn().map_err(|e| e.to_string())).collect::<Result<_, String>>()?;
            for (verb, child) in verbs.iter().zip(children) {
                let output = child.wait_with_output().map_err(|e| e.to_string())?;
                let code = output.status.code().unwrap_or(-1);
                // 1 and 4: somebody else pruned, snapshots came: the sentence says to do it again. 11: others did not end in time.
                if !matches!(code, 0 | 1 | 4 | 11) {
                    return Err(format!("{verb:?} ended with {code}: {}", String::from_utf8_lossy(&output.stderr)));
                }
                *codes.entry(code).or_default() += 1;
            }
        }
        self.sound()?;
        say(&format!("two writers, a pruner and a rotation at once, {rounds} rounds: exit codes {codes:?}, all sound"));
        Ok(())
    }

    /// A writer is stopped; its lock is taken for a dead one's and removed; a prune takes its packs for leftovers; it wakes.
    fn sleeper(&mut self, rounds: u32) -> Result<(), String> {
        let shown = self.must(&["repository", "show", "--json"])?;
        let shown: Value = serde_json::from_str(shown.lines().next().unwrap_or_default()).map_err(|e| e.to_string())?;
        let locks = Path::new(shown["restic_location"].as_str().unwrap_or_default()).join("locks");
        let (mut refused, mut done) = (0, 0);
        for round in 0..rounds {
            let folder = self.space.join(format!("sleepy-{round}"));
            fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
            for number in 0..30 {
                fs::write(folder.join(number.to_string()), self.dice.noise(4_000_000)).map_err(|e| e.to_string())?;
            }
            let child = self.command(&["backup", "--folder", text(&folder)]).spawn().map_err(|e| e.to_string())?;
            std::thread::sleep(Duration::from_millis(80 + self.dice.next() % 150));
            let signal = |name: &str| Command::new("kill").args([name, &child.id().to_string()]).status().map_err(|e| e.to_string());
            signal("-STOP")?;
            for lock in fs::read_dir(&locks).map_err(|e| e.to_string())?.filter_map(Result::ok) {
                drop(fs::remove_file(lock.path()));
            }
            self.must(&["prune", "--max-unused", "0"])?;
            signal("-CONT")?;
            match child.wait_with_output().map_err(|e| e.to_string())?.status.code() {
                Some(0) => done += 1,
                _ => refused += 1,
            }
            self.sound()?;
        }
        say(&format!(
            "a writer slept through a prune {rounds} times: {refused} refused to publish, {done} had not begun or had ended, all sound"
        ));
        Ok(())
    }

    /// On a file system that is too small: the backup says so, and goes on once there is room.
    fn full_disk(&mut self) -> Result<(), String> {
        let disk = self.space.join("disk");
        fs::create_dir_all(&disk).map_err(|e| e.to_string())?;
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=40m", "keepsake-soak", text(&disk)]).status();
        if !mounted.is_ok_and(|status| status.success()) {
            say("full disk: not run, mounting a small file system needs the superuser");
            return Ok(());
        }
        let result = self.on_full_disk(&disk);
        Command::new("umount").arg(&disk).status().map_err(|e| e.to_string())?;
        result
    }

    fn on_full_disk(&mut self, disk: &Path) -> Result<(), String> {
        let usual = std::mem::replace(&mut self.home, disk.join("home"));
        self.must(&["init", "-q"])?;
        let folder = self.space.join("large");
        fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
        let mut refusals = 0;
        for round in 0..12 {
            fs::write(folder.join(round.to_string()), self.dice.noise(6_000_000)).map_err(|e| e.to_string())?;
            match self.ran(&["backup", "--folder", text(&folder)])? {
                (0, _) => {}
                (1, told) if told.contains("space") || told.contains("full") => refusals += 1,
                (code, told) => return Err(format!("on a full disk the backup ended with {code}: {told}")),
            }
        }
        if refusals == 0 {
            return Err("the disk never became full".into());
        }
        let grown = Command::new("mount").args(["-o", "remount,size=400m", text(disk)]).status().map_err(|e| e.to_string())?;
        if !grown.success() {
            return Err("the small file system does not grow".into());
        }
        self.must(&["backup", "--folder", text(&folder)])?;
        self.sound()?;
        self.home = usual;
        say(&format!("a full disk: {refusals} backups said so, the next one with room went on, all sound"));
        Ok(())
    }
}
