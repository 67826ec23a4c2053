//! The field dictionary: every field of every record in words, for people, made of the schema.

use serde_json::{Map, Value};

use crate::bundle_schema;

/// Every type of the bundle with its fields as a page of Markdown: first what each file holds, then the types by name.
pub fn field_dictionary() -> String {
    let schema = bundle_schema();
    let nothing = Map::new();
    let object = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let mut page = String::from(
        "# Field dictionary\n\nWhat each file of a bundle holds, and what each field means. For programs the same stands in `bundle.schema.json`. \
         Fields that are not listed here come from a newer version or another program, and stay.\n\n| file | type |\n| --- | --- |\n",
    );
    for (_, file) in object(&schema["properties"]) {
        page.push_str(&format!("| {} | {} |\n", cell(&file["description"]), kind_of(&file)));
    }
    for (name, definition) in object(&schema["$defs"]) {
        page.push_str(&format!("\n## {name}\n\n{}\n", text(&definition["description"]).trim()));
        let required: Vec<&str> = definition["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        match definition["properties"].as_object().unwrap_or(&nothing) {
            fields if fields.is_empty() => page.push_str(&scalar(&definition)),
            fields => {
                page.push_str("\n| field | type | meaning |\n| --- | --- | --- |\n");
                for (field, shape) in fields {
                    let always = if required.contains(&field.as_str()) { ", always there" } else { "" };
                    page.push_str(&format!("| `{field}` | {}{always} | {} |\n", kind_of(shape), cell(&shape["description"])));
                }
            }
        }
    }
    page
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// One line of a table.
fn cell(value: &Value) -> String {
    text(value).split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// What a type without fields may be.
fn scalar(definition: &Value) -> String {
    let words = definition["enum"].as_array().into_iter().flatten().map(|word| format!("`{}`", text(word)));
    let told = definition["oneOf"].as_array().into_iter().flatten().map(|one| {
        let word = one["const"].as_str().or_else(|| one["enum"][0].as_str()).unwrap_or_default();
        format!("`{word}` ({})", cell(&one["description"]).trim_end_matches('.'))
    });
    let all: Vec<String> = words.chain(told).collect();
    let bounds = definition["maxLength"].as_u64().map(|length| format!(", at most {length} characters")).unwrap_or_default();
    match all.is_empty() {
        true => format!("\n{}{bounds}\n", kind_of(definition)),
        false => format!("\nOne of {}.\n", all.join(", ")),
    }
}

/// A type in a few words; of one that is defined by name, a link to it.
fn kind_of(shape: &Value) -> String {
    if let Some(name) = shape["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(either) = shape["anyOf"].as_array() {
        return either.iter().map(kind_of).filter(|kind| kind != "null").collect::<Vec<_>>().join(" or ");
    }
    let format = shape["format"].as_str().filter(|format| format.contains(['d', 't'])).map(|format| format!(" ({format})"));
    let named = |kind: &str| match kind {
        "array" => format!("list of {}", kind_of(&shape["items"])),
        other => format!("{other}{}", format.clone().unwrap_or_default()),
    };
    match &shape["type"] {
        Value::String(kind) => named(kind),
        Value::Array(kinds) => {
            kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").map(named).collect::<Vec<_>>().join(" or ")
        }
        _ => "anything".to_owned(),
    }
}
