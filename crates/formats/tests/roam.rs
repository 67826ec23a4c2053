//! Roam Research: graphs of its importers' tests, block by block against what their files say, and odd ones.

use std::{collections::BTreeMap, fs};

use keepsake_formats::import::{Draft, Format, Input};
use serde_json::{Value, json};

use crate::taken::{Taken, genuine, take};

fn by_title(taken: &Taken) -> BTreeMap<&str, &Draft> {
    taken.drafts.iter().map(|draft| (draft.memory.title.as_deref().expect("a title"), draft)).collect()
}

/// Every block of a page in order: how deep, its words, itself.
fn walk<'a>(page: &'a Value, depth: usize, found: &mut Vec<(usize, &'a str, &'a Value)>) {
    for block in page["children"].as_array().into_iter().flatten() {
        found.push((depth, block["string"].as_str().expect("words"), block));
        walk(block, depth + 1, found);
    }
}

fn check(page: &Value, draft: &Draft) -> usize {
    let memory = &draft.memory;
    memory.validate().expect("valid");
    let mut blocks = Vec::new();
    walk(page, 0, &mut blocks);
    let mut lines = memory.text.lines();
    let mut shown = 0;
    for (depth, words, block) in &blocks {
        if words.is_empty() && block.get("children").is_none() {
            continue;
        }
        let line = lines.next().unwrap_or_else(|| panic!("no line for {words}"));
        let lead = format!("{}-", "  ".repeat(*depth));
        assert!(line.starts_with(&lead), "{line:?} {words:?}");
        let own: Vec<&str> = words.lines().collect();
        if own.len() <= 1 && !["((", "__", "{{", "`"].iter().any(|mark| words.contains(mark)) {
            let heading = block["heading"].as_u64().map_or(String::new(), |level| format!("{} ", "#".repeat(level as usize)));
            let shown = format!("{lead} {heading}{}", words.trim_end_matches('\n'));
            assert_eq!(line, if words.trim().is_empty() { shown.trim_end() } else { &shown });
        }
        let glued = words.starts_with("```") && own.len() > 1 && own.last().is_some_and(|last| last.len() > 3 && last.ends_with("```"));
        for _ in 1..own.len() + usize::from(glued) {
            lines.next().unwrap_or_else(|| panic!("not all of {words}"));
        }
        shown += 1;
        // What Roam says besides the words.
        let uid = block["uid"].as_str().expect("a uid");
        for (field, value) in block.as_object().expect("fields") {
            let kept = memory.custom.get("blocks").and_then(|blocks| blocks.get(uid)?.get(field));
            match field.as_str() {
                "string" | "uid" | "children" | "heading" | "refs" | ":block/refs" | ":block/props" => assert_eq!(kept, None, "{field}"),
                _ => assert_eq!(kept.map(Value::to_string), Some(value.to_string()), "{field}"),
            }
        }
    }
    assert_eq!(lines.next(), None);
    shown
}

#[test]
fn graphs_are_kept_whole() {
    let mut shown = 0;
    for name in ["shapes.json", "small-test-graph.json", "help-graph-excerpt.json"] {
        let Some(path) = genuine(&format!("other-notes-apps/roam/{name}")) else { return };
        let taken = take(&path, None).expect("it is found out what it is");
        let input = Input::open(&path).expect("open");
        let pages: Value = serde_json::from_slice(&input.whole(name).expect("read")).expect("JSON");
        let drafts = by_title(&taken);
        let mut empty = 0;
        for page in pages.as_array().expect("pages") {
            let title = page["title"].as_str().expect("a title");
            let mut blocks = Vec::new();
            walk(page, 0, &mut blocks);
            if blocks.iter().all(|(_, words, _)| words.trim().is_empty()) {
                assert!(!drafts.contains_key(title), "{title}");
                empty += 1;
                continue;
            }
            let draft = drafts[title];
            shown += check(page, draft);
            let memory = &draft.memory;
            if let Some(created) = page["create-time"].as_i64() {
                assert_eq!(memory.created.micros(), created * 1000, "{title}");
            }
            let edits = blocks.iter().map(|(.., block)| *block).chain([page]).filter_map(|block| block["edit-time"].as_i64());
            assert_eq!(memory.modified.micros(), edits.max().expect("an edit") * 1000, "{title}");
            assert!(memory.source.as_ref().expect("a source").id.starts_with(page["uid"].as_str().expect("a uid")));
            for user in [":create/user", ":edit/user", ":log/id"] {
                assert_eq!(memory.custom.get(user), page.get(user), "{title}: {user}");
            }
        }
        assert_eq!((taken.passed_over.len(), taken.drafts.len() + empty), (empty, pages.as_array().expect("pages").len()));
    }
    assert!(shown > 300, "{shown} blocks were compared");
}

