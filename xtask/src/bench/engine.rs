//! `cargo xtask bench engine [MIB] [FILES] [FOLDER …]`: a folder backed up, backed up again unchanged, verified and restored by
//! this program and by its peers; without folders to do it in, on a memory file system and on disk, where it needs about fifteen times MIB.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use keepsake_hashing::sha256_each;
use keepsake_repository::{Cutter, GearTable, MasterKey, seal};

use super::{
    library,
    measuring::{Dice, Measured, Tools, measure, text},
};
use crate::say;

/// One program under comparison: how it is called for each step.
struct Peer {
    name: &'static str,
    run: fn(&Bench, &Path, Step) -> Result<Measured, String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Init,
    BackUp,
    Verify,
    Restore,
}

const STEPS: [(Step, &str); 4] =
    [(Step::BackUp, "first backup"), (Step::BackUp, "unchanged"), (Step::Verify, "verify data"), (Step::Restore, "restore")];

struct Bench {
    tools: Tools,
    library: PathBuf,
    mebibytes: usize,
}

/// The memory file system.
const MEMORY: &str = "/dev/shm";

/// Fills so much memory and lets it go. A virtual machine gets memory from its host when it first writes to it, which may take longer than
/// the writing: nobody's time should depend on whether somebody else had that memory before.
fn take_memory(mebibytes: usize) -> std::io::Result<()> {
    if !Path::new(MEMORY).is_dir() {
        return Ok(());
    }
    let mut taken = tempfile::tempfile_in(MEMORY)?;
    let zeros = vec![0; 1 << 20];
    (0..mebibytes).try_for_each(|_| taken.write_all(&zeros))
}

pub fn run(args: &[String]) -> Result<(), String> {
    let number = |at: usize, default: usize| args.get(at).map_or(Ok(default), |a| a.parse()).map_err(|_| "bench engine takes numbers");
    let (mebibytes, files) = (number(0, 3072)?, number(1, 100_000)?);
    let tools = Tools::ready()?;
    bound();
    let mut bench = Bench { tools, library: PathBuf::new(), mebibytes };
    let mut places: Vec<PathBuf> = args.iter().skip(2).map(PathBuf::from).collect();
    if places.is_empty() {
        places = vec![MEMORY.into(), std::env::temp_dir()];
    }
    for place in &places {
        let space = tempfile::Builder::new().prefix("keepsake-bench-").tempdir_in(place).map_err(|e| e.to_string())?;
        bench.library = space.path().join("library");
        let count = library::write(&bench.library, mebibytes).map_err(|e| e.to_string())?;
        say(&format!("\n{mebibytes} MiB in {count} files (photos, video, NDJSON, Markdown) in {}", place.display()));
        bench.compare(&space.path().join("large"))?;
        if space.path().starts_with(MEMORY) {
            fs::remove_dir_all(&bench.library).map_err(|e| e.to_string())?;
        }
        bench.library = space.path().join("notes");
        library::write_notes(&bench.library, files, &mut Dice::new(8)).map_err(|e| e.to_string())?;
        say(&format!("\n{files} Markdown files of 4 KiB in {}", place.display()));
        bench.compare(&space.path().join("many"))?;
    }
    Ok(())
}

/// What was measured of one program. Others use this machine too and only ever make a step take longer: the least of several
/// rounds says most of the program.
#[derive(Default)]
struct Line {
    seconds: [f64; STEPS.len()],
    peak_mib: u64,
    bytes: u64,
}

impl Line {
    fn take(&mut self, step: usize, took: &Measured) {
        let least = &mut self.seconds[step];
        *least = if *least == 0.0 { took.seconds } else { least.min(took.seconds) };
        self.peak_mib = self.peak_mib.max(took.peak_mib);
    }

    fn beside(&self, base: &Self) -> String {
        let steps = self.seconds.iter().zip(base.seconds).map(|(own, base)| format!("{own:>8.2} s {:>4.2}x", own / base));
        format!(
            "{} {:>6} M {:.3} {:>4} M",
            steps.collect::<String>(),
            self.bytes >> 20,
            self.bytes as f64 / base.bytes as f64,
            self.peak_mib
        )
    }
}

