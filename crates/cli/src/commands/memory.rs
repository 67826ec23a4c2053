//! `memory` and `collection`.

use std::io::Read;

use keepsake_custody::{Custody, CustodyError, CustodyResult, ListFilter, MemoryDraft, MemoryEdit, Page};
use keepsake_record::{Memory, OwnerId};
use serde_json::{Value, json};

use crate::{args, commands::Context, exit::COMPLETE, words};

/// Memories in one page of a listing.
const PAGE: u32 = 500;

fn words_of(text: Option<String>) -> CustodyResult<Option<String>> {
    if text.as_deref() != Some("-") {
        return Ok(text);
    }
    let mut words = String::new();
    std::io::stdin().read_to_string(&mut words).map_err(|source| CustodyError::Io { path: "standard input".into(), source })?;
    Ok(Some(words))
}

fn object(memory: &Memory) -> Value {
    serde_json::to_value(memory).unwrap_or_default()
}

/// The day of a memory, or what is known of it.
fn date(memory: &Memory) -> String {
    let edtf = memory.when.edtf.as_ref().map(ToString::to_string);
    memory.when.day.map(|d| d.to_string()).or(edtf).unwrap_or_else(|| "no date".into())
}

fn row(memory: &Memory) -> String {
    let title = memory.title.clone().unwrap_or_else(|| memory.text.clone());
    let files = memory.attachments.iter().filter(|a| a.medium.is_some()).count();
    let mark = if memory.starred { "*" } else { " " };
    let files = if files > 0 { format!(" [{}]", words::of(files as u64, "file", "files")) } else { String::new() };
    let width = 28_usize.saturating_sub(files.chars().count());
    let title = format!("{:<width$}{files}", words::line(&title, width));
    format!("{:<10} {mark} {title} {}", words::line(&date(memory), 10), memory.id)
}

pub async fn run(context: &Context, args: args::Memory) -> CustodyResult<u8> {
    let custody = context.open().await?;
    let owner = context.owner(&custody).await?.id;
    match args {
        args::Memory::Add { text, title, date, zone, tags, attach, collection } => {
            let text = words_of(text)?.unwrap_or_default();
            if text.trim().is_empty() && title.is_none() && attach.is_empty() {
                return Err(CustodyError::Usage("an empty memory? Give --text, --title or --attach".into()));
            }
            let memory = custody.add_memory(owner, &MemoryDraft { text, title, date, zone, tags, attach, collection }).await?;
            context.output.say(format!("Kept. {}", row(&memory)));
            context.output.summary(COMPLETE, json!({ "id": memory.id.to_string(), "memory": object(&memory) }));
        }
        args::Memory::Edit { id, text, title, date, tags, untag, attach } => {
            let edit = MemoryEdit { text: words_of(text)?, title, date, add_tags: tags, remove_tags: untag, attach };
            let memory = custody.edit_memory(owner, &id, &edit).await?;
            context.output.say(format!("Changed. {}\nThe old version is in `keepsake memory history {}`.", row(&memory), memory.id));
            context.output.summary(COMPLETE, json!({ "id": memory.id.to_string(), "memory": object(&memory) }));
        }
        args::Memory::Show { id } => show(context, &custody, owner, &id).await?,
        args::Memory::List { trash, from, to, limit } => {
            let day = |text: Option<String>| text.map(|t| t.parse()).transpose();
            let filter = ListFilter { trashed: trash, from: day(from)?, to: day(to)? };
            if filter.from.zip(filter.to).is_some_and(|(from, to)| from > to) {
                return Err(CustodyError::Usage("--from is after --to".into()));
            }
            list(context, &custody, owner, &filter, limit.unwrap_or(u64::MAX)).await?;
        }
        args::Memory::Search { words: query, limit } => {
            let page = custody.search_memories(owner, &query.join(" "), limit).await?;
            for found in &page.rows {
                context.output.give(row(&found.memory));
                context.output.object(&object(&found.memory));
            }
            if page.rows.is_empty() {
                context.output.say("Nothing has all of these words.");
            }
            if page.state.indexed_seq < page.state.seq {
                context.output.warn(format!(
                    "the search index is {} behind; newer memories may be missing",
                    words::of(page.state.seq - page.state.indexed_seq, "change", "changes")
                ));
            }
        }
        args::Memory::History { id } => {
            let (now, changes) = custody.memory_history(owner, &id).await?;
            for change in &changes {
                context.output.give(format!("{:>8}  {}  {:<9} by {}", change.seq, change.at, change.op.as_str(), change.actor));
                if let Some(before) = change.before.as_ref().and_then(|b| serde_json::from_value::<Memory>(b.clone()).ok()) {
                    context.output.give(format!("          before: {}", glance(&before)));
                }
                context.output.object(&serde_json::to_value(change).unwrap_or_default());
            }
            context.output.give(format!("          {}  created", now.memory.created));
            context.output.give(format!("          now: {}", glance(&now.memory)));
            if !changes.is_empty() {
                context.output.say(format!(
                    "`keepsake memory revert {} NUMBER` makes it what it was before a change.",
                    &now.memory.id.to_string()[..13]
                ));
            }
        }
        args::Memory::Revert { id, change } => {
            let changed = custody.revert_memory(owner, &id, change).await?;
            context.output.say(if changed {
                "It is again what it was before; `memory history` shows the way back."
            } else {
                "It was so already."
            });
            context.output.summary(COMPLETE, json!({ "changed": changed }));
        }
        args::Memory::Delete { id } => {
            let id = custody.delete_memory(owner, &id).await?;
            context.output.say(format!(
                "In the trash for {}. `keepsake memory undelete {id}` brings it back.",
                words::of(custody.trash_days().into(), "day", "days")
            ));
            context.output.summary(COMPLETE, json!({ "id": id.to_string() }));
        }
        args::Memory::Undelete { id } => {
            let id = custody.undelete_memory(owner, &id).await?;
            context.output.say("Back where it was.");
            context.output.summary(COMPLETE, json!({ "id": id.to_string() }));
        }
    }
    custody.close().await;
    Ok(COMPLETE)
}

