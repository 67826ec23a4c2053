//! `cargo xtask bench cloud [MIB]`: a folder backed up to and restored from a bucket, by this program and by stock restic, near and far.
//! `KEEPSAKE_TEST_S3` says where the server is (`scripts/storage-servers start FOLDER` starts one).

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::Command,
    sync::mpsc::sync_channel,
    thread,
    time::{Duration, Instant},
};

use super::{
    library,
    measuring::{Measured, Tools, measure, text},
};
use crate::say;

/// How far away the server seems to be: the time from a request to the first byte of its answer, beside what the server needs.
const LATENCIES: [u64; 2] = [0, 50];
const ROUNDS: usize = 3;
/// Connections that restic is given; its default is 5. The best of them counts.
const CONNECTIONS: [&str; 3] = ["5", "16", "32"];

pub fn run(args: &[String]) -> Result<(), String> {
    let mebibytes = args.first().map_or(Ok(512), |a| a.parse()).map_err(|_| "bench cloud takes a number")?;
    let server =
        std::env::var("KEEPSAKE_TEST_S3").map_err(|_| "KEEPSAKE_TEST_S3 is not set: eval \"$(scripts/storage-servers start FOLDER)\"")?;
    let address = server.strip_prefix("http://").ok_or("KEEPSAKE_TEST_S3 needs the form http://HOST:PORT")?.to_owned();
    let tools = Tools::ready()?;
    let space = tempfile::Builder::new().prefix("keepsake-bench-").tempdir_in("/dev/shm").map_err(|e| e.to_string())?;
    let library = space.path().join("library");
    let count = library::write(&library, mebibytes).map_err(|e| e.to_string())?;
    for latency in LATENCIES {
        let door = if latency == 0 { address.clone() } else { far_away(&address, Duration::from_millis(latency / 2))? };
        let endpoint = format!("http://{door}");
        say(&format!("\n{mebibytes} MiB in {count} files to and from a bucket that is {latency} ms away; the least of {ROUNDS} rounds"));
        say("                     backup         restore    peak");
        let mut lines: Vec<(String, [f64; 2], u64)> = Vec::new();
        for round in 0..ROUNDS {
            for (number, connections) in CONNECTIONS.iter().map(Some).chain([None]).enumerate() {
                let at = space.path().join(format!("{latency}-{round}-{number}"));
                fs::create_dir_all(&at).map_err(|e| e.to_string())?;
                let bench = Bench { tools: &tools, library: &library, at: &at, endpoint: &endpoint };
                let prefix = format!("bench-{}-{latency}-{round}-{number}", std::process::id());
                let name = connections.map_or_else(|| "keepsake".to_owned(), |n| format!("restic ({n})"));
                let [backup, restore] = match connections {
                    Some(connections) => bench.restic(&prefix, connections)?,
                    None => bench.keepsake(&prefix)?,
                };
                if lines.len() == number {
                    lines.push((name, [f64::MAX; 2], 0));
                }
                let line = &mut lines[number];
                line.1 = [line.1[0].min(backup.seconds), line.1[1].min(restore.seconds)];
                line.2 = line.2.max(backup.peak_mib).max(restore.peak_mib);
                fs::remove_dir_all(&at).map_err(|e| e.to_string())?;
            }
        }
        let best = |step: usize| lines.iter().filter(|l| l.0.starts_with("restic")).map(|l| l.1[step]).fold(f64::MAX, f64::min);
        let best = [best(0), best(1)];
        for (name, seconds, peak) in &lines {
            let each = (0..2).map(|step| format!("{:>8.2} s {:>4.2}x", seconds[step], seconds[step] / best[step]));
            say(&format!("{name:<13}{} {peak:>4} M", each.collect::<String>()));
        }
    }
    Ok(())
}

struct Bench<'a> {
    tools: &'a Tools,
    library: &'a Path,
    at: &'a Path,
    endpoint: &'a str,
}

impl Bench<'_> {
    fn restic(&self, prefix: &str, connections: &str) -> Result<[Measured; 2], String> {
        let run = |args: &[&str]| {
            let mut command = Command::new(&self.tools.restic);
            command.env("RESTIC_PASSWORD", "bench").env("AWS_ACCESS_KEY_ID", "testkey").env("AWS_SECRET_ACCESS_KEY", "testsecret");
            command.env("RESTIC_CACHE_DIR", self.at.join("cache")).args(["-o", &format!("s3.connections={connections}")]);
            measure(command.arg("-r").arg(format!("s3:{}/tst/{prefix}", self.endpoint)).args(args))
        };
        run(&["init"])?;
        let backup = run(&["backup", "-q", text(self.library)])?;
        Ok([backup, run(&["restore", "-q", "latest", "--target", text(&self.at.join("back"))])?])
    }

    fn keepsake(&self, prefix: &str) -> Result<[Measured; 2], String> {
        let run = |args: &[&str]| {
            let mut command = Command::new(&self.tools.keepsake);
            command.env("KEEPSAKE_HOME", self.at.join("home"));
            command.env("KEEPSAKE__DESTINATIONS__CLOUD__ID", "testkey").env("KEEPSAKE__DESTINATIONS__CLOUD__SECRET", "testsecret");
            measure(command.args(["-q", "--yes"]).args(args))
        };
        run(&["init"])?;
        run(&["destination", "add", "cloud", &format!("s3://tst/{prefix}"), "--endpoint", self.endpoint])?;
        // So that the bucket is all there is, as it is for restic.
        run(&["destination", "remove", "default"])?;
        let backup = run(&["backup", "--folder", text(self.library)])?;
        Ok([backup, run(&["restore", "latest", "--to", text(&self.at.join("back"))])?])
    }
}

/// A door to a server through which every byte takes so long, each way. Answers where it is.
fn far_away(server: &str, one_way: Duration) -> Result<String, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| e.to_string())?;
    let address = listener.local_addr().map_err(|e| e.to_string())?.to_string();
    let server = server.to_owned();
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let Ok(far) = TcpStream::connect(&server) else { continue };
            for stream in [&near, &far] {
                drop(stream.set_nodelay(true));
            }
            if let (Ok(near_too), Ok(far_too)) = (near.try_clone(), far.try_clone()) {
                carry(near, far_too, one_way);
                carry(far, near_too, one_way);
            }
        }
    });
    Ok(address)
}

#[expect(clippy::disallowed_methods, reason = "a delay is measured by the clock")]
fn carry(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    let (sender, receiver) = sync_channel::<(Instant, Vec<u8>)>(4096);
    thread::spawn(move || {
        while let Some(bytes) = chunk(&mut from) {
            if sender.send((Instant::now() + delay, bytes)).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        for (due, bytes) in receiver {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        drop(to.shutdown(std::net::Shutdown::Both));
    });
}

fn chunk(from: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 64 << 10];
    let count = from.read(&mut bytes).ok().filter(|count| *count > 0)?;
    bytes.truncate(count);
    Some(bytes)
}