fn there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|out| out.status.success())
}

impl Bench {
    fn compare(&self, space: &Path) -> Result<(), String> {
        let mut peers = vec![
            Peer { name: "restic", run: |bench, at, step| bench.restic(at, step, &[]) },
            Peer { name: "restic -n", run: |bench, at, step| bench.restic(at, step, &["--no-extra-verify"]) },
            Peer { name: "keepsake", run: Self::keepsake },
        ];
        if there("borg") {
            peers.push(Peer { name: "borg", run: Self::borg });
        }
        if there("rustic") {
            peers.push(Peer { name: "rustic", run: Self::rustic });
        }
        let in_memory = space.starts_with(MEMORY);
        let rounds = if in_memory { 3 } else { 2 };
        let mut lines: Vec<Line> = Vec::new();
        for round in 0..rounds {
            for (number, peer) in peers.iter().enumerate() {
                let at = space.join(format!("{}-{round}", peer.name.replace(' ', "")));
                fs::create_dir_all(&at).map_err(|e| e.to_string())?;
                (peer.run)(self, &at, Step::Init)?;
                if lines.len() == number {
                    lines.push(Line::default());
                }
                for (at_step, (step, _)) in STEPS.into_iter().enumerate() {
                    let took = self.quietly(peer, &at, step)?;
                    lines[number].take(at_step, &took);
                    if at_step == 0 {
                        lines[number].bytes = size(&at.join("repository"));
                    }
                }
                // On disk all stays until the end: ext4 makes files slowly for minutes after many were removed.
                if in_memory {
                    fs::remove_dir_all(&at).map_err(|e| e.to_string())?;
                }
            }
        }
        say(&format!("the least of {rounds} rounds, in each of which everybody has a turn"));
        say("              first backup       unchanged     verify data         restore  repository    peak");
        for (peer, line) in peers.iter().zip(&lines) {
            say(&format!("{:<12}{}", peer.name, line.beside(&lines[0])));
        }
        Ok(())
    }

    /// One step, with nothing left to write from before and what it reads in memory.
    fn quietly(&self, peer: &Peer, at: &Path, step: Step) -> Result<Measured, String> {
        measure(&mut Command::new("sync"))?;
        take_memory(self.mebibytes + self.mebibytes / 4).map_err(|e| e.to_string())?;
        let read_next = if step == Step::BackUp { self.library.clone() } else { at.join("repository") };
        read_all(&read_next).map_err(|e| e.to_string())?;
        (peer.run)(self, at, step)
    }

    fn keepsake(&self, at: &Path, step: Step) -> Result<Measured, String> {
        let mut command = Command::new(&self.tools.keepsake);
        command.env("KEEPSAKE_HOME", at.join("home"));
        match step {
            Step::Init => {
                command.args(["init", "-q", "--yes"]);
                let done = measure(&mut command)?;
                // The repositories stand where the others' do, so that they are measured the same way.
                std::os::unix::fs::symlink(at.join("home/backups"), at.join("repository")).map_err(|e| e.to_string())?;
                return Ok(done);
            }
            Step::BackUp => command.args(["backup", "-q", "--folder", text(&self.library)]),
            Step::Verify => command.args(["verify", "-q", "--read-data"]),
            Step::Restore => command.args(["restore", "-q", "latest", "--yes", "--to", text(&at.join("back"))]),
        };
        measure(&mut command)
    }

    fn restic(&self, at: &Path, step: Step, more: &[&str]) -> Result<Measured, String> {
        let mut command = Command::new(&self.tools.restic);
        command.env("RESTIC_PASSWORD", "bench").env("RESTIC_CACHE_DIR", at.join("cache")).arg("-r").arg(at.join("repository")).args(more);
        match step {
            Step::Init => command.arg("init"),
            Step::BackUp => command.args(["backup", "-q", text(&self.library)]),
            Step::Verify => command.args(["check", "-q", "--read-data"]),
            Step::Restore => command.args(["restore", "-q", "latest", "--target", text(&at.join("back"))]),
        };
        measure(&mut command)
    }

