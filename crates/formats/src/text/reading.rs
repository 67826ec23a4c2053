//! From Markdown to blocks.

use pulldown_cmark::{Event, Options, Parser, Tag, TextMergeStream};

use super::{Block, Inline, Target};

/// Containers in containers, no deeper than this: who reads lines and typesetters give up at some depth.
const DEPTH_MAX: usize = 8;

/// Longer addresses lead nowhere: typesetters and browsers refuse them.
const URL_BYTES_MAX: usize = 8_000;

/// Reads a Markdown text. Never fails: every text is Markdown.
pub fn parse(markdown: &str) -> Vec<Block> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut reader = Reader { events: TextMergeStream::new(Parser::new_ext(markdown, options)) };
    let mut blocks = reader.blocks(0);
    level(&mut blocks);
    blocks
}

/// Lets no heading be more than one level below the one before; the first is of level 1.
pub fn level(blocks: &mut [Block]) {
    level_after(blocks, &mut 0);
}

fn level_after(blocks: &mut [Block], last: &mut u8) {
    for block in blocks {
        match block {
            Block::Heading(level, _) => {
                *level = (*level).min(*last + 1);
                *last = *level;
            }
            Block::Quote(inside) => level_after(inside, last),
            Block::List(_, items) => items.iter_mut().for_each(|item| level_after(item, last)),
            _ => {}
        }
    }
}

struct Reader<'a> {
    events: TextMergeStream<'a, Parser<'a>>,
}

/// Pieces of a line, and the figures among them: each with how many pieces stand before it.
#[derive(Default)]
struct Line {
    pieces: Vec<Inline>,
    figures: Vec<(usize, Block)>,
}

impl Line {
    fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.figures.is_empty()
    }

    fn text(&mut self, text: impl Into<String>) {
        self.pieces.push(Inline::Text(text.into()));
    }

    /// As paragraphs with the figures where they stand.
    fn into_blocks(self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut pieces = self.pieces.into_iter();
        let mut taken = 0;
        let paragraph = |pieces: Vec<Inline>| (!super::plain(&pieces).trim().is_empty()).then_some(Block::Paragraph(trimmed(pieces)));
        for (at, figure) in self.figures {
            blocks.extend(paragraph(pieces.by_ref().take(at - taken).collect()));
            taken = at;
            blocks.push(figure);
        }
        blocks.extend(paragraph(pieces.collect()));
        blocks
    }

    /// The pieces, and the figures apart.
    fn apart(self) -> (Vec<Inline>, impl Iterator<Item = Block>) {
        (self.pieces, self.figures.into_iter().map(|(_, figure)| figure))
    }
}

/// Without line breaks at either end.
fn trimmed(mut pieces: Vec<Inline>) -> Vec<Inline> {
    let is_blank = |piece: &Inline| matches!(piece, Inline::Break) || matches!(piece, Inline::Text(text) if text.trim().is_empty());
    while pieces.last().is_some_and(is_blank) {
        pieces.pop();
    }
    let from = pieces.iter().position(|piece| !is_blank(piece)).unwrap_or(0);
    pieces.drain(..from);
    pieces
}

impl<'a> Reader<'a> {
    /// Blocks up to the end of what they are in.
    fn blocks(&mut self, depth: usize) -> Vec<Block> {
        let (mut blocks, mut open, mut passed) = (Vec::new(), Line::default(), 0);
        while let Some(event) = self.events.next() {
            let begins_block = matches!(&event, Event::Start(tag) if !is_inline(tag)) || matches!(event, Event::End(_) | Event::Rule);
            // Items of a tight list hold their words without a paragraph.
            if begins_block && !open.is_empty() {
                blocks.extend(std::mem::take(&mut open).into_blocks());
            }
            match event {
                Event::End(_) if passed > 0 => passed -= 1,
                Event::End(_) => break,
                Event::Rule => blocks.push(Block::Rule),
                Event::Start(Tag::Paragraph) => blocks.extend(self.line(0).into_blocks()),
                Event::Start(Tag::Heading { level, .. }) => {
                    let (pieces, figures) = self.line(0).apart();
                    if !super::plain(&pieces).trim().is_empty() {
                        blocks.push(Block::Heading(level as u8, pieces));
                    }
                    blocks.extend(figures);
                }
                Event::Start(Tag::BlockQuote(_)) if depth < DEPTH_MAX => blocks.push(Block::Quote(self.blocks(depth + 1))),
                Event::Start(Tag::List(first)) if depth < DEPTH_MAX => {
                    let items = self.items(depth + 1);
                    blocks.push(Block::List(first, items));
                }
                Event::Start(Tag::CodeBlock(_)) => blocks.push(Block::Code(self.raw())),
                Event::Start(Tag::HtmlBlock) => {
                    let text = self.raw();
                    blocks.push(Block::Paragraph(vec![Inline::Text(text.trim().to_owned())]));
                }
                Event::Start(Tag::Table(_)) => self.table(&mut blocks),
                Event::Start(tag) if is_inline(&tag) => self.span(tag, &mut open, 0),
                Event::Start(_) => passed += 1,
                other => piece(other, &mut open),
            }
        }
        if !open.is_empty() {
            blocks.extend(open.into_blocks());
        }
        blocks
    }

