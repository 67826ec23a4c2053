//! `template`.

use std::sync::Arc;

use keepsake_custody::{CustodyError, CustodyResult, TemplateKind, TemplatePer, TemplateSummary, TemplateView};
use serde_json::json;

use crate::{
    args::Template,
    commands::{Context, export::press},
    exit::{COMPLETE, FAILED},
    output::confirm,
};

pub async fn run(context: &Context, verb: &Template) -> CustodyResult<u8> {
    let custody = context.open().await?;
    let out = &context.output;
    let code = match verb {
        Template::List => {
            for template in custody.templates().await? {
                out.object(&json!(template));
                list(context, &template);
            }
            COMPLETE
        }
        Template::Show { name } => {
            let template = custody.template(name).await?;
            out.object(&json!(template));
            show(context, &template);
            COMPLETE
        }
        Template::New { name, from } => {
            let folder = custody.new_template(name, from).await?;
            out.say(format!("{folder} is a template now. Change its files; `keepsake template check {name}` says what is wrong with it."));
            out.summary(COMPLETE, json!({ "name": name, "from": from, "folder": folder }));
            COMPLETE
        }
        Template::Check { name, fonts } => {
            let check = custody.check_template(name, Arc::new(press(fonts)?)).await?;
            for problem in &check.problems {
                out.give(plain(&problem.to_string()));
            }
            for warning in &check.warnings {
                out.warn(plain(&warning.to_string()));
            }
            let code = if check.problems.is_empty() { COMPLETE } else { FAILED };
            if code == COMPLETE {
                out.say(format!("{name} is fit to be used. It was tried on {}.", check.tried.join("; ")));
            }
            out.summary(code, json!(check));
            code
        }
        Template::Delete { name } => {
            if !context.global.yes && !confirm(&format!("Remove the template {name} with its files?")) {
                return Err(CustodyError::Refused("nothing was removed: say --yes to go ahead".into()));
            }
            custody.delete_template(name).await?;
            out.say(format!("The template {name} is gone."));
            out.summary(COMPLETE, json!({ "name": name }));
            COMPLETE
        }
    };
    custody.close().await;
    Ok(code)
}

/// Words of a template for a terminal, which may not take them for orders.
fn plain(words: &str) -> String {
    words.chars().map(|c| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c }).collect()
}

fn kind(template: &TemplateSummary) -> &'static str {
    match template.kind {
        Some(TemplateKind::Html) => "html",
        Some(TemplateKind::Markdown) => "markdown",
        Some(TemplateKind::Text) => "text",
        Some(TemplateKind::Typst) => "pdf",
        None => "unfit",
    }
}

fn list(context: &Context, template: &TemplateSummary) {
    let origin = if template.built_in { "built in" } else { "own" };
    let told = template.problems.first().map_or_else(|| template.description.clone(), ToString::to_string);
    context.output.give(plain(&format!("{:<14} {:<9} {origin:<9} {told}", template.name, kind(template))));
}

fn show(context: &Context, template: &TemplateView) {
    let out = &context.output;
    let TemplateSummary { name, description, per, problems, .. } = &template.summary;
    out.give(plain(&format!("{name}: {description}")));
    let of = if *per == Some(TemplatePer::Memory) { "a file of each memory" } else { "one file of all memories" };
    out.give(format!("  makes   {}, {of}", kind(&template.summary)));
    if let Some(filter) = &template.filter {
        out.give(plain(&format!("  filter  {filter}")));
    }
    out.give(format!(
        "  is in   {}",
        template.folder.as_deref().unwrap_or("the program: `keepsake template new` makes one of your own of it")
    ));
    for problem in problems {
        out.warn(plain(&problem.to_string()));
    }
    for (path, text) in &template.files {
        out.give(plain(&format!("\n== {path}")));
        out.give(plain(text.as_deref().unwrap_or("(no text)").trim_end()));
    }
    out.give("\n== what it gets, for instance");
    out.give(format!("{:#}", template.data));
}
