//! HTML of other programs as Markdown.

/// The longest text that is converted, and the most tags in it: a parser may make many elements of one, and goes down a step for each that is
/// open. Posts and notes have a hundredth of it.
const BYTES_MAX: usize = 256 << 10;
const TAGS_MAX: usize = 5000;
/// So many tags need no more stack than every thread has.
const TAGS_NEAR: usize = 100;
const STACK_BYTES: usize = 128 << 20;

/// HTML as Markdown; `Err`: it is too long or has too many tags, and its words come back without them.
pub(crate) fn to_markdown(html: &str) -> Result<String, String> {
    let tags = html.matches('<').count();
    if html.len() > BYTES_MAX || tags > TAGS_MAX {
        return Err(words(html));
    }
    if tags <= TAGS_NEAR {
        return htmd::convert(html).map_err(|_| words(html));
    }
    std::thread::scope(|scope| {
        let converting = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, || htmd::convert(html));
        converting.ok().and_then(|thread| thread.join().ok()).and_then(Result::ok).ok_or_else(|| words(html))
    })
}

/// The words of HTML without its tags.
fn words(html: &str) -> String {
    let pieces =
        html.split('<').enumerate().map(|(at, piece)| if at == 0 { piece } else { piece.split_once('>').map_or("", |(_, after)| after) });
    pieces.filter(|piece| !piece.is_empty()).collect::<Vec<_>>().join(" ")
}
