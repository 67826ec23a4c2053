//! `init`, `owner`, `config`.

use std::sync::Arc;

use keepsake_custody::{Config, Custody, CustodyResult, SystemClock};
use serde_json::json;

use crate::{args, commands::Context, exit::COMPLETE, words};

pub async fn init(context: &Context, args: &args::Init) -> CustodyResult<u8> {
    let home = context.home()?;
    let made = Custody::init(&home, &context.environment, &args.name, &context.actor(), Arc::new(SystemClock)).await?;
    let out = &context.output;
    out.say(format!("A home is made in {} for one owner, `{}`.\n", made.custody.home().display(), made.owner.name));
    out.say("Your recovery kit, the only way back when this computer is gone:\n");
    let list: Vec<&str> = made.kit.words().split(' ').collect();
    for row in list.chunks(6) {
        out.say(format!("    {}", row.iter().map(|word| format!("{word:<10}")).collect::<String>().trim_end()));
    }
    out.say(format!(
        "\nThe same words are on a page to print: {}\nPrint it, put it away, delete the file. Nobody can make the words anew.",
        made.kit_page.display()
    ));
    out.say("\nBackups go to the folder backups/ inside the home for now. A copy on the same\ndisk is no backup: a disk that dies takes both. The live vault itself is not\nencrypted by Keepsake; its backups are.");
    out.say("\nNext: keepsake memory add --text \"…\"   or   keepsake import PATH");
    let home = made.custody.home().display().to_string();
    out.summary(COMPLETE, json!({ "home": home, "owner": made.owner.id.to_string(), "kit_page": made.kit_page.display().to_string(), "kit_public_key": made.kit.recipient() }));
    made.custody.close().await;
    Ok(COMPLETE)
}

pub async fn owner(context: &Context, args: &args::Owner) -> CustodyResult<u8> {
    let custody = context.open().await?;
    match args {
        args::Owner::Add { name } => {
            let owner = custody.create_owner(name).await?;
            context.output.say(format!("{} is here now. Name them with --owner \"{}\".", owner.name, owner.name));
            context.output.summary(COMPLETE, json!({ "id": owner.id.to_string(), "name": owner.name }));
        }
        args::Owner::List => {
            for owner in custody.owners().await? {
                let head = custody.vault().head(owner.id).await?;
                context.output.give(format!(
                    "{:<24} {:>20}  {}",
                    words::line(&owner.name, 24),
                    words::of(head.memories, "memory", "memories"),
                    &owner.id
                ));
                context
                    .output
                    .object(&json!({ "id": owner.id.to_string(), "name": owner.name, "memories": head.memories, "seq": head.seq }));
            }
        }
    }
    custody.close().await;
    Ok(COMPLETE)
}

pub fn config(context: &Context, args: &args::Config) -> CustodyResult<u8> {
    let path = context.home()?.join("keepsake.toml");
    let config = Config::load(&path, &context.environment)?;
    match args {
        args::Config::Show => {
            for setting in config.shown() {
                context.output.give(format!("{:<12} {:<28} ({})", setting.name, setting.value, setting.origin));
                context.output.object(&json!({ "name": setting.name, "value": setting.value, "origin": setting.origin.to_string() }));
            }
        }
        args::Config::Check => {
            context.output.say(format!("{} is fine.", path.display()));
            context.output.summary(COMPLETE, json!({ "path": path.display().to_string() }));
        }
    }
    Ok(COMPLETE)
}
