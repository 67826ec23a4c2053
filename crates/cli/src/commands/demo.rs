//! `demo`: the whole product in a minute, on made-up memories.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use keepsake_custody::{
    BackupKind, CheckOptions, Custody, CustodyError, CustodyResult, ExportOptions, ImportMode, ImportOptions, MemoryEdit, Password,
    RestoreChoice, SampleSpec, Share, Source, SystemClock, drawn_photo, sample_memories,
};
use keepsake_record::{LocalDay, OwnerId};
use serde_json::json;

use crate::{
    args,
    commands::Context,
    exit::{COMPLETE, DAMAGED},
    progress::Progress,
    words,
};

/// Photos that are drawn.
const PHOTOS: u32 = 12;

struct Step {
    what: &'static str,
    result: String,
    seconds: f64,
}

struct Run<'a> {
    context: &'a Context,
    steps: Vec<Step>,
    started: Instant,
}

impl Run<'_> {
    #[expect(clippy::disallowed_methods, reason = "the demonstration shows how long its steps take")]
    fn step(&mut self, what: &'static str, result: String) {
        let now = Instant::now();
        let seconds = (now - self.started).as_secs_f64();
        self.started = now;
        self.context.output.say(format!("  {what:<34} {result:<34} {seconds:>5.1} s"));
        self.context.output.event("step", json!({ "what": what, "result": result, "seconds": seconds }));
        self.steps.push(Step { what, result, seconds });
    }
}

#[expect(clippy::disallowed_methods, reason = "the demonstration shows how long its steps take")]
pub async fn run(context: &Context, args: &args::Demo) -> CustodyResult<u8> {
    let at = match &args.at {
        Some(at) => at.clone(),
        None => std::env::temp_dir().join(format!("keepsake-demo-{}", std::process::id())),
    };
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |source| CustodyError::Io { path, source }
    };
    std::fs::create_dir_all(&at).map_err(failed(&at))?;
    let (first, second) = (at.join("home"), at.join("second-home"));
    let mut run = Run { context, steps: Vec::new(), started: Instant::now() };
    context.output.say(format!("Keepsake makes two homes in {} and moves memories between them.\n", at.display()));

    let made = Custody::init(&first, &context.environment, "demo", &context.actor(), Arc::new(SystemClock)).await?;
    let (custody, owner) = (made.custody, made.owner.id);
    run.step("made a home", "vault, keys, recovery kit".into());
    let photos = at.join("photos");
    draw(&photos).map_err(failed(&photos))?;
    let notes = at.join("memories.ndjson");
    write_samples(&notes, args.memories).map_err(failed(&notes))?;
    let progress = context.progress();
    let words_in = import(&custody, owner, &notes, &progress).await?;
    let photos_in = import(&custody, owner, &photos, &progress).await?;
    run.step(
        "took in memories and photos",
        format!("{} and {}", words::of(words_in, "memory", "memories"), words::of(photos_in, "photo", "photos")),
    );

    let full = custody.backup(owner, BackupKind::Full, progress.clone()).await?;
    run.step("backed everything up", format!("{} as {}", words::bytes(full.bytes_read), words::bytes(full.bytes_stored)));
    edits(&custody, owner).await?;
    let incremental = custody.backup(owner, BackupKind::Incremental, progress.clone()).await?;
    run.step("edited 3, deleted 1, backed up", format!("{} added", words::bytes(incremental.bytes_stored)));
    let report =
        custody.verify(owner, &Source::Home, None, CheckOptions { read_data: Some(Share::All) }, progress.clone()).await?.remove(0);
    run.step(
        "verified every byte",
        if report.is_sound() { format!("{}, no damage", words::of(report.packs, "pack", "packs")) } else { "DAMAGE".into() },
    );

    let other = Custody::init(&second, &context.environment, "elsewhere", &context.actor(), Arc::new(SystemClock)).await?.custody;
    let source = Source::Elsewhere {
        location: PathBuf::from(custody.repository_view(Some(owner)).await?.restic_location),
        password: Password::new(custody.reveal_password(Some(owner)).await?.to_string()),
    };
    let there = other.owner(None).await?.id;
    let (bundle, _) = other.snapshot_bundle(there, &source, "latest").await?;
    let new_owner = other.bundle_owner(&bundle, None).await?.id;
    let restored = other.restore_into(new_owner, &bundle, "the demonstration", RestoreChoice::default(), &*progress).await?;
    run.step(
        "restored into the second home",
        format!("{} and {}", words::of(restored.memories, "memory", "memories"), words::of(restored.media, "photo", "photos")),
    );
    let (here_id, there_id) = (custody.data_id(owner).await?, other.data_id(new_owner).await?);
    let equal = here_id == there_id;
    run.step("compared every digest", if equal { format!("equal: {}…", &here_id.to_string()[..12]) } else { "DIFFERENT".into() });
    let archive = at.join("memories.zip");
    let exported = other.export(new_owner, &ExportOptions { out: archive.clone(), ..ExportOptions::default() }, progress.clone()).await?;
    run.step("exported a checked archive", format!("{}, {}", words::of(exported.files, "file", "files"), words::bytes(exported.bytes)));
    progress.finish();
    custody.close().await;
    other.close().await;
    finish(&run, &at, &first, equal && report.is_sound())
}