#[test]
fn what_blocks_say_of_others_is_resolved() {
    let Some(path) = genuine("other-notes-apps/roam/shapes.json") else { return };
    let taken = take(&path, None).expect("readable");
    let drafts = by_title(&taken);
    let references = &drafts["References"].memory;
    for line in [
        "- A reference to a block on another page: The cognitive revolution is the turning point",
        "- An aliased reference: [the turning point](((blk-cognitive)))",
        "- [ ] a task with a reference [->](((blk-fiction)))",
        "- A long ((and considered)) aside, which is nobody's block id",
        "- A reference to a block that is not in this graph: ((nosuchblk))",
        "- A reference to a block of several lines: ((blk-fenced))",
        "- And to a cell of one: Apple",
    ] {
        assert!(references.text.lines().any(|known| known == line), "{line}\n{}", references.text);
    }
    assert_eq!(references.custom["references"]["blk-cognitive"], "Sapiens");
    assert!(
        drafts["Source"].memory.text.contains("- ```js\n  const one = 1;\n  const two = 2;\n  ```\n"),
        "{}",
        drafts["Source"].memory.text
    );
    assert_eq!(drafts["Sapiens"].memory.tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>(), ["history"]);
    let daily = &drafts["January 1st, 2021"].memory;
    assert_eq!((daily.when.day.expect("a day").to_string(), daily.when.instant), ("2021-01-01".into(), None));
    assert!(daily.text.contains("[[January 2nd, 2021]]"));

    let Some(path) = genuine("other-notes-apps/roam/small-test-graph.json") else { return };
    let taken = take(&path, None).expect("readable");
    let memory = &taken.drafts[0].memory;
    for tag in ["test", "mental health"] {
        assert!(memory.tags.iter().any(|known| known.as_str() == tag), "{tag}: {:?}", memory.tags);
    }
    assert!(memory.text.contains("![swedish vallhund](https://i.imgur.com/SEr4dkd.jpg)"), "pictures stay links");
    assert!(memory.text.contains("*Italics*") && memory.attachments.is_empty());
}

#[test]
fn odd_graphs_are_kept_or_named() {
    let space = tempfile::tempdir().expect("space");
    let bomb = |n: u32| json!({ "uid": format!("bomb-{n:04}"), "string": format!("((bomb-{:04})) ", n + 1).repeat(50) });
    let graph = json!([
        { "title": "bombs", "uid": "p1", "create-time": 1_600_000_000_000_i64, "children": (0..9).map(bomb).chain([json!({ "uid": "bomb-0009", "string": "x".repeat(1000) })]).collect::<Vec<_>>() },
        { "title": "circle", "uid": "p2", "edit-time": 1_600_000_000_000_i64, "children": [{ "uid": "circle-01", "string": "I am ((circle-01))" }] },
        { "title": "empty", "uid": "p3", "children": [{ "string": "" }] },
        { "title": "February 30th, 2021", "children": [{ "string": "no such day", "create-time": "soon", "view-type": "numbered" }, 7, { "string": 7, "uid": "n" }] },
        { "title": "two\nlines", "uid": "p5", "create-time": 1_600_000_000_000_i64, "children": [{ "string": "((gone-Blk1)) `#no ((gone-Blk2))` [x](#no) #yes, #日記" }] },
        { "children": [{ "string": "nameless" }] },
        "page",
    ]);
    fs::write(space.path().join("graph.json"), graph.to_string()).expect("written");
    fs::write(space.path().join("bad.json"), "[{\"title\": \"x\", \"children\": [\n").expect("written");
    fs::write(space.path().join("deep.json"), "[{\"children\":".repeat(5000)).expect("written");
    fs::write(space.path().join("other.json"), "{}").expect("written");
    fs::write(space.path().join("graph.edn"), "").expect("written");
    let taken = take(space.path(), Some(Format::Roam)).expect("readable");
    assert!(taken.drafts.iter().all(|draft| draft.memory.validate().is_ok()));
    let drafts = by_title(&taken);
    assert_eq!(drafts.len(), 4);
    assert!(drafts["bombs"].memory.text.len() < 20 << 20);
    assert_eq!(drafts["circle"].memory.text, "- I am I am I am I am I am ((circle-01))\n");
    let dated = &drafts["February 30th, 2021"].memory;
    assert!(dated.when.day.is_none() && dated.custom["blocks"]["n"]["string"] == 7, "{:?}", dated.custom);
    assert_eq!(dated.custom["blocks"]["block 1"], json!({ "create-time": "soon", "view-type": "numbered" }));
    assert_eq!(drafts["two\nlines"].memory.tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>(), ["yes", "日記"]);
    for said in [
        "they stand as ((gone-Blk1))",
        "no readable `create-time`",
        "neither `uid` nor `title`",
        "page 7: is no object",
        "a block is no object",
        "bad.json:2: is not JSON",
        "deep.json:1: is not JSON",
        "other.json: is no list of pages",
    ] {
        assert!(taken.problems.iter().any(|problem| problem.contains(said)), "{said}: {:?}", taken.problems);
    }
    assert!(!taken.problems.iter().any(|problem| problem.contains("gone-Blk2")), "code names nothing");
    assert_eq!(taken.passed_over.len(), 2, "{:?}", taken.passed_over);
    assert_eq!(take(space.path(), Some(Format::Roam)).expect("readable").drafts, taken.drafts, "the same import twice is the same");
}
