//! `cargo xtask bench [MEMORIES]`: the public commands on a vault against a bare load and against stock restic.

use std::{
    fs,
    io::{BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
    time::Instant,
};

use keepsake_record::{LocalDay, layout};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

use super::measuring::{Dice, Measured, Tools, text};
use crate::say;

const DAYS: u32 = 9000;
const EDITS: usize = 100;

struct Bench {
    tools: Tools,
    space: PathBuf,
}

pub fn run(args: &[String]) -> Result<(), String> {
    let memories: u32 = args.first().map_or(Ok(1_000_000), |a| a.parse()).map_err(|_| "bench takes a number of memories")?;
    let tools = Tools::ready()?;
    let space = tempfile::Builder::new().prefix("keepsake-bench-").tempdir().map_err(|e| e.to_string())?;
    Bench { tools, space: space.path().into() }.all(memories)
}

impl Bench {
    fn all(&self, memories: u32) -> Result<(), String> {
        let media = memories / 100;
        let (diary, photos) = (self.space.join("diary.ndjson"), self.space.join("photos"));
        write_diary(&diary, memories, DAYS).and_then(|()| write_photos(&photos, media)).map_err(|e| e.to_string())?;
        say(&format!("{memories} memories of about 2 KB over {DAYS} days, {media} small media, in {}", self.space.display()));
        self.keepsake(&["init", "-q"])?;
        let import = self.keepsake(&["import", text(&diary)])?;
        let import_media = self.keepsake(&["import", text(&photos), "-q"])?;
        let bare = self.bare_load()?;
        let rate = |seconds: f64| f64::from(memories) / seconds;
        say(&format!("import        {:>8.1} s  {:>9.0} rows/s  {:>5} MiB peak", import.seconds, rate(import.seconds), import.peak_mib));
        say(&format!(
            "bare load     {bare:>8.1} s  {:>9.0} rows/s  ratio import/bare {:.2}",
            rate(bare),
            rate(import.seconds) / rate(bare)
        ));
        say(&format!(
            "import media  {:>8.1} s  {:>9.0} files/s {:>5} MiB peak",
            import_media.seconds,
            f64::from(media) / import_media.seconds,
            import_media.peak_mib
        ));

        let full = self.keepsake(&["backup"])?;
        self.tools.restic(&self.space, &["init"])?;
        let restic_full = self.tools.restic_backup(&self.space)?;
        say(&format!(
            "full backup   {:>8.1} s  {:>5} MiB peak; restic on vault.db and media/ {:.1} s",
            full.seconds, full.peak_mib, restic_full.seconds
        ));
        self.edit()?;
        let incremental = self.keepsake(&["backup", "--json"])?;
        let restic_incremental = self.tools.restic_backup(&self.space)?;
        let ratio = incremental.seconds / restic_incremental.seconds;
        say(&format!(
            "incremental   {:>8.2} s  {:>5} MiB peak after {EDITS} scattered edits; restic {:.2} s; ratio {ratio:.3}",
            incremental.seconds, incremental.peak_mib, restic_incremental.seconds
        ));
        say(&format!("              {}", incremental.output.lines().last().unwrap_or_default()));
        let search = self.keepsake(&["memory", "search", "orchard", "lantern", "--limit", "10"])?;
        say(&format!("search        {:>8.2} s  {:>5} MiB peak", search.seconds, search.peak_mib));
        let verify = self.keepsake(&["verify", "--read-data"])?;
        say(&format!("verify data   {:>8.1} s  {:>5} MiB peak", verify.seconds, verify.peak_mib));
        let restore = self.keepsake(&["restore", "latest", "--to", text(&self.space.join("back")), "--yes"])?;
        say(&format!("restore       {:>8.1} s  {:>5} MiB peak", restore.seconds, restore.peak_mib));
        let export = self.keepsake(&["export", "--out", text(&self.space.join("out.zip"))])?;
        say(&format!("export zip    {:>8.1} s  {:>5} MiB peak", export.seconds, export.peak_mib));
        Ok(())
    }

    fn keepsake(&self, args: &[&str]) -> Result<Measured, String> {
        self.tools.keepsake(&self.space.join("home"), args)
    }

    /// Edits memories all over the years through the public command.
    fn edit(&self) -> Result<(), String> {
        let listed = self.keepsake(&["memory", "list", "--json"])?.output;
        let ids: Vec<String> =
            listed.lines().filter_map(|l| Some(serde_json::from_str::<Value>(l).ok()?["id"].as_str()?.to_owned())).collect();
        for id in ids.iter().step_by((ids.len() / EDITS).max(1)).take(EDITS) {
            self.keepsake(&["memory", "edit", id, "--text", "edited for the bench", "-q"])?;
        }
        Ok(())
    }

    /// The same rows, journal and search table, written as fast as the engine takes them: no checks, no reading back.
    fn bare_load(&self) -> Result<f64, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
        runtime.block_on(bare_load(&self.space.join("home/vault.db"), &self.space.join("bare.db"))).map_err(|e| e.to_string())
    }
}

