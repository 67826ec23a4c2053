//! Templates of text: what they show, and what they cannot do, whoever wrote them.

use std::collections::BTreeSet;

use keepsake_formats::template::{
    Engine, Kind, Manifest, Media, OUTPUT_BYTES_MAX, Per, Problem, Set, Standard, built_in, sample,
    view::{self, PictureFile, View, Viewer},
};

fn set(kind: Kind, files: &[(&str, &str)]) -> Set {
    let manifest = Manifest {
        name: "tried".into(),
        description: String::new(),
        kind,
        entry: files[0].0.into(),
        per: Per::Export,
        filter: None,
        media: Media::Pictures,
        pixels: 400,
        standard: Standard::Plain,
    };
    let files = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
    Set::new(manifest, files).expect("a template")
}

fn views(kind: Kind) -> Vec<View> {
    let (names, memories) = (sample::names(), sample::memories());
    let here: BTreeSet<_> = memories.iter().map(|memory| memory.id).collect();
    let picture = PictureFile { path: "pictures/1.jpg".into(), width: 4, height: 3 };
    let viewer = Viewer { kind, names: &names, here: &here, language: "en" };
    let view = |(number, memory)| viewer.memory(memory, number, &sample::shown(memory, &names, Some(&picture)));
    (1..).zip(&memories).map(view).collect()
}

fn fill(set: &Set) -> Result<String, Problem> {
    let engine = Engine::new(set).map_err(|problems| problems[0].clone())?;
    let filled = engine.fill(&sample::head("tried", 4, None), &views(set.manifest.kind), false, &[("a clip".into(), "a reason".into())])?;
    Ok(String::from_utf8(filled).expect("text"))
}

fn filled(text: &str) -> Result<String, Problem> {
    fill(&set(Kind::Html, &[("a.html", text)]))
}

#[test]
fn words_are_no_markup_and_markup_is_ours() {
    let page = filled("{% for m in memories %}<b title=\"{{ m.title }}\">{{ m.heading }}</b>{{ m.html }}{% endfor %}").expect("filled");
    assert!(page.contains("<b title=\"A day &lt;by&gt; the sea &amp; {{ more }}\">"), "{page}");
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && !page.contains("<script"), "{page}");
    assert!(page.contains("<img src=\"pictures/1.jpg\" alt=\"x\" width=\"4\" height=\"3\" loading=\"lazy\"/>"), "{page}");
    assert_eq!(filled("{{ \"a/b\\u0001'\" }}").expect("filled"), "a/b\u{fffd}&#39;");
    // Whatever its file is called, a template of HTML is one; of text, nothing is escaped but where the file is markup.
    for (kind, file, escaped) in
        [(Kind::Html, "a.txt", true), (Kind::Text, "a.txt", false), (Kind::Markdown, "a.md", false), (Kind::Text, "a.HTML", true)]
    {
        let page = fill(&set(kind, &[(file, "{{ memories[0].title }}")])).expect("filled");
        assert_eq!(page.contains("&lt;by&gt;"), escaped, "{file}: {page}");
    }
    for template in ["{{ title | safe }}", "{% autoescape false %}{{ title }}{% endautoescape %}"] {
        assert!(filled(template).is_err(), "{template}");
    }
    let others = set(Kind::Html, &[("a.html", "<a href=\"#m\">\n<script>\n<img src='https://example.org/x'>\n")]);
    let lines: Vec<Option<usize>> = others.reaches_out().iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [Some(2), Some(3)]);
    assert!(filled("{{ memories[0].markdown }}").expect("filled").contains("![x](pictures/1.jpg)"));
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_its_name() {
    let told = |problem: Result<String, Problem>| problem.expect_err("it is wrong").to_string();
    let unknown = told(filled("one\ntwo {{ memories[0].tittle }}\n"));
    assert!(unknown.starts_with("a.html, line 2: ") && unknown.contains("tittle"), "{unknown}");
    let unknown = told(filled("{{ nothing }}"));
    assert!(unknown.starts_with("a.html, line 1: ") && unknown.contains("nothing"), "{unknown}");
    let unknown = told(filled("{% for m in memorys %}{% endfor %}"));
    assert!(unknown.contains("memorys"), "{unknown}");
    let open = told(filled("one\n{% if x %}\n"));
    assert!(open.starts_with("a.html, line "), "{open}");
    let filter = told(filled("\n{{ title | shout }}"));
    assert!(filter.starts_with("a.html, line 2: ") && filter.contains("shout"), "{filter}");
    let inside = fill(&set(Kind::Html, &[("a.html", "{% include \"b.html\" %}"), ("b.html", "\n\n{{ nope.at.all }}")]));
    let inside = told(inside);
    assert!(inside.starts_with("b.html, line 3: ") && inside.contains("nope"), "{inside}");
}

