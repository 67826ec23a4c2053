//! Mastodon: a genuine archive, field by field against what its files say, and odd posts.

use std::{collections::BTreeMap, fs};

use keepsake_formats::{
    import::{Draft, Format, Input},
    text::{self, Block},
};
use keepsake_record::{Sensitivity, Visibility};
use serde_json::{Value, json};

use crate::taken::{Taken, genuine, take};

/// The words of HTML, as far as posts have any: independent of how they are converted.
fn words_of_html(html: &str) -> Vec<String> {
    let mut plain = String::new();
    let mut rest = html.replace("<br>", " ").replace("<br />", " ").replace("</p>", " ");
    while let Some(at) = rest.find('<') {
        plain.push_str(&rest[..at]);
        rest = rest[at..].split_once('>').map_or("", |(_, after)| after).to_owned();
    }
    plain.push_str(&rest);
    let plain = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&apos;", "'"), ("&nbsp;", " "), ("&amp;", "&")]
        .iter()
        .fold(plain, |text, (from, to)| text.replace(from, to));
    plain.split_whitespace().map(str::to_owned).collect()
}

fn words_of_markdown(markdown: &str) -> Vec<String> {
    fn plain(blocks: &[Block]) -> String {
        let each = blocks.iter().map(|block| match block {
            Block::Paragraph(pieces) | Block::Heading(_, pieces) => text::plain(pieces),
            Block::Quote(inside) => plain(inside),
            Block::List(_, items) => items.iter().map(|item| plain(item)).collect::<Vec<_>>().join(" "),
            Block::Code(code) => code.clone(),
            _ => String::new(),
        });
        each.collect::<Vec<_>>().join(" ")
    }
    plain(&text::parse(markdown)).split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_genuine_archive_is_kept_whole() {
    let Some(path) = genuine("mastodon-archive/archive-20221218.tar.gz") else { return };
    let taken = take(&path, None).expect("it is found out what it is");
    assert_eq!(taken.problems, Vec::<String>::new());
    let input = Input::open(&path).expect("open");
    let outbox: Value = serde_json::from_slice(&input.whole("outbox.json").expect("read")).expect("JSON");
    let drafts: BTreeMap<&str, &Draft> =
        taken.drafts.iter().map(|draft| (draft.memory.source.as_ref().expect("a source").id.as_str(), draft)).collect();
    let items = outbox["orderedItems"].as_array().expect("items");
    assert_eq!((taken.drafts.len(), drafts.len(), items.len()), (224, 224, 224));
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut files = 0;
    for item in items {
        let post = if item["type"] == "Create" { &item["object"] } else { item };
        let draft = drafts[post["id"].as_str().expect("an id")];
        let memory = &draft.memory;
        memory.validate().expect("valid");
        let published = post["published"].as_str().expect("a time");
        assert_eq!(
            (memory.created.to_string(), memory.when.instant.expect("an instant").to_string()),
            (published.into(), published.into())
        );
        let shown = match memory.visibility {
            Visibility::Public => "public",
            Visibility::Unlisted => "unlisted",
            Visibility::Shared => "followers",
            Visibility::Private => "direct",
        };
        *seen.entry(shown).or_default() += 1;
        assert_eq!(memory.custom["to"], post["to"]);
        if item["type"] != "Create" {
            assert_eq!(memory.text, format!("<{}>", post["object"].as_str().expect("an address")));
            continue;
        }
        let content = post["content"].as_str().expect("HTML");
        assert_eq!(words_of_markdown(&memory.text), words_of_html(content), "{content}\n{}", memory.text);
        assert_eq!(memory.language.as_deref(), Some("en"));
        assert_eq!(memory.custom.get("summary"), Some(&post["summary"]).filter(|summary| !summary.is_null()));
        assert_eq!(memory.custom.get("inReplyTo"), Some(&post["inReplyTo"]).filter(|reply| !reply.is_null()));
        assert_eq!(memory.sensitivity == Sensitivity::Sensitive, post["sensitive"] == true);
        let attached = post["attachment"].as_array().expect("a list");
        assert_eq!((memory.attachments.len(), draft.files.len()), (attached.len(), attached.len()));
        for (attachment, said) in memory.attachments.iter().zip(attached) {
            assert_eq!(attachment.media_type, said["mediaType"].as_str().expect("a type"));
            assert_eq!(attachment.alt.as_deref(), said["name"].as_str());
            let file = draft.files.iter().find(|file| file.key == attachment.key).expect("its file");
            assert!(said["url"].as_str().expect("a path").ends_with(&file.path), "{} {said}", file.path);
            files += 1;
        }
    }
    assert_eq!(seen, BTreeMap::from([("public", 218), ("unlisted", 2), ("followers", 3), ("direct", 1)]));
    assert!(files > 0 && taken.passed_over.iter().any(|path| path.contains("posts of others that it liked")), "{:?}", taken.passed_over);
}

fn archive(items: &Value) -> Taken {
    let space = tempfile::tempdir().expect("space");
    let outbox = json!({ "type": "OrderedCollection", "totalItems": 99, "orderedItems": items });
    fs::write(space.path().join("outbox.json"), outbox.to_string()).expect("written");
    fs::write(space.path().join("actor.json"), "{}").expect("written");
    fs::create_dir_all(space.path().join("media_attachments/files/1")).expect("made");
    fs::write(space.path().join("media_attachments/files/1/a.png"), "a picture").expect("written");
    take(space.path(), Some(Format::Mastodon)).expect("readable")
}

#[test]
fn odd_posts_are_kept_or_named() {
    let post = |id: &str, more: Value| {
        let mut post = json!({ "id": id, "type": "Note", "published": "2023-05-06T07:08:09Z", "to": ["as:Public"], "content": "<p>x</p>" });
        post.as_object_mut().expect("fields").extend(more.as_object().expect("fields").clone());
        json!({ "type": "Create", "object": post })
    };
    let deep = format!("{}deep{}", "<div>".repeat(100_000), "</div>".repeat(100_000));
    // Deeper than it looks, and more than it looks.
    let evading = |tag: &str| format!("{}deep", tag.repeat(2400));
    let many = format!("{}{}", "<b><i>".repeat(50), "<p>x</p>".repeat(1000));
    let taken = archive(&json!([
        post("1", json!({ "tag": [{ "type": "Hashtag", "name": "#Sea" }, { "type": "Mention", "name": "@ada", "href": "https://x" }] })),
        post("2", json!({ "attachment": [{ "type": "Document", "url": "https://cdn/media_attachments/files/1/a.png", "name": "alt", "focalPoint": [0, 1] }] })),
        post("3", json!({ "attachment": [{ "type": "Document", "url": "/media_attachments/files/9/../../../etc/passwd" }] })),
        post("4", json!({ "content": deep })),
        post("5", json!({ "published": "yesterday", "contentMap": { "no such language!": "<p>x</p>" }, "type": "Question", "oneOf": [{ "name": "yes" }] })),
        post("6", json!({ "content": evading("<div><!--</div>-->") })),
        post("7", json!({ "content": evading("<div title=\"</div>\">") })),
        post("8", json!({ "content": evading("<object></div>") })),
        post("9", json!({ "content": many })),
        post("", json!({})),
        { "type": "Delete", "object": "https://x" },
        7,
    ]));
    let of = |id: &str| taken.drafts.iter().find(|draft| draft.memory.source.as_ref().is_some_and(|source| source.id == id)).expect(id);
    assert_eq!(taken.drafts.len(), 9);
    assert!(taken.drafts.iter().all(|draft| draft.memory.validate().is_ok()));
    let one = &of("1").memory;
    assert_eq!(
        (one.tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>(), one.custom["tag"].as_array().map(Vec::len)),
        (vec!["Sea"], Some(1))
    );
    let two = of("2");
    assert_eq!((two.files[0].path.as_str(), two.memory.attachments[0].alt.as_deref()), ("media_attachments/files/1/a.png", Some("alt")));
    assert!(of("3").files.is_empty() && of("3").memory.attachments[0].expected.is_some());
    assert!(of("4").memory.text.trim() == "deep");
    assert!(of("5").memory.when.instant.is_none() && of("5").memory.custom.contains_key("oneOf"));
    for said in [
        "says that it holds 99",
        "etc/passwd is not in the archive",
        "nested too deep",
        "no readable `published`",
        "has no `id`",
        "is a `Delete`",
        "is no object",
    ] {
        assert!(taken.problems.iter().any(|problem| problem.contains(said)), "{said}: {:?}", taken.problems);
    }
}