    fn items(&mut self, depth: usize) -> Vec<Vec<Block>> {
        let mut items = Vec::new();
        while let Some(Event::Start(_)) = self.events.next() {
            items.push(self.blocks(depth));
        }
        items
    }

    fn table(&mut self, blocks: &mut Vec<Block>) {
        let (mut rows, mut figures) = (Vec::new(), Vec::new());
        while let Some(Event::Start(_)) = self.events.next() {
            let mut cells = Vec::new();
            while let Some(Event::Start(_)) = self.events.next() {
                let (pieces, shown) = self.line(0).apart();
                cells.push(pieces);
                figures.extend(shown);
            }
            rows.push(cells);
        }
        if !rows.is_empty() {
            let head = rows.remove(0);
            blocks.push(Block::Table(head, rows));
        }
        blocks.extend(figures);
    }

    /// The text up to the end of what it is in.
    fn raw(&mut self) -> String {
        let mut text = String::new();
        while let Some(Event::Text(part) | Event::Html(part)) = self.events.next() {
            text.push_str(&part);
        }
        text
    }

    /// Pieces up to the end of what they are in.
    fn line(&mut self, depth: usize) -> Line {
        let (mut line, mut passed) = (Line::default(), 0);
        while let Some(event) = self.events.next() {
            match event {
                Event::End(_) if passed > 0 => passed -= 1,
                Event::End(_) => break,
                Event::Start(tag) if depth < DEPTH_MAX && is_inline(&tag) => self.span(tag, &mut line, depth),
                Event::Start(_) => passed += 1,
                other => piece(other, &mut line),
            }
        }
        line
    }

    fn span(&mut self, tag: Tag<'a>, line: &mut Line, depth: usize) {
        let inside = self.line(depth + 1);
        if let Tag::Image { dest_url, .. } = &tag {
            let alt = super::plain(&inside.pieces);
            match target(dest_url) {
                Some(Target::Attachment(key)) => line.figures.push((line.pieces.len(), Block::Figure(key, alt))),
                // Nothing is ever loaded from elsewhere.
                Some(other) => {
                    let words = if alt.trim().is_empty() { dest_url.to_string() } else { alt };
                    line.pieces.push(Inline::Link(other, vec![Inline::Text(words)]));
                }
                None => line.text(if alt.is_empty() { dest_url.to_string() } else { alt }),
            }
            return;
        }
        let (pieces, figures) = inside.apart();
        match tag {
            Tag::Emphasis => line.pieces.push(Inline::Emphasis(pieces)),
            Tag::Strong => line.pieces.push(Inline::Strong(pieces)),
            Tag::Strikethrough => line.pieces.push(Inline::Struck(pieces)),
            Tag::Link { dest_url, .. } => match target(&dest_url) {
                Some(target) if !super::plain(&pieces).trim().is_empty() => line.pieces.push(Inline::Link(target, pieces)),
                Some(target) => line.pieces.push(Inline::Link(target, vec![Inline::Text(dest_url.to_string())])),
                // Where it leads is told, and nobody is led there.
                None => {
                    line.pieces.extend(pieces);
                    line.text(format!(" ({dest_url})"));
                }
            },
            _ => line.pieces.extend(pieces),
        }
        let at = line.pieces.len();
        line.figures.extend(figures.map(|figure| (at, figure)));
    }
}

fn is_inline(tag: &Tag<'_>) -> bool {
    matches!(
        tag,
        Tag::Emphasis | Tag::Strong | Tag::Strikethrough | Tag::Superscript | Tag::Subscript | Tag::Link { .. } | Tag::Image { .. }
    )
}

fn piece(event: Event<'_>, line: &mut Line) {
    match event {
        Event::Text(text) | Event::InlineHtml(text) | Event::Html(text) => line.text(text.into_string()),
        Event::Code(text) => line.pieces.push(Inline::Code(text.into_string())),
        Event::SoftBreak => line.text(" "),
        Event::HardBreak => line.pieces.push(Inline::Break),
        Event::TaskListMarker(done) => line.text(if done { "[x] " } else { "[ ] " }),
        _ => {}
    }
}