#[test]
fn no_file_is_reached_but_its_own() {
    for template in [
        "{% include \"/etc/passwd\" %}",
        "{% include \"../../../../etc/passwd\" %}",
        "{% include title ~ \"/etc/passwd\" %}",
        "{% extends \"/etc/passwd\" %}",
        "{% import \"/etc/passwd\" as x %}",
        "{% from \"file:///etc/passwd\" import x %}",
        "{{ open(\"/etc/passwd\") }}",
        "{{ read(\"/etc/passwd\") }}",
        "{{ env(\"HOME\") }}",
        "{{ title.__class__ }}",
        "{{ self.environment }}",
    ] {
        assert!(filled(template).is_err(), "{template}");
    }
    let files =
        [("a.html", "{% extends \"parts/b.html\" %}{% block x %}in{% endblock %}"), ("parts/b.html", "<{% block x %}{% endblock %}>")];
    assert_eq!(fill(&set(Kind::Html, &files)), Ok("<in>".into()));
}

#[test]
fn nothing_goes_on_for_ever_or_grows_without_end() {
    let doubled = "{% set ns = namespace(x=\"aaaaaaaaaaaaaaaa\") %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x | length }}";
    let captured = "{% macro f(x) %}{{ x }}{{ x }}{% endmacro %}{% set ns = namespace(x=\"aaaaaaaaaaaaaaaa\") %}{% for i in range(60) %}{% set ns.x = f(ns.x) %}{% endfor %}";
    let loops = "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}";
    let huge = "{% for a in range(9999) %}{{ \"x\" * 90000000 }}{% endfor %}";
    for template in [doubled, captured, loops, huge] {
        let problem = filled(template).expect_err(template).to_string();
        assert!(problem.contains("16 million steps") || problem.contains("256 MiB") || problem.contains("too large"), "{problem}");
    }
    for template in ["{% include \"a.html\" %}", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "{% import \"a.html\" as x %}"] {
        let problem = filled(template).expect_err(template);
        assert!(problem.message.contains("recursion"), "{problem}");
    }
    // What is deep in the text of a template itself.
    assert!(filled(&format!("{{{{ {}", "(".repeat(100_000))).is_err());
    assert!(filled(&"{% if 1 %}".repeat(20_000)).is_err());
    // Chains are as deep as they are long.
    let elifs = format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 1 %}".repeat(80_000));
    for template in [format!("{{{{ title{} }}}}", ".a".repeat(100_000)), format!("{{{{ 1{} }}}}", "~1".repeat(100_000)), elifs] {
        let problem = filled(&template).expect_err("too long");
        assert!(problem.line == Some(1) && (problem.message.contains("500") || problem.message.contains("200")), "{problem}");
    }
    // So long is good, and goes through.
    assert!(filled(&format!("{{{{ 1{} }}}}", "~1".repeat(240))).is_ok());
    const { assert!(OUTPUT_BYTES_MAX < 1 << 30) };
}

/// Every field has its row in the page, and the page has no other.
#[test]
fn the_page_has_every_field() {
    let page = include_str!("../../../docs/TEMPLATES.md");
    let rows: BTreeSet<&str> = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let mut fields = BTreeSet::new();
    for kind in [Kind::Html, Kind::Typst] {
        let data = view::data(&sample::head("tried", 1, None), &views(kind)[..1], true, &[("a".into(), "b".into())]);
        gather("", &data, &mut fields);
    }
    fields.insert("memory.html".to_owned());
    let fields: BTreeSet<&str> = fields.iter().map(String::as_str).collect();
    assert_eq!(rows, fields);
}

fn gather(below: &str, value: &serde_json::Value, into: &mut BTreeSet<String>) {
    // All memories are as the one, and blocks are no fields.
    let value = value.as_array().and_then(|items| items.first()).unwrap_or(value);
    let Some(fields) = value.as_object().filter(|_| !below.ends_with("blocks") && below != "memories") else { return };
    for (name, value) in fields {
        let path = if below.is_empty() { name.clone() } else { format!("{below}.{name}") };
        gather(&path, value, into);
        into.insert(path);
    }
}

#[test]
fn built_in_ones_show_what_people_wrote() {
    for name in ["journal", "plain"] {
        let page = fill(&built_in::find(name).expect("built in")).expect("filled");
        let said = page.replace('\\', "");
        for words in ["שלום עולם", "东坡志林", "Alfama, Lisbon, Portugal", "1978-06~", "sea/birds"] {
            assert!(said.contains(words), "{name}: {words}: {page}");
        }
        assert!(!page.contains("<script>alert(1)</script>") || name == "plain", "{page}");
    }
}
