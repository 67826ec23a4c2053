//! `doctor`: is all well, and what to do if not.

use keepsake_custody::{CustodyResult, Source};
use keepsake_record::Timestamp;
use serde_json::json;

use crate::{
    commands::{Context, now},
    exit::{COMPLETE, SKIPPED},
    words,
};

/// A backup older than this is worth a word.
const OLD_HOURS: i64 = 48;

pub async fn run(context: &Context) -> CustodyResult<u8> {
    let custody = context.open().await?;
    let out = &context.output;
    let mut findings = Vec::new();
    let mut find = |what: &str, advice: &str| {
        out.warn(format!("{what} {advice}"));
        out.event("finding", json!({ "what": what, "advice": advice }));
        findings.push(what.to_owned());
    };
    out.say(format!("Home {}, installation {}", custody.home().display(), custody.instance()));
    for owner in custody.owners().await? {
        let head = custody.vault().head(owner.id).await?;
        out.say(format!(
            "{}: {}, {}",
            owner.name,
            words::of(head.memories, "memory", "memories"),
            words::of(head.seq, "change", "changes")
        ));
        if head.indexed_seq < head.seq {
            custody.vault().index_all(owner.id).await?;
            out.say("  the search index was behind and is up to date now");
        }
        let rows = match custody.snapshots(owner.id, &Source::Home).await {
            Ok((rows, damaged)) => {
                for problem in damaged {
                    find(&problem, "`keepsake verify` tells what it reaches.");
                }
                rows
            }
            Err(_) if head.seq == 0 => continue,
            Err(error) => {
                find(&error.to_string(), "");
                continue;
            }
        };
        let last = rows.iter().rev().find(|r| r.seq.is_some());
        match last {
            None => find(&format!("{}'s memories have no backup.", owner.name), "Run `keepsake backup`."),
            Some(row) => {
                out.say(format!("  last backup {} ({})", words::ago(&row.time, now()), row.time));
                let old = row.time.parse::<Timestamp>().is_ok_and(|t| now().micros() - t.micros() > OLD_HOURS * 3_600_000_000);
                let behind = head.seq.saturating_sub(row.seq.unwrap_or(0));
                if behind > 0 {
                    let what = format!("{} since the last backup of {}.", words::of(behind, "change", "changes"), owner.name);
                    if old { find(&what, "Run `keepsake backup`.") } else { out.say(format!("  {what}")) }
                }
            }
        }
        let lost = custody.lost_originals(owner.id).await?;
        if !lost.is_empty() {
            let what = format!("{} missing from the media store.", words::of(lost.len() as u64, "original is", "originals are"));
            find(&what, "`keepsake restore latest --into-vault` puts back what the backup has.");
        }
        for debt in custody.vault().debts(owner.id).await? {
            find(
                &format!("{} could not be read at the last backup: {}.", debt.path, debt.reason),
                "`keepsake restore latest --into-vault` puts it back.",
            );
        }
    }
    if custody.vault().destinations().await?.iter().all(|d| d.url == "file:backups") {
        out.say("Worth doing: copy the folder backups/ to another disk. A disk that dies takes the home and its backups.");
    }
    if custody.home().join("recovery-kit.html").exists() {
        out.say("Worth doing: print recovery-kit.html, put it away, delete the file.");
    }
    custody.close().await;
    let code = if findings.is_empty() { COMPLETE } else { SKIPPED };
    if findings.is_empty() {
        out.say("All is well.");
    }
    out.summary(code, json!({ "findings": findings }));
    Ok(code)
}
