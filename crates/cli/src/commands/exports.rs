//! `export list`, `show` and `delete`; what `shares.rs` does.

use keepsake_custody::{CustodyError, CustodyResult, ExportSince, ExportState, ExportSummary};
use serde_json::json;

use crate::{
    args::ExportVerb,
    commands::{Context, now, shares},
    exit::{COMPLETE, SKIPPED},
    output::confirm,
    words,
};

pub async fn run(context: &Context, verb: &ExportVerb) -> CustodyResult<u8> {
    let custody = context.open().await?;
    let owner = context.owner(&custody).await?.id;
    let out = &context.output;
    let code = match verb {
        ExportVerb::List => {
            let all = custody.exports(owner).await?;
            if all.is_empty() {
                out.say("No export was made: `keepsake export --out memories.zip` makes one.");
            }
            for export in &all {
                out.object(&json!(export));
                out.give(format!(
                    "{:<10} {:<9} {:<17} {}",
                    &export.id[..8],
                    state(export),
                    words::ago(&export.began.to_string(), now()),
                    export.out
                ));
            }
            COMPLETE
        }
        ExportVerb::Show { id } => {
            let export = custody.export_at(owner, id).await?;
            out.object(&json!(export));
            show(context, &export);
            if export.altered.is_empty() { COMPLETE } else { SKIPPED }
        }
        ExportVerb::Delete { id } => {
            // Nothing of it is read: where it is may be gone.
            let mut found = custody.exports(owner).await?;
            found.retain(|export| export.id.starts_with(id.as_str()));
            let question = match &found[..] {
                [export] => {
                    format!("Remove {} of {}?", words::of(export.parts.len() as u64, "file or folder", "files or folders"), export.out)
                }
                // None, or several: what removes it says so.
                _ => format!("Remove the export {id}?"),
            };
            if !context.global.yes && !confirm(&question) {
                return Err(CustodyError::Refused("nothing was removed: say --yes to go ahead".into()));
            }
            let stayed = custody.delete_export(owner, id).await?;
            for path in &stayed {
                out.warn(format!("{path} is not what was written any more, or is where nobody can look, and stays"));
            }
            out.say("It is gone, and forgotten.");
            let code = if stayed.is_empty() { COMPLETE } else { SKIPPED };
            out.summary(code, json!({ "id": found.first().map_or(id, |export| &export.id), "stayed": stayed }));
            code
        }
        ExportVerb::Share(args) => shares::share(context, &custody, owner, args).await?,
        ExportVerb::Shares { id } => shares::list(context, &custody, owner, id.as_deref()).await?,
        ExportVerb::Unshare { share } => shares::unshare(context, &custody, owner, share).await?,
        ExportVerb::Fetch(args) => shares::fetch(context, &custody, args).await?,
    };
    custody.close().await;
    Ok(code)
}

fn state(export: &ExportSummary) -> &'static str {
    match export.state {
        ExportState::Begun => "begun",
        _ if !export.altered.is_empty() => "altered",
        ExportState::Complete => "complete",
        ExportState::Skipped => "skipped",
    }
}

fn show(context: &Context, export: &ExportSummary) {
    let out = &context.output;
    out.give(format!("{}  {}, {}", export.id, export.format, state(export)));
    out.give(format!("  begun   {}", export.began));
    out.give(format!("  shows   the state of change {}", export.seq));
    if let Some(filter) = &export.filter {
        out.give(format!("  filter  {filter}"));
    }
    if !export.sealed_to.is_empty() {
        out.give(format!("  opens   to {}", export.sealed_to.join(", ")));
    }
    if let Some(plan) = &export.plan {
        out.give(format!("  holds   {}", words::of(plan.memories, "memory", "memories")));
    }
    for part in &export.parts {
        out.give(format!("  {} ({} in {})", part.path.display(), words::bytes(part.bytes), words::of(part.files, "file", "files")));
        out.give(format!("    SHA-256 {}", part.sha256));
        for (path, reason) in &part.skipped {
            out.give(format!("    left out {path}: {reason}"));
        }
    }
    for path in &export.altered {
        out.warn(format!("{path} is not there, or not what was written any more"));
    }
    if export.since.is_none() {
        out.warn("the vault's history does not reach back to when it was made: nobody can know what was deleted or erased since, and no link leads to these files");
    }
    let since = export.since.unwrap_or(ExportSince { deleted: 0, erased: 0 });
    for (count, what, then) in [
        (since.deleted, "deleted", "it may still be in these files"),
        (since.erased, "erased", "no link leads to these files any more: delete them and export anew"),
    ] {
        if count > 0 {
            let memories = words::of(count, "memory that was there then was", "memories that were there then were");
            out.warn(format!("{memories} {what} since; {then}"));
        }
    }
    if export.state == ExportState::Begun {
        out.say("It was begun and has not ended: the command that began it goes on with it.");
    }
}
