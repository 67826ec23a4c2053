//! Notion: genuine exports as HTML and as Markdown, page by page against what their files say, and odd ones.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read, Write},
    path::Path,
};

use keepsake_formats::import::{Draft, Format, Input};

use crate::taken::{Taken, genuine, take};

fn by_path(taken: &Taken) -> BTreeMap<&str, &Draft> {
    taken.drafts.iter().map(|draft| (draft.origin.as_str(), draft)).collect()
}

fn id_of(draft: &Draft) -> &str {
    &draft.memory.source.as_ref().expect("a source").id
}

/// The words of a text without what is markup in Markdown or HTML.
fn words(text: &str) -> Vec<String> {
    let plain: String = text.chars().map(|c| if "\\*_#>`~-[]()|$".contains(c) { ' ' } else { c }).collect();
    plain.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_genuine_export_as_markdown_is_kept_whole() {
    let Some(path) = genuine("other-notes-apps/notion/Notion.Test.Export.zip") else { return };
    let taken = take(&path, None).expect("it is found out what it is");
    let input = Input::open(&path).expect("open");
    let files = input.files().expect("files");
    let drafts = by_path(&taken);
    let pages: Vec<_> = files.iter().filter(|file| file.ending() == "md").collect();
    assert_eq!((files.len(), pages.len(), taken.drafts.len()), (281, 278, 279), "each page, and the database itself");
    let mut dated = 0;
    for file in &pages {
        let draft = drafts[file.path.as_str()];
        draft.memory.validate().expect("valid");
        let text = String::from_utf8(input.whole(&file.path).expect("read")).expect("text");
        let stem = file.name().trim_end_matches(".md");
        assert_eq!(id_of(draft), &stem[stem.len() - 32..]);
        let (title, rest) = text.trim_start_matches("# ").split_once('\n').unwrap_or((text.trim_start_matches("# "), ""));
        assert_eq!(draft.memory.title.as_deref(), Some(title));
        let is_row = file.path.contains("Habit Tracker 152bb52ee2b5804da922efa8c3194444/");
        if !is_row {
            assert_eq!(draft.memory.text, rest.trim_start_matches('\n'), "{}", file.path);
            continue;
        }
        assert_eq!(
            (draft.collections[0].name.as_str(), draft.collections[0].kind, draft.memory.text.as_str()),
            ("Habit Tracker", "database", "")
        );
        let said: BTreeMap<&str, &str> = rest.lines().filter_map(|line| line.split_once(": ")).collect();
        let kept: BTreeMap<&str, &str> =
            draft.memory.custom.iter().map(|(name, value)| (name.as_str(), value.as_str().expect("text"))).collect();
        assert_eq!((said.len(), kept), (4, said.clone()));
        // What the page is called after is the day; else the only date there is.
        let words = title.trim_start_matches('@').replace(',', "");
        let named: Vec<&str> = words.split(' ').collect();
        let from: Vec<&str> =
            if named.len() == 3 { named } else { said["Full date"].split([' ', ',']).filter(|word| !word.is_empty()).take(3).collect() };
        let month =
            ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]
                .iter()
                .position(|name| *name == from[0]);
        if let Some(month) = month {
            let day = format!("{}-{:02}-{:0>2}", from[2], month + 1, from[1]);
            assert_eq!(draft.memory.when.day.map(|day| day.to_string()), Some(day), "{}", file.path);
            dated += 1;
        }
    }
    assert_eq!(dated, 270);
    let sub = drafts.values().find(|draft| draft.memory.title.as_deref() == Some("Example sub page")).expect("a page in a page");
    assert_eq!((sub.collections[0].name.as_str(), sub.collections[0].kind), ("Getting Started on Mobile", "page"));
    let table = taken.drafts.iter().find(|draft| id_of(draft).ends_with(" table")).expect("the database");
    assert_eq!((table.memory.title.as_deref(), table.files.len()), (Some("Habit Tracker"), 2));
    assert_eq!(taken.passed_over.len(), 1, "{:?}", taken.passed_over);
    assert!(
        taken.problems.len() == 4 && taken.problems.iter().all(|problem| problem.contains(".csv, which is not in the export")),
        "{:?}",
        taken.problems
    );
}

