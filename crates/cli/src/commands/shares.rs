//! `export share`, `shares`, `unshare` and `fetch`.

use keepsake_custody::{Custody, CustodyError, CustodyResult, OpenShare, ShareDenied, ShareOptions, ShareState, ShareToken, ShareView};
use keepsake_record::OwnerId;
use serde_json::json;

use crate::{
    args,
    commands::{Context, now, secrets},
    exit::COMPLETE,
    output::confirm,
    words,
};

pub async fn share(context: &Context, custody: &Custody, owner: OwnerId, args: &args::Share) -> CustodyResult<u8> {
    let wants_passphrase = args.passphrase || args.passphrase_file.is_some();
    let options = ShareOptions {
        expires: args.expires.unwrap_or_default(),
        downloads: args.downloads,
        passphrase: if wants_passphrase { Some(secrets::new_passphrase(args.passphrase_file.as_deref())?) } else { None },
        note: args.note.clone(),
        private_too: args.private_too,
        base_url: args.base_url.clone(),
    };
    let made = custody.share_export(owner, &args.id, &options).await?;
    let out = &context.output;
    out.give(made.link.as_str());
    let until = made.share.expires.map_or_else(|| "without an end".to_owned(), |at| format!("until {at}"));
    let times = made.share.downloads_max.map_or_else(String::new, |max| format!(", each file {}", words::of(max, "time", "times")));
    let with = if made.share.passphrase { ", to who knows the passphrase" } else { "" };
    out.say(format!("It leads to {} {until}{times}{with}. It is shown this once: whoever has it has the files.", made.share.out));
    out.say(format!("`keepsake export unshare {}` ends it at once.", &made.share.id[..8]));
    if made.share.expires.is_none() {
        out.warn("it ends only when you end it");
    }
    out.summary(COMPLETE, json!({ "link": made.link.as_str(), "share": made.share }));
    Ok(COMPLETE)
}

pub async fn list(context: &Context, custody: &Custody, owner: OwnerId, export: Option<&str>) -> CustodyResult<u8> {
    let all = custody.shares(owner, export).await?;
    let out = &context.output;
    if all.is_empty() {
        out.say("Nothing is shared: `keepsake export share ID` makes a link to an export.");
    }
    for share in &all {
        out.object(&json!(share));
        out.give(told(share));
        if let Some(count @ 1..) = share.deleted_since {
            let deleted = words::of(count, "memory that was there then was", "memories that were there then were");
            out.warn(format!("{}: {deleted} deleted since, and may still be in its files", &share.id[..8]));
        }
    }
    Ok(COMPLETE)
}

fn told(share: &ShareView) -> String {
    let state = match share.state {
        ShareState::Open => "open",
        ShareState::Expired => "expired",
        ShareState::Ended => "ended",
        ShareState::UsedUp => "used up",
        ShareState::Closed => "closed: too many wrong passphrases; make a new one",
        ShareState::Outdated if share.deleted_since.is_none() => {
            "outdated: nobody can know what was erased since, for the vault's history does not reach back; export and share anew"
        }
        ShareState::Outdated => "outdated: something was erased since; export and share anew",
    };
    let end = match share.expires {
        _ if share.state != ShareState::Open => String::new(),
        None => ", no end".to_owned(),
        Some(at) => format!(", ends {}", words::ago(&at.to_string(), now())),
    };
    let of = share.downloads_max.map_or_else(String::new, |max| format!(" of {max} each"));
    let lock = if share.passphrase { ", passphrase" } else { "" };
    let note = if share.note.is_empty() { String::new() } else { format!("  {}", words::line(&share.note, 60)) };
    let had = format!("{}{of}", words::of(share.downloads, "download", "downloads"));
    format!("{}  {}  {state}{end}, {had}{lock}  {}{note}", &share.id[..8], &share.export[..8], share.out)
}

pub async fn unshare(context: &Context, custody: &Custody, owner: OwnerId, share: &str) -> CustodyResult<u8> {
    if !context.global.yes && !confirm("Whoever has the link gets nothing any more. End it?") {
        return Err(CustodyError::Refused("nothing was ended: say --yes to go ahead".into()));
    }
    let id = custody.unshare(owner, share).await?;
    context.output.say("It is ended. What was taken already, nobody can take back.");
    context.output.summary(COMPLETE, json!({ "share": id }));
    Ok(COMPLETE)
}

pub async fn fetch(context: &Context, custody: &Custody, args: &args::Fetch) -> CustodyResult<u8> {
    let link = secrets::line(args.link_file.as_deref(), "The link")?;
    let token = ShareToken::parse(link.reveal())?;
    let open = open(context, custody, args, &token).await?;
    let fetched = custody.fetch_share(&open, &args.to).await?;
    for one in &fetched {
        let was_there = if one.was_there { ", was there already" } else { "" };
        context.output.say(format!("{} ({}{was_there}), SHA-256 {}", one.path.display(), words::bytes(one.file.bytes), one.file.sha256));
    }
    context.output.summary(COMPLETE, json!({ "share": open.id(), "files": fetched }));
    Ok(COMPLETE)
}

/// Asks for the passphrase where one is needed and none was given.
async fn open(context: &Context, custody: &Custody, args: &args::Fetch, token: &ShareToken) -> CustodyResult<OpenShare> {
    let who = context.actor();
    let given = match &args.passphrase_file {
        Some(path) => Some(secrets::line(Some(path), "")?),
        None => None,
    };
    match custody.open_share(token, given.as_ref(), &who).await {
        Err(CustodyError::Share(ShareDenied::NeedsPassphrase)) if given.is_none() => {
            let passphrase = secrets::line(None, "Its passphrase")?;
            custody.open_share(token, Some(&passphrase), &who).await
        }
        other => other,
    }
}
