//! Tables of HTML as tables of GitHub Flavored Markdown.

use std::rc::Rc;

use htmd::{
    Element, Node,
    element_handler::{HandlerResult, Handlers},
};
use markup5ever_rcdom::NodeData;

/// More columns than a cell can say that it spans.
const COLUMNS_MAX: usize = 100;

#[derive(Default)]
struct Row {
    cells: Vec<String>,
    is_heading: bool,
}

/// A table with headings somewhere, every cell of it. Tables that only place things, or stand in a cell of another, are read as what is in them.
pub(super) fn table(handlers: &dyn Handlers, element: Element<'_>) -> Option<HandlerResult> {
    if is_in_cell(element.node) || !has_headings(element.node) {
        return handlers.fallback(element);
    }
    let (mut rows, mut captions) = (Vec::new(), Vec::new());
    for child in children(element.node) {
        match name(&child) {
            "tr" => rows.push(row(handlers, &child, false)),
            part @ ("thead" | "tbody" | "tfoot") => {
                for (at, below) in children(&child).iter().filter(|below| name(below) == "tr").enumerate() {
                    rows.push(row(handlers, below, part == "thead" && at == 0));
                }
            }
            "caption" => captions.extend(handlers.handle(&child).map(|shown| shown.content.trim().to_owned())),
            _ => {}
        }
    }
    rows.retain(|row| !row.cells.is_empty());
    let columns = rows.iter().map(|row| row.cells.len()).max().unwrap_or_default();
    if !rows.first().is_some_and(|row| row.is_heading) {
        // Markdown knows no table without a row of headings.
        rows.insert(0, Row::default());
    }
    let mut shown = String::from("\n\n");
    for caption in captions.iter().filter(|caption| !caption.is_empty()) {
        shown.extend([caption, "\n\n"]);
    }
    for (at, row) in rows.iter().enumerate() {
        let cells = row.cells.iter().map(String::as_str).chain(std::iter::repeat("")).take(columns);
        write_row(&mut shown, cells);
        if at == 0 {
            write_row(&mut shown, std::iter::repeat_n("---", columns));
        }
    }
    shown.push('\n');
    Some(shown.into())
}

fn write_row<'a>(shown: &mut String, cells: impl Iterator<Item = &'a str>) {
    for cell in cells {
        shown.extend(["| ", cell, if cell.is_empty() { "" } else { " " }]);
    }
    shown.push_str("|\n");
}

fn row(handlers: &dyn Handlers, node: &Rc<Node>, is_heading: bool) -> Row {
    let mut row = Row { cells: Vec::new(), is_heading };
    let mut is_all_headings = true;
    for cell in children(node).iter().filter(|cell| is_cell(cell)) {
        is_all_headings &= name(cell) == "th";
        let content = handlers.handle(cell).map(|shown| shown.content).unwrap_or_default();
        row.cells.push(content.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|"));
        let more = spans(cell).saturating_sub(1).min(COLUMNS_MAX.saturating_sub(row.cells.len()));
        row.cells.extend(std::iter::repeat_n(String::new(), more));
    }
    row.is_heading |= is_all_headings;
    row
}

fn children(node: &Rc<Node>) -> Vec<Rc<Node>> {
    // A handler may look at the same list.
    node.children.borrow().clone()
}

fn name(node: &Node) -> &str {
    if let NodeData::Element { name, .. } = &node.data { &name.local } else { "" }
}

fn is_cell(node: &Node) -> bool {
    matches!(name(node), "th" | "td")
}

fn spans(cell: &Node) -> usize {
    let NodeData::Element { attrs, .. } = &cell.data else { return 1 };
    let attrs = attrs.borrow();
    let said = attrs.iter().find(|attribute| &*attribute.name.local == "colspan");
    said.and_then(|said| said.value.trim().parse().ok()).unwrap_or(1)
}

/// Whether it has headings of its own.
fn has_headings(node: &Rc<Node>) -> bool {
    children(node).iter().any(|child| match name(child) {
        "th" | "thead" => true,
        "table" | "td" => false,
        _ => has_headings(child),
    })
}

fn is_in_cell(node: &Rc<Node>) -> bool {
    let above = |node: &Rc<Node>| {
        let parent = node.parent.take();
        let above = parent.as_ref().and_then(std::rc::Weak::upgrade);
        node.parent.set(parent);
        above
    };
    std::iter::successors(above(node), above).any(|node| is_cell(&node))
}

#[cfg(test)]
mod tests {
    use super::super::to_markdown;

    #[test]
    fn every_cell_is_there() {
        for (html, markdown) in [
            ("<table><tr><th>Name<td>Anna<tr><th>Born<td>1950</table>", "| | |\n| --- | --- |\n| Name | Anna |\n| Born | 1950 |"),
            ("<table><tr><th>Day<th>What<tr><th>Monday<td>rain</table>", "| Day | What |\n| --- | --- |\n| Monday | rain |"),
            (
                "<table><thead><tr><td><th>a<tr><th colspan=2>both</thead><tbody><tr><td>1|2<td><p>x</p><p>y</p></table>",
                "| | a |\n| --- | --- |\n| both | |\n| 1\\|2 | x y |",
            ),
            ("<p>before</p><table><caption>Years</caption><tr><th>a</table><p>after</p>", "before\n\nYears\n\n| a |\n| --- |\n\nafter"),
            (
                "<table><tr><th>a<tr><td><table><tr><th>in<td>side</table><td colspan=99999999>b</table>",
                &["| a |", " |".repeat(99).as_str(), "\n|", " --- |".repeat(100).as_str(), "\n| in side | b |", &" |".repeat(98)].concat(),
            ),
        ] {
            assert_eq!(to_markdown(html).as_deref(), Ok(markdown), "{html}");
        }
    }
}