#[test]
fn a_genuine_export_as_html_is_kept_whole() {
    let Some(path) = genuine("other-notes-apps/notion/notion-testspace.zip") else { return };
    let taken = take(&path, None).expect("it is found out what it is");
    assert_eq!(taken.problems, Vec::<String>::new());
    let input = Input::open(&path).expect("open");
    let drafts = by_path(&taken);
    assert_eq!(drafts.len(), 4);
    let of = |title: &str| drafts.values().find(|draft| draft.memory.title.as_deref() == Some(title)).expect(title);
    for draft in drafts.values() {
        draft.memory.validate().expect("valid");
        let html = String::from_utf8(input.whole(&draft.origin).expect("read")).expect("text");
        let id = html.split_once("<article id=\"").and_then(|(_, rest)| rest.split_once('"')).expect("an id").0.replace('-', "");
        assert_eq!(id_of(draft), id);
        let space = draft.memory.title.as_deref() == Some("Notion-Testspace");
        assert_eq!(draft.collections.first().map(|found| found.name.as_str()), (!space).then_some("Notion-Testspace"));
    }
    let reference = of("Block Reference").memory.text.as_str();
    for said in [
        "# Heading Blocks (Including This One)\n\n## A Heading 2 Block\n\n### A Heading 3 Block",
        "- [ ] This is a todo-list item.",
        "- This is a bullet-list item…\n  - with three distinct…\n    - bullet icon levels.",
        "1. This is an ordered-list item…",
        "```Python\n# This is a plain-text code block with Python highlighting\nprint(\"Hello world!\")\n```",
        "```math\n\\begin{array}{c}\n\\text{A LaTeX Equation Block} \\\\ \nf(\\theta)=e^{i\\theta}\n\\end{array}\n```",
        "> This is a quote block.",
        "> 💡",
        "[Cat](https://w.wiki/Wz6)",
        "![](https://upload.wikimedia.org/wikipedia/commons/thumb/b/b6/Felis_catus-cat_on_snow.jpg/2560px-Felis_catus-cat_on_snow.jpg)",
    ] {
        assert!(reference.contains(said), "{said}\n{reference}");
    }
    assert!(!reference.contains("Table of Contents Block]") && !reference.contains("cdnjs"), "{reference}");
    let attached = of("Attachment Tests");
    let names: BTreeSet<&str> = attached.memory.attachments.iter().map(|attachment| attachment.name.as_str()).collect();
    assert_eq!(
        names,
        BTreeSet::from([
            "felis-catus.jpg",
            "кошки-самые-лучшие.jpg",
            "----.jpg",
            "kocky-jsou-nejlepsi.jpg",
            "name-with-percents-006300610074.jpg"
        ])
    );
    for (attachment, file) in attached.memory.attachments.iter().zip(&attached.files) {
        let mut bytes = Vec::new();
        input.open_file(&file.path).expect("open").read_to_end(&mut bytes).expect("read");
        assert_eq!(bytes.len(), 20395);
        assert!(attached.memory.text.contains(&format!("](keepsake:attachment/{})", attachment.key)));
    }
    assert_eq!(taken.passed_over.len(), 1, "{:?}", taken.passed_over);
    // No word of a long page is lost or stands elsewhere.
    let formatting = of("Formatting Tests");
    let html = String::from_utf8(input.whole(&formatting.origin).expect("read")).expect("text");
    let kept = words(&formatting.memory.text);
    for paragraph in html.split("<p id=\"").skip(1).filter_map(|rest| rest.split_once('>')?.1.split_once('<')) {
        let said = words(
            &paragraph.0.replace("&amp;", "&").replace("&#x27;", "'").replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">"),
        );
        assert!(said.is_empty() || kept.windows(said.len()).any(|window| window == said), "{said:?}");
    }
}

fn zip(path: &Path, entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(fs::File::create(path).expect("create"));
    for (name, bytes) in entries {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).expect("entry");
        zip.write_all(bytes).expect("write");
    }
    zip.finish().expect("finish");
    fs::read(path).expect("read")
}

const ID: &str = "1590080aa5a3802488c2e857dea7aa7d";