    fn borg(&self, at: &Path, step: Step) -> Result<Measured, String> {
        let mut command = Command::new("borg");
        let repository = at.join("repository");
        command.env("BORG_PASSPHRASE", "bench").env("BORG_BASE_DIR", at.join("base")).current_dir(at);
        match step {
            Step::Init => command.args(["init", "-e", "repokey", text(&repository)]),
            Step::BackUp => command.args(["create", &format!("{}::{{now:%H%M%S.%f}}", text(&repository)), text(&self.library)]),
            Step::Verify => command.args(["check", "--verify-data", text(&repository)]),
            Step::Restore => {
                let listed = Command::new("borg")
                    .env("BORG_PASSPHRASE", "bench")
                    .env("BORG_BASE_DIR", at.join("base"))
                    .args(["list", "--short", text(&repository)])
                    .output()
                    .map_err(|e| e.to_string())?;
                let names = String::from_utf8_lossy(&listed.stdout).into_owned();
                let back = at.join("back");
                fs::create_dir_all(&back).map_err(|e| e.to_string())?;
                command.current_dir(back).args(["extract", &format!("{}::{}", text(&repository), names.lines().last().unwrap_or_default())])
            }
        };
        measure(&mut command)
    }

    fn rustic(&self, at: &Path, step: Step) -> Result<Measured, String> {
        let mut command = Command::new("rustic");
        command.env("RUSTIC_PASSWORD", "bench").env("RUSTIC_CACHE_DIR", at.join("cache")).arg("-r").arg(at.join("repository"));
        match step {
            Step::Init => command.arg("init"),
            Step::BackUp => command.args(["backup", text(&self.library)]),
            Step::Verify => command.args(["check", "--read-data"]),
            Step::Restore => command.args(["restore", "latest", text(&at.join("back"))]),
        };
        measure(&mut command)
    }
}

fn read_all(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read_all(&path)?;
        } else {
            std::io::copy(&mut fs::File::open(path)?, &mut std::io::sink())?;
        }
    }
    Ok(())
}

fn size(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let each = entries.flatten().map(|entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => size(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    });
    each.sum()
}

/// What one core of this machine does with bytes that are in memory, and what follows for a backup of photos: each byte is
/// read, cut, hashed, sealed, hashed again in its pack and written.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn bound() {
    let noise = Dice::new(9).noise(64 << 20);
    let rate = |work: &mut dyn FnMut()| {
        work();
        let started = Instant::now();
        work();
        (noise.len() >> 20) as f64 / 1024.0 / started.elapsed().as_secs_f64()
    };
    let key = MasterKey::from_bytes(&std::array::from_fn(|i| i as u8));
    let table = GearTable::of(&key);
    let cut = rate(&mut || drop(Cutter::new(&table).each::<std::io::Error>(&mut noise.as_slice(), |_| Ok(()))));
    let hash = rate(&mut || drop(sha256_each(&noise.chunks(1 << 20).collect::<Vec<_>>())));
    let mut sealed = Vec::with_capacity(2 << 20);
    let cipher = rate(&mut || {
        for chunk in noise.chunks(1 << 20) {
            sealed.clear();
            seal(&key, [7; 16], chunk, &mut sealed);
        }
    });
    let mut target = vec![0; noise.len()];
    let copy = rate(&mut || target.copy_from_slice(&noise));
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    let seconds = (1.0 / cut + 2.0 / hash + 1.0 / cipher + 3.0 / copy) / cores;
    say(&format!(
        "one core: cut and copy {cut:.1} GiB/s, SHA-256 {hash:.1} (two at once), AES-CTR and Poly1305 {cipher:.1}, copy {copy:.1}; \
         with {cores} cores a GiB of photos takes at least {seconds:.2} s"
    ));
}