/// How to call this program from here: by its name if the shell finds it, else by its path.
fn program() -> String {
    let Ok(exe) = std::env::current_exe() else { return "keepsake".into() };
    let found = std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join("keepsake") == exe));
    let near = std::env::current_dir().ok().and_then(|here| exe.strip_prefix(here).ok().map(|path| format!("./{}", path.display())));
    if found { "keepsake".into() } else { near.unwrap_or_else(|| exe.display().to_string()) }
}

fn finish(run: &Run<'_>, at: &Path, home: &Path, sound: bool) -> CustodyResult<u8> {
    let out = &run.context.output;
    let total: f64 = run.steps.iter().map(|s| s.seconds).sum();
    let code = if sound { COMPLETE } else { DAMAGED };
    out.say(format!(
        "\n{} in {total:.1} s.",
        if sound { "All of it is there, twice, byte for byte the same" } else { "Something is not the same: see above" }
    ));
    out.say("\nTry next:");
    let program = program();
    let home = format!("{program} --home {}", home.display());
    for command in [
        "memory list --limit 5",
        "memory search river frost",
        "snapshot list",
        "snapshot ls latest data/media",
        "restore latest --to /tmp/back",
        "doctor",
    ] {
        out.say(format!("  {home} {command}"));
    }
    out.say(format!("\nWhen you have seen enough: rm -r {}\nYour own home: {program} init", at.display()));
    let steps: Vec<_> = run.steps.iter().map(|s| json!({ "what": s.what, "result": s.result, "seconds": s.seconds })).collect();
    out.summary(code, json!({ "at": at.display().to_string(), "steps": steps }));
    Ok(code)
}

fn draw(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    (0..PHOTOS).try_for_each(|i| std::fs::write(folder.join(format!("hills-{i:02}.bmp")), drawn_photo(u64::from(i) + 1, 480, 320)))
}

/// Writes made-up memories as another program would export them.
fn write_samples(path: &Path, memories: u32) -> std::io::Result<()> {
    use std::io::Write;
    let first_day = LocalDay::new(2021, 1, 1).map_err(std::io::Error::other)?;
    let spec = SampleSpec { memories, first_day, days: 1400, seed: 7, text_chars: 600 };
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    for memory in sample_memories(spec) {
        let date = memory.when.instant.map(|i| i.to_string());
        let tags: Vec<&str> = memory.tags.iter().map(keepsake_record::TagName::as_str).collect();
        writeln!(
            file,
            "{}",
            json!({ "id": memory.id.to_string(), "date": date, "title": memory.title, "text": memory.text, "tags": tags })
        )?;
    }
    file.flush()
}

async fn import(custody: &Custody, owner: OwnerId, path: &Path, progress: &Arc<Progress>) -> CustodyResult<u64> {
    Ok(custody.import(owner, path, &ImportOptions::default(), ImportMode::Apply, progress.clone()).await?.new)
}

async fn edits(custody: &Custody, owner: OwnerId) -> CustodyResult<()> {
    let rows = custody.list_memories(owner, &Default::default(), None, 400).await?;
    for row in rows.iter().filter(|r| r.memory.attachments.is_empty()).step_by(70).take(3) {
        let edit = MemoryEdit { text: Some(format!("{}\n\nAdded later: yes, that was it.", row.memory.text)), ..MemoryEdit::default() };
        custody.edit_memory(owner, &row.memory.id.to_string(), &edit).await?;
    }
    if let Some(last) = rows.last() {
        custody.delete_memory(owner, &last.memory.id.to_string()).await?;
    }
    Ok(())
}