#[test]
fn properties_of_html_have_types() {
    let space = tempfile::tempdir().expect("space");
    let row = |kind: &str, name: &str, value: &str| {
        format!(
            "<tr class=\"property-row property-row-{kind}\"><th><span class=\"icon property-icon\"><svg/></span>{name}</th><td>{value}</td></tr>"
        )
    };
    let rows = [
        row("created_time", "Made", "<time>@December 4, 2024 8:45 AM (GMT+1)</time>"),
        row("last_edited_time", "Changed", "<time>@December 5, 2024 9:00 PM (GMT+1)</time>"),
        row("date", "Trip", "<time>@July 1, 2024 → July 5, 2024</time>"),
        row(
            "multi_select",
            "Tags",
            "<span class=\"selected-value select-value-color-red\">sea</span><span class=\"selected-value\">R&amp;B</span>",
        ),
        row("checkbox", "Done", "<div class=\"checkbox checkbox-on\"></div>"),
        row("file", "Papers", "<a href=\"P%20x/a(1).pdf\">a(1).pdf</a>"),
        row("person", "With", "<span class=\"user\"><img src=\"https://x/y.png\" class=\"icon user-icon\"/>Ada</span>"),
    ];
    let html = format!(
        "<html><head><title>T</title><style>a > b {{}}</style></head><body><article id=\"x\" class=\"page sans\"><header><img class=\"page-cover-image\" src=\"P%20x/cover.png\"/>\
         <div class=\"page-header-icon\"><span class=\"icon\">🏠</span></div><h1 class=\"page-title\">A title that is <b>longer</b></h1><p class=\"page-description\">What it is</p>\
         <table class=\"properties\"><tbody>{}</tbody></table></header><div class=\"page-body\"><p>one <mark>two</mark> <del>three</del></p><ul class=\"to-do-list\"><li><div class=\"checkbox checkbox-on\"></div> <span>done</span></li></ul>\
         <table class=\"simple-table\"><tbody><tr><td>a</td><td>b</td></tr></tbody></table><p>in <span class=\"notion-text-equation-token\"><span class=\"katex\"><span class=\"katex-mathml\"><math><semantics><mrow><mi>x</mi></mrow><annotation encoding=\"application/x-tex\">x_1</annotation></semantics></math></span><span class=\"katex-html\">x1</span></span></span> line</p>\
         <p><a href=\"P%20x/gone.pdf\">gone</a> <a href=\"mailto:a@b\">mail</a> <a href=\"Other%20{ID}.html\">other</a></p></div></article></body></html>",
        rows.concat()
    );
    fs::create_dir(space.path().join("P x")).expect("folder");
    fs::write(space.path().join(format!("A title {ID}.html")), html).expect("written");
    for name in ["cover.png", "a(1).pdf", "unnamed.png"] {
        fs::write(space.path().join("P x").join(name), name).expect("written");
    }
    let taken = take(space.path(), None).expect("it is found out what it is");
    let draft = &taken.drafts[0];
    let memory = &draft.memory;
    memory.validate().expect("valid");
    assert_eq!(memory.title.as_deref(), Some("A title that is longer"));
    assert_eq!(
        (memory.created.to_string().as_str(), memory.modified.to_string().as_str()),
        ("2024-12-04T07:45:00Z", "2024-12-05T20:00:00Z")
    );
    assert_eq!(memory.when.edtf.as_ref().map(|edtf| edtf.as_str()), Some("2024-07-01/2024-07-05"));
    assert_eq!(memory.tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>(), ["R&B", "sea"]);
    let custom: BTreeMap<&str, &str> = memory.custom.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect();
    let cover = format!("keepsake:attachment/{}", memory.attachments[0].key);
    for (name, value) in [
        ("Done", "Yes"),
        ("Papers", "a(1).pdf"),
        ("With", "Ada"),
        ("Trip", "@July 1, 2024 → July 5, 2024"),
        ("page-icon", "🏠"),
        ("page-description", "What it is"),
        ("page-cover", cover.as_str()),
    ] {
        assert_eq!(custom.get(name), Some(&value), "{name}: {custom:?}");
    }
    let text = &memory.text;
    for said in ["one two ~~three~~", "- [x] done", "in $`x_1`$ line", "[mail](mailto:a@b)", &format!("[other](Other%20{ID}.html)")] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    assert!(!text.contains("property") && !text.contains("@July"), "{text}");
    assert_eq!((memory.attachments.len(), draft.files.len()), (3, 2));
    assert_eq!(taken.passed_over, ["P x/unnamed.png (no page, and no page names it)"]);
    for said in ["its file P x/gone.pdf is not in the export", "which is not in the export; export the whole workspace"] {
        assert!(taken.problems.iter().any(|problem| problem.contains(said)), "{said}: {:?}", taken.problems);
    }
}