/// A version of a memory in a line.
fn glance(memory: &Memory) -> String {
    let text = memory.title.iter().map(String::as_str).chain([memory.text.as_str()]).collect::<Vec<_>>().join(" ");
    format!("{}  {}", date(memory), words::line(&text, 48))
}

async fn show(context: &Context, custody: &Custody, owner: OwnerId, id: &str) -> CustodyResult<()> {
    let found = custody.show_memory(owner, id).await?;
    let memory = &found.memory;
    let out = &context.output;
    out.object(&object(memory));
    out.give(format!("{}\n{}", words::line(memory.title.as_deref().unwrap_or("(no title)"), 1000), "─".repeat(60)));
    let zone = memory.when.zone.as_ref().map(|z| format!(" {}", z.as_str())).unwrap_or_default();
    let instant = memory.when.instant.map(|i| format!(" ({i}{zone})")).unwrap_or_default();
    out.give(format!("{}{instant}{}", date(memory), if found.trashed { "  in the trash" } else { "" }));
    if !memory.tags.is_empty() {
        out.give(memory.tags.iter().map(|t| format!("#{t}")).collect::<Vec<_>>().join(" "));
    }
    if let Some(position) = &memory.position {
        out.give(format!("at {:.5}, {:.5}", position.latitude, position.longitude));
    }
    // Control characters in somebody's text must not steer the terminal.
    let text: String = memory.text.chars().filter(|c| !c.is_control() || *c == '\n' || *c == '\t').collect();
    out.give(format!("\n{text}"));
    for attachment in &memory.attachments {
        let size = attachment.medium.as_ref().map_or_else(|| "not here yet".into(), |m| words::bytes(m.bytes));
        let problem = attachment.problem.as_ref().map(|p| format!("; {p}")).unwrap_or_default();
        out.give(format!("  {} ({}, {size}{problem})", words::line(&attachment.name, 50), attachment.media_type));
    }
    out.give(format!("\n{}", memory.id));
    Ok(())
}

async fn list(context: &Context, custody: &Custody, owner: OwnerId, filter: &ListFilter, limit: u64) -> CustodyResult<()> {
    let (mut after, mut shown) = (None, 0_u64);
    loop {
        let rows = custody.list_memories(owner, filter, after, PAGE).await?;
        let Some(last) = rows.last() else { break };
        after = Some(Page { sort_at: last.sort_at, id: last.memory.id });
        for found in &rows {
            if shown == limit {
                return Ok(());
            }
            shown += 1;
            context.output.give(row(&found.memory));
            context.output.object(&object(&found.memory));
        }
    }
    if shown == 0 {
        let narrowed = filter.from.is_some() || filter.to.is_some();
        context.output.say(match (filter.trashed, narrowed) {
            (true, false) => "The trash is empty.",
            (_, true) => "There are none in this range.",
            (false, false) => "No memories yet: keepsake memory add --text \"…\"",
        });
    }
    Ok(())
}

pub async fn collection(context: &Context, args: &args::Collection) -> CustodyResult<u8> {
    let custody = context.open().await?;
    let owner = context.owner(&custody).await?.id;
    match args {
        args::Collection::Add { name } => {
            let collection = custody.create_collection(owner, name).await?;
            context.output.say(format!("`{}` is made. Fill it with `keepsake collection put`.", collection.name));
            context.output.summary(COMPLETE, json!({ "id": collection.id.to_string(), "name": collection.name }));
        }
        args::Collection::List => {
            for summary in custody.collections(owner).await? {
                context.output.give(format!(
                    "{:<40} {:>20}  {}",
                    words::line(&summary.name, 40),
                    words::of(summary.memories, "memory", "memories"),
                    &summary.id[..13]
                ));
                context.output.object(&serde_json::to_value(&summary).unwrap_or_default());
            }
        }
        args::Collection::Put { collection, memory } | args::Collection::Take { collection, memory } => {
            let member = matches!(args, args::Collection::Put { .. });
            let changed = custody.set_membership(owner, collection, memory, member).await?;
            context.output.say(if changed { "Done." } else { "It was so already." });
            context.output.summary(COMPLETE, json!({ "changed": changed }));
        }
    }
    custody.close().await;
    Ok(COMPLETE)
}