/// A diary over so many days.
pub fn write_diary(path: &Path, memories: u32, days: u32) -> std::io::Result<()> {
    let mut file = BufWriter::new(fs::File::create(path)?);
    let mut dice = Dice::new(1);
    let first = LocalDay::new(2000, 1, 1).map_err(std::io::Error::other)?.sort_micros() / 1_000_000;
    for i in 0..memories {
        let day = i64::from(i) * i64::from(days) / i64::from(memories);
        let words = dice.text(1900);
        let at = keepsake_record::Timestamp::from_micros((first + day * 86_400 + (dice.next() % 86_400) as i64) * 1_000_000)
            .map_err(std::io::Error::other)?;
        writeln!(file, "{}", json!({ "id": i.to_string(), "date": at.to_string(), "text": words }))?;
    }
    file.flush()
}

/// Small photos: JPEG's first bytes and noise, each another.
fn write_photos(folder: &Path, media: u32) -> std::io::Result<()> {
    let mut dice = Dice::new(2);
    for i in 0..media {
        let folder = folder.join(format!("{:02}", i % 100));
        fs::create_dir_all(&folder)?;
        let mut bytes = vec![0xff, 0xd8, 0xff, 0xd9];
        bytes.extend(dice.noise(12_000));
        fs::write(folder.join(format!("{i}.gif")), bytes)?;
    }
    Ok(())
}

/// owner, id, day, shard, sort_at, source_key, bytes, record
type MemoryRow = (String, String, String, i64, i64, Option<String>, i64, String);
type Loaded<T> = Result<T, Box<dyn std::error::Error>>;

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
async fn bare_load(from: &Path, to: &Path) -> Loaded<f64> {
    // Everything is read and made ready first; only the writing is measured.
    let mut source = SqliteConnection::connect(&format!("sqlite:{}", from.display())).await?;
    let schema: Vec<(String,)> = sqlx::query_as("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'search_%' AND name NOT LIKE 'sqlite_%' OR name = 'search_docs'").fetch_all(&mut source).await?;
    let rows: Vec<MemoryRow> =
        sqlx::query_as("SELECT owner, id, day, shard, sort_at, source_key, bytes, record FROM memories WHERE source_key IS NOT NULL AND record LIKE '%\"kind\":\"entry\"%'").fetch_all(&mut source).await?;
    let terms: Vec<String> = rows.iter().map(|row| terms_of(&row.7)).collect();
    source.close().await?;
    let mut target = SqliteConnection::connect(&format!("sqlite:{}?mode=rwc", to.display())).await?;
    for pragma in ["PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "PRAGMA secure_delete = ON", "PRAGMA cache_size = -65536"] {
        sqlx::query(pragma).execute(&mut target).await?;
    }
    for (sql,) in schema {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut target).await?;
    }
    let started = Instant::now();
    for (chunk, (rows, terms)) in rows.chunks(1000).zip(terms.chunks(1000)).enumerate() {
        let mut tx = target.begin().await?;
        for (part, (rows, terms)) in rows.chunks(100).zip(terms.chunks(100)).enumerate() {
            let first = (chunk * 1000 + part * 100) as i64 + 1;
            let mut memories = sqlx::QueryBuilder::new("INSERT INTO memories (owner, id, day, shard, sort_at, source_key, bytes, record) ");
            memories.push_values(rows, |mut b, r| {
                b.push_bind(&r.0)
                    .push_bind(&r.1)
                    .push_bind(&r.2)
                    .push_bind(r.3)
                    .push_bind(r.4)
                    .push_bind(&r.5)
                    .push_bind(r.6)
                    .push_bind(&r.7);
            });
            memories.build().execute(&mut *tx).await?;
            let mut journal = sqlx::QueryBuilder::new("INSERT INTO journal (owner, seq, mark, at, actor, entity, id, op, paths) ");
            journal.push_values(rows.iter().zip(first..), |mut b, (r, seq)| {
                let day = r.2.parse().ok();
                b.push_bind(&r.0)
                    .push_bind(seq)
                    .push_bind("0123456789abcdef")
                    .push_bind(seq)
                    .push_bind("bench")
                    .push_bind("memory")
                    .push_bind(&r.1)
                    .push_bind("created")
                    .push_bind(layout::DayPath::new(day).to_string());
            });
            journal.build().execute(&mut *tx).await?;
            let mut docs = sqlx::QueryBuilder::new("INSERT INTO search_docs (doc, owner, memory) ");
            docs.push_values(rows.iter().zip(first..), |mut b, (r, doc)| {
                b.push_bind(doc).push_bind(&r.0).push_bind(&r.1);
            });
            docs.build().execute(&mut *tx).await?;
            let mut search = sqlx::QueryBuilder::new("INSERT INTO search (rowid, terms) ");
            search.push_values(terms.iter().zip(first..), |mut b, (t, doc)| {
                b.push_bind(doc).push_bind(t);
            });
            search.build().execute(&mut *tx).await?;
        }
        tx.commit().await?;
    }
    Ok(started.elapsed().as_secs_f64())
}

fn terms_of(record: &str) -> String {
    let text = serde_json::from_str::<Value>(record).ok().and_then(|v| v["text"].as_str().map(str::to_owned)).unwrap_or_default();
    let lines = BufReader::new(text.as_bytes()).lines().map_while(Result::ok).collect::<Vec<_>>().join("\n");
    keepsake_record::terms(&lines).into_iter().collect::<Vec<_>>().join(" ")
}
