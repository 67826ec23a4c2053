//! `destination usage`: what is where, what it costs, and when something is full.

use std::collections::BTreeMap;

use keepsake_custody::{Custody, CustodyResult, Usage};
use serde_json::json;

use crate::{
    commands::Context,
    exit::{COMPLETE, SKIPPED},
    words,
};

pub async fn usage(context: &Context, custody: &Custody) -> CustodyResult<u8> {
    let out = &context.output;
    let names: BTreeMap<String, String> = custody.owners().await?.into_iter().map(|owner| (owner.id.to_string(), owner.name)).collect();
    let all = custody.usage().await?;
    for usage in &all {
        out.object(&json!(usage));
        if let Some(problem) = &usage.problem {
            out.warn(format!("{}: {problem}", usage.destination));
            continue;
        }
        table(context, usage, &names);
        requests(context, usage);
        costs(context, usage);
        expected(context, usage);
        if let Some((objects, bytes)) = usage.noted.filter(|noted| *noted != (usage.objects, usage.bytes)) {
            out.say(format!(
                "  By what was noted there should be {} ({}): `keepsake destination sync` and `keepsake verify` tell which.",
                words::of(objects, "object", "objects"),
                words::bytes(bytes)
            ));
        }
    }
    Ok(if all.iter().all(|usage| usage.problem.is_none()) { COMPLETE } else { SKIPPED })
}

fn table(context: &Context, usage: &Usage, names: &BTreeMap<String, String>) {
    let out = &context.output;
    let objects = words::of(usage.objects, "object", "objects");
    out.give(format!("{:<28} {objects:>12} {:>12}", usage.destination, words::bytes(usage.bytes)));
    for (owner, kinds) in &usage.owners {
        let owner = words::line(names.get(owner).unwrap_or(owner), 12);
        for (kind, (objects, bytes)) in kinds {
            out.give(format!("  {owner:<12} {kind:<14} {:>11} {:>12}", words::count(*objects), words::bytes(*bytes)));
        }
    }
    if usage.classes.len() > 1 {
        for (class, (objects, bytes)) in &usage.classes {
            out.give(format!("  {:<12} {class:<14} {:>11} {:>12}", "class", words::count(*objects), words::bytes(*bytes)));
        }
    }
}

fn requests(context: &Context, usage: &Usage) {
    let asked = &usage.asked;
    if asked.writes + asked.reads + asked.lists + asked.deletes == 0 {
        return;
    }
    context.output.give(format!(
        "  this month: {} to write, {} to read, {} to list, {} to delete",
        words::of(asked.writes, "request", "requests"),
        words::count(asked.reads),
        words::count(asked.lists),
        words::count(asked.deletes)
    ));
    context.output.give(format!("              {} sent, {} received", words::bytes(asked.sent), words::bytes(asked.received)));
}

fn costs(context: &Context, usage: &Usage) {
    let Some(bill) = &usage.bill else { return };
    let out = &context.output;
    for (what, amount) in bill.lines.iter().filter(|(_, amount)| *amount >= 0.00005) {
        out.give(format!("  {amount:>12.4} {} a month for {what}", bill.currency));
    }
    let budget = bill.budget.map(|budget| format!(" of {budget:.2}")).unwrap_or_default();
    out.give(format!("  {:>12.2}{budget} {} a month, by prices of {}", bill.total, bill.currency, bill.as_of));
    if bill.is_over() {
        out.warn(format!(
            "{} costs more than its budget: `keepsake snapshot forget --prune`, `keepsake destination tier {}` or a larger `budget` help",
            usage.destination, usage.destination
        ));
    }
}

fn expected(context: &Context, usage: &Usage) {
    let out = &context.output;
    if let Some(free) = usage.free {
        out.give(format!("  {} free on its disk", words::bytes(free)));
    }
    let Some(forecast) = &usage.forecast else { return };
    if forecast.bytes_per_day > 0.0 {
        out.give(format!("  grows by {} a day", words::bytes(forecast.bytes_per_day as u64)));
    }
    if let Some(day) = &forecast.disk_full {
        out.give(format!("  the disk is full on {day} if that goes on"));
    }
    if let Some(day) = forecast.budget_full.as_ref().filter(|_| usage.bill.as_ref().is_some_and(|bill| !bill.is_over())) {
        out.give(format!("  the budget is used up on {day} if that goes on"));
    }
}
