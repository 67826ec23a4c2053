//! `repository` and `key`.

use std::{
    io::{IsTerminal, Read},
    path::Path,
};

use keepsake_custody::{Custody, CustodyError, CustodyResult, Password, RecoveryKit};
use keepsake_record::OwnerId;
use serde_json::{json, to_value};

use crate::{args, commands::Context, exit::COMPLETE, output, words};

async fn whose(context: &Context, custody: &Custody, system: bool) -> CustodyResult<Option<OwnerId>> {
    if system { Ok(None) } else { Ok(Some(context.owner(custody).await?.id)) }
}

pub async fn repository(context: &Context, args: &args::Repository) -> CustodyResult<u8> {
    let args::Repository::Show { system } = args;
    let custody = context.open().await?;
    let view = custody.repository_view(whose(context, &custody, *system).await?).await?;
    custody.close().await;
    let out = &context.output;
    out.object(&to_value(&view).unwrap_or_default());
    out.give(format!("{}\nrepository   {}\ngeneration   {}", view.restic_location, view.repository, view.generation));
    for (name, location) in &view.destinations {
        out.give(format!("at {name:<9} {location}"));
    }
    out.give("\nStock restic reads it too:");
    out.give(format!("  export RESTIC_PASSWORD=\"$(keepsake key reveal --yes)\"\n  restic -r {} snapshots", view.restic_location));
    Ok(COMPLETE)
}

pub async fn run(context: &Context, args: &args::Key) -> CustodyResult<u8> {
    match args {
        args::Key::Reveal { system } => reveal(context, *system).await,
        args::Key::List { system } => list(context, *system).await,
        args::Key::Add { name, password_file, system } => add(context, name, password_file.as_deref(), *system).await,
        args::Key::Remove { key, system } => {
            let custody = context.open().await?;
            let id = custody.remove_key(whose(context, &custody, *system).await?, key).await?;
            custody.close().await;
            context.output.say(format!("Key {} opens nothing any more.", &id[..8]));
            context.output.summary(COMPLETE, json!({ "key": id }));
            Ok(COMPLETE)
        }
        args::Key::Rewrap { system } => {
            let custody = context.open().await?;
            let report = custody.rewrap(whose(context, &custody, *system).await?).await?;
            custody.close().await;
            context
                .output
                .say("The repository has a new password. The home and the recovery kit open it as before; the old password does not.");
            context.output.summary(COMPLETE, json!(report));
            Ok(COMPLETE)
        }
        args::Key::ReEncrypt { system } => re_encrypt(context, *system).await,
        args::Key::Kit { open: Some(place) } => open_kit(context, place),
        args::Key::Kit { open: None } => about_kit(context).await,
    }
}

async fn re_encrypt(context: &Context, system: bool) -> CustodyResult<u8> {
    let custody = context.open().await?;
    let owner = whose(context, &custody, system).await?;
    let question = "Everything is sealed anew, and the old repository goes with all passwords that people added to it; for a while both \
                    take their room. Go ahead?";
    if !context.global.yes && !output::confirm(question) {
        return Err(CustodyError::Refused("nothing was done: say --yes to go ahead".into()));
    }
    let progress = context.progress();
    let report = custody.reencrypt(owner, progress.clone()).await;
    progress.finish();
    let report = report?;
    custody.close().await;
    context.output.say(format!(
        "{} sealed anew, {}; this is generation {}. The home and the recovery kit open it; no other password does.",
        words::of(report.snapshots as u64, "snapshot is", "snapshots are"),
        words::bytes(report.bytes),
        report.generation
    ));
    context.output.summary(COMPLETE, json!(report));
    Ok(COMPLETE)
}

async fn reveal(context: &Context, system: bool) -> CustodyResult<u8> {
    let custody = context.open().await?;
    let owner = whose(context, &custody, system).await?;
    if !context.global.yes && !output::confirm("The password opens every backup of these memories, and showing it is recorded. Go ahead?") {
        return Err(CustodyError::Refused("nothing was shown: say --yes to go ahead".into()));
    }
    let password = custody.reveal_password(owner).await?;
    custody.close().await;
    context.output.give(password.as_str());
    context.output.object(&json!({ "password": password.as_str() }));
    Ok(COMPLETE)
}

async fn list(context: &Context, system: bool) -> CustodyResult<u8> {
    let custody = context.open().await?;
    let keys = custody.repository_keys(whose(context, &custody, system).await?).await?;
    custody.close().await;
    for key in &keys {
        let created = key.created.as_deref().map_or("unreadable", |c| c.get(..19).unwrap_or(c)).replace('T', " ");
        let whose = if key.own { "this program's own" } else { key.name.as_deref().unwrap_or("nobody knows whose") };
        context.output.give(format!("{}  {created:<19}  {}", &key.id[..8], words::line(whose, 48)));
        context.output.object(&to_value(key).unwrap_or_default());
    }
    Ok(COMPLETE)
}

async fn add(context: &Context, name: &str, file: Option<&Path>, system: bool) -> CustodyResult<u8> {
    let failed = |path: String| move |source| CustodyError::Io { path, source };
    let mut text = String::new();
    match file {
        Some(file) => text = std::fs::read_to_string(file).map_err(failed(file.display().to_string()))?,
        None => {
            if std::io::stdin().is_terminal() {
                context.output.say("Type the new password, then Enter (it is shown while you type; a file is better):");
            }
            std::io::stdin().read_line(&mut text).map_err(failed("standard input".into()))?;
        }
    }
    let password = Password::new(text.trim_end_matches(['\r', '\n']).to_owned());
    let custody = context.open().await?;
    let id = custody.add_key(whose(context, &custody, system).await?, name, password).await?;
    custody.close().await;
    context.output.say(format!(
        "Key {} ({}) opens the repository, too. `keepsake key remove {}` takes that back.",
        &id[..8],
        words::line(name, 30),
        &id[..8]
    ));
    context.output.summary(COMPLETE, json!({ "key": id }));
    Ok(COMPLETE)
}

async fn about_kit(context: &Context) -> CustodyResult<u8> {
    let custody = context.open().await?;
    let recipient = custody.vault().fact("kit_recipient").await?.unwrap_or_default();
    let page = custody.home().join("recovery-kit.html");
    let out = &context.output;
    out.object(&json!({ "public_key": recipient, "page": page.exists().then(|| page.display().to_string()) }));
    out.give(format!("The recovery kit's public key is {recipient}"));
    if page.exists() {
        out.give(format!("Its words are still in {}: print the page and delete the file.", page.display()));
    } else {
        out.give("Its words are where you put them; they are kept nowhere here.");
    }
    custody.close().await;
    Ok(COMPLETE)
}

fn open_kit(context: &Context, place: &Path) -> CustodyResult<u8> {
    let failed = |path: &str| {
        let path = path.to_owned();
        move |source| CustodyError::Io { path, source }
    };
    let words = match context.environment.get("KEEPSAKE_KIT_FILE") {
        Some(file) => std::fs::read_to_string(file).map_err(failed(file))?,
        None => {
            if std::io::stdin().is_terminal() {
                context.output.say("Type the 24 words, then Ctrl-D:");
            }
            let mut words = String::new();
            std::io::stdin().read_to_string(&mut words).map_err(failed("standard input"))?;
            words
        }
    };
    let (repository, password) = Custody::open_recovery_file(place, &RecoveryKit::from_words(&words)?)?;
    context.output.say(format!("The password of {} is", repository.display()));
    context.output.give(password.as_str());
    context.output.object(&json!({ "repository": repository.display().to_string(), "password": password.as_str() }));
    Ok(COMPLETE)
}
