//! `snapshot`.

use keepsake_custody::{CustodyResult, Elsewhere, SnapshotRow, Source};
use serde_json::{json, to_value};

use crate::{
    args,
    commands::{Context, now, rewriting, rotation},
    exit::{COMPLETE, DAMAGED},
    words,
};

fn line(row: &SnapshotRow) -> String {
    let what = row.paths.join(", ");
    let time = row.time.get(..19).unwrap_or(&row.time).replace('T', " ");
    format!("{}  {time}  {:<14} {:<13} {}", &row.id[..8], words::ago(&row.time, now()), words::line(&row.kind, 12), words::line(&what, 20))
}

fn list(context: &Context, (rows, damaged): (Vec<SnapshotRow>, Vec<String>)) -> u8 {
    let out = &context.output;
    for row in &rows {
        out.give(line(row));
        out.object(&to_value(row).unwrap_or_default());
    }
    for problem in &damaged {
        out.warn(problem);
        out.event("problem", json!({ "reason": problem }));
    }
    if rows.is_empty() {
        out.say("No snapshots yet: keepsake backup");
    }
    if damaged.is_empty() { COMPLETE } else { DAMAGED }
}

pub async fn run(context: &Context, args: &args::Snapshot) -> CustodyResult<u8> {
    if let args::Snapshot::List { from } = args
        && let Source::Elsewhere { location, password } = context.source(from)?
        && !context.has_home()
    {
        return Ok(list(context, Elsewhere::open(location, password).await?.snapshots().await?));
    }
    let custody = context.open().await?;
    let owner = context.owner(&custody).await?.id;
    let out = &context.output;
    let mut code = COMPLETE;
    match args {
        args::Snapshot::List { from } => {
            let source = context.source(from)?;
            code = list(context, custody.snapshots(owner, &source).await?);
            for (id, reason) in custody.pins(owner).await?.iter().filter(|_| matches!(source, Source::Home)) {
                out.say(format!(
                    "{}  is pinned{}",
                    &id[..8],
                    if reason.is_empty() { String::new() } else { format!(": {}", words::line(reason, 50)) }
                ));
            }
        }
        args::Snapshot::Show { snapshot, from } => {
            let row = custody.snapshot(owner, &context.source(from)?, snapshot).await?;
            out.object(&to_value(&row).unwrap_or_default());
            out.give(format!(
                "{}\n{} ({})\nkind    {}\ntree    {}\ntags    {}",
                row.id,
                row.time,
                words::ago(&row.time, now()),
                row.kind,
                row.tree,
                row.tags.join(" ")
            ));
            if let Some(parent) = &row.parent {
                out.give(format!("parent  {parent}"));
            }
        }
        args::Snapshot::Ls { snapshot, path, from } => {
            for entry in custody.snapshot_files(owner, &context.source(from)?, snapshot, path).await? {
                let size = if entry.kind == "file" { words::bytes(entry.bytes) } else { entry.kind.clone() };
                out.give(format!("{size:>11}  {}", entry.path.escape_debug()));
                out.object(&to_value(&entry).unwrap_or_default());
            }
        }
        args::Snapshot::Forget(args) => code = rotation::forget(context, &custody, owner, args).await?,
        args::Snapshot::Rewrite(args) => code = rewriting::run(context, &custody, owner, args).await?,
        args::Snapshot::Adopt { snapshot } => {
            let id = custody.adopt_snapshot(owner, snapshot).await?;
            out.say(format!("Snapshot {} is one of yours now.", &id[..8]));
            out.summary(COMPLETE, json!({ "snapshot": id }));
        }
        args::Snapshot::Pin { snapshot, reason } => {
            let id = custody.pin_snapshot(owner, snapshot, reason).await?;
            out.say(format!("Snapshot {} stays, whatever the rotation says.", &id[..8]));
            out.summary(COMPLETE, json!({ "snapshot": id }));
        }
        args::Snapshot::Unpin { snapshot } => {
            let id = custody.unpin_snapshot(owner, snapshot).await?;
            out.say(format!("Snapshot {} is left to the rotation again.", &id[..8]));
            out.summary(COMPLETE, json!({ "snapshot": id }));
        }
        args::Snapshot::Diff { a, b, from } => {
            let changes = custody.snapshot_diff(owner, &context.source(from)?, a, b).await?;
            for change in &changes {
                out.give(format!("{}  {}", change.change, change.path.escape_debug()));
                out.object(&to_value(change).unwrap_or_default());
            }
            if changes.is_empty() {
                out.say("They hold the same.");
            }
        }
    }
    custody.close().await;
    Ok(code)
}