/// Where an address leads, if it is one to lead people to.
fn target(address: &str) -> Option<Target> {
    if let Some(key) = address.strip_prefix("keepsake:attachment/") {
        return Some(Target::Attachment(key.to_owned()));
    }
    if let Some(id) = address.strip_prefix("keepsake:memory/") {
        return Some(Target::Memory(id.to_owned()));
    }
    let scheme = address.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    let known = scheme.is_some_and(|scheme| matches!(scheme.as_str(), "http" | "https" | "mailto" | "tel" | "geo"));
    (known && address.len() < URL_BYTES_MAX && !address.chars().any(|c| c.is_whitespace() || c.is_control()))
        .then(|| Target::Url(address.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(words: &str) -> Inline {
        Inline::Text(words.into())
    }

    #[test]
    fn photos_stand_where_the_text_has_them() {
        let blocks = parse(
            "Before ![the sea](keepsake:attachment/a1) after\n\n![](keepsake:attachment/a2)\n\n*deep ![x](keepsake:attachment/a3) in*",
        );
        assert_eq!(super::super::figures(&blocks), ["a1", "a2", "a3"]);
        let paragraph = |words: &str| Block::Paragraph(vec![text(words)]);
        assert_eq!(blocks[..3], [paragraph("Before "), Block::Figure("a1".into(), "the sea".into()), paragraph(" after")]);
    }

    #[test]
    fn what_markdown_has() {
        let blocks =
            parse("# One\n\n### Two\n\n1. a\n2. **b**\n   > c\n\n- [x] done\n\n| h |\n|---|\n| ~~d~~ |\n\n    code\n\n---\nline  \nbreak");
        let Block::Heading(1, _) = &blocks[0] else { panic!("{:?}", blocks[0]) };
        let Block::Heading(2, _) = &blocks[1] else { panic!("no level is skipped: {:?}", blocks[1]) };
        let Block::List(Some(1), items) = &blocks[2] else { panic!("{:?}", blocks[2]) };
        assert_eq!(items[0], [Block::Paragraph(vec![text("a")])]);
        assert!(matches!(&items[1][1], Block::Quote(_)), "{items:?}");
        let Block::List(None, tasks) = &blocks[3] else { panic!("{:?}", blocks[3]) };
        assert_eq!(tasks[0], [Block::Paragraph(vec![text("[x] "), text("done")])]);
        assert_eq!(blocks[4], Block::Table(vec![vec![text("h")]], vec![vec![vec![Inline::Struck(vec![text("d")])]]]));
        assert_eq!(blocks[5..7], [Block::Code("code\n".into()), Block::Rule]);
        assert_eq!(blocks[7], Block::Paragraph(vec![text("line"), Inline::Break, text("break")]));
    }

    #[test]
    fn nothing_leads_where_it_should_not() {
        let blocks =
            parse("[a](javascript:alert(1)) <b>bold</b> ![b](http://x.example/y.png) [m](keepsake:memory/0190)\n\n<script>x</script>");
        let Block::Paragraph(pieces) = &blocks[0] else { panic!("{blocks:?}") };
        let links: Vec<_> =
            pieces.iter().filter_map(|piece| if let Inline::Link(target, _) = piece { Some(target) } else { None }).collect();
        assert_eq!(links, [&Target::Url("http://x.example/y.png".into()), &Target::Memory("0190".into())]);
        assert!(super::super::plain(pieces).starts_with("a (javascript:alert(1)) <b>bold</b> b m"), "{pieces:?}");
        assert_eq!(blocks[1], Block::Paragraph(vec![text("<script>x</script>")]));
    }

    #[test]
    fn depth_is_bounded_and_no_word_is_lost() {
        fn depth(blocks: &[Block]) -> usize {
            let inside = |block: &Block| match block {
                Block::Quote(inside) => 1 + depth(inside),
                Block::List(_, items) => 1 + items.iter().map(|item| depth(item)).max().unwrap_or(0),
                _ => 0,
            };
            blocks.iter().map(inside).max().unwrap_or(0)
        }
        let quotes = parse(&format!("{} deep", ">".repeat(3_000)));
        assert!(depth(&quotes) <= DEPTH_MAX && format!("{quotes:?}").contains("deep"));
        let lists: String = (0..200).map(|at| format!("{}- w{at}\n", "  ".repeat(at))).collect();
        let lists = parse(&lists);
        assert!(depth(&lists) <= DEPTH_MAX && format!("{lists:?}").contains("w7"));
        let stars = parse(&format!("{}x{}", "*a **b ".repeat(500), "** *".repeat(500)));
        assert!(format!("{stars:?}").contains('x'));
    }
}