/// An export of several parts: in one archive, in a folder, and one of them alone.
#[test]
fn parts_are_read_as_one() {
    let space = tempfile::tempdir().expect("space");
    let page = format!("Export-x/Page {ID}.md");
    let folder = space.path().join("parts");
    fs::create_dir(&folder).expect("folder");
    let text = format!(
        "# Page\n\n![](Page%20{ID}/a(1).png)\n\n<aside>\n<img src=\"Page%20{ID}/a(1).png\" alt=\"an icon\" width=\"40px\" />\n</aside>\n"
    );
    let first = zip(&folder.join("Export-1-Part-1.zip"), &[(&page, text.as_bytes()), ("index.html", b"1")]);
    let second = zip(&folder.join("Export-1-Part-2.zip"), &[(&format!("Export-x/Page {ID}/a(1).png"), b"a picture"), ("index.html", b"2")]);
    let outer = space.path().join("outer.zip");
    zip(&outer, &[("Export-1-Part-1.zip", &first), ("Export-1-Part-2.zip", &second), ("__MACOSX/._x", b"")]);
    for path in [&outer, &folder] {
        let taken = take(path, None).expect("it is found out what it is");
        assert_eq!((taken.drafts.len(), taken.drafts[0].files.len(), taken.problems.len()), (1, 1, 0), "{}", path.display());
        assert_eq!(Input::open(path).expect("open").whole(&taken.drafts[0].files[0].path).expect("read"), b"a picture");
        assert_eq!(
            taken.drafts[0].memory.text,
            "![](keepsake:attachment/a-1-)\n\n<aside>\n![an icon](keepsake:attachment/a-1-)\n</aside>\n"
        );
        assert!(taken.passed_over.iter().any(|path| path.contains("in another part")), "{:?}", taken.passed_over);
    }
    let alone = take(&folder.join("Export-1-Part-1.zip"), None).expect("readable");
    assert!(
        alone.drafts[0].memory.attachments[0].expected.is_some() && alone.problems[0].contains("is not in the export"),
        "{:?}",
        alone.problems
    );
    fs::write(folder.join("Export-1-Part-2.zip"), &second[..40]).expect("written");
    assert!(Input::open(&folder).expect_err("refused").to_string().contains("was it downloaded whole?"));
}

#[test]
fn odd_pages_are_kept_or_named() {
    let space = tempfile::tempdir().expect("space");
    let write = |name: &str, bytes: &[u8]| {
        let path = space.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folder");
        fs::write(path, bytes).expect("written");
    };
    let other = ID.replace('1', "2");
    write(&format!("Db {ID}.csv"), "\u{feff}Name,Date,Tags\nrow,\"03/04/2024\",\"a, b\"\n".as_bytes());
    write(&format!("Db {ID}/row {other}.md"), b"# row\n\nDate: 03/04/2024\nTags: a, b\nUnknown: stays\n\nDate: text\n");
    write(&format!("Note {}.md", ID.replace('1', "3")), b"Date: May 1, 2024\n\nno title \xff");
    write(&format!("Copy {other}.md"), b"# row\n");
    write(&format!("Deep {}.html", ID.replace('1', "4")), format!("<div>{}deep", "<div><b>".repeat(9000)).as_bytes());
    write(&format!("Bad {}.html", ID.replace('1', "5")), b"<p>good <a href=\"x\" <!-- ");
    write("Loose.md", b"words");
    write(".trash/Hidden.md", b"words");
    let taken = take(space.path(), None).expect("it is found out what it is");
    assert!(taken.drafts.len() == 5 && taken.drafts.iter().all(|draft| draft.memory.validate().is_ok()), "{:?}", taken.problems);
    let of = |title: &str| &taken.drafts.iter().find(|draft| draft.memory.title.as_deref() == Some(title)).expect(title).memory;
    let copy = &taken.drafts.iter().find(|draft| id_of(draft) == other).expect("a row").memory;
    assert_eq!(copy.title.as_deref(), Some("row"));
    assert_eq!(
        (of("Note").text.as_str(), of("Note").custom.len()),
        ("Date: May 1, 2024\n\nno title \u{fffd}", 0),
        "no database, no property"
    );
    assert!(of("Deep").text.contains("deep") && of("Bad").text.contains("good"), "{} {}", of("Deep").text.len(), of("Bad").text);
    assert!(taken.passed_over.iter().any(|path| path.contains("the same page once more")), "{:?}", taken.passed_over);
    for said in ["is not UTF-8", "nested too deep", "cannot be read to its end", "Loose.md: has no id of Notion in its name"] {
        assert!(taken.problems.iter().any(|problem| problem.contains(said)), "{said}: {:?}", taken.problems);
    }
    let twice = take(space.path(), Some(Format::Notion)).expect("readable");
    assert!(twice.drafts == taken.drafts, "the same twice");
}

#[test]
fn what_looks_like_a_link_in_code_stays() {
    let space = tempfile::tempdir().expect("space");
    fs::write(space.path().join("a.png"), "a picture").expect("written");
    let code = "```js\nhandlers[name](event); [x](a.png)\n<img src=\"a.png\"/>\n```\n`list[0](a.png)`";
    let text = format!("# Page\n\n{code} calls[it](later) ![](a.png) ![](lost) [b](b.pdf)\n");
    fs::write(space.path().join(format!("Page {ID}.md")), text).expect("written");
    let taken = take(space.path(), Some(Format::Notion)).expect("readable");
    let expected = "calls[it](later) ![](keepsake:attachment/a) ![](keepsake:attachment/lost) [b](keepsake:attachment/b)\n";
    assert_eq!(taken.drafts[0].memory.text, format!("{code} {expected}"));
    assert_eq!((taken.drafts[0].files.len(), taken.problems.len()), (1, 2), "{:?}", taken.problems);
}
