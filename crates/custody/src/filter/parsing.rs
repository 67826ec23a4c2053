//! The words of a filter.

use std::{collections::BTreeSet, iter::Peekable, vec::IntoIter};

use keepsake_record::{LocalDay, Position, TagName, terms};

use super::{Condition, folded, kinds, sensitivities, visibilities};
use crate::{CustodyError, CustodyResult};

/// Parentheses and `not` go no deeper.
const DEPTH_MAX: usize = 50;
/// What terms there are, for those who write another one.
const TERMS: &str = "from:, to:, kind:, visibility:, sensitivity:, tag:, collection:, person:, place:, near:, text:, id:, undated, starred";

const MISSING: &str = "something is missing beside `and`, `or`, `not` or a parenthesis";

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Open,
    Close,
    Word(String),
    /// A term with a value.
    Term(String, String),
}

pub(super) fn parse(text: &str) -> CustodyResult<Condition> {
    let mut tokens = tokens(text)?.into_iter().peekable();
    if tokens.peek().is_none() {
        return Err(wrong(&format!("it is empty: name some of {TERMS}")));
    }
    let condition = any(&mut tokens, 0)?;
    match tokens.next() {
        None => Ok(condition),
        Some(_) => Err(wrong("a `)` has no `(` before it")),
    }
}

fn wrong(problem: &str) -> CustodyError {
    CustodyError::Usage(format!("the filter cannot be understood: {problem}"))
}

fn tokens(text: &str) -> CustodyResult<Vec<Token>> {
    let (mut tokens, mut chars) = (Vec::new(), text.chars().peekable());
    while let Some(&next) = chars.peek() {
        match next {
            c if c.is_whitespace() => drop(chars.next()),
            '(' | ')' => {
                chars.next();
                tokens.push(if next == '(' { Token::Open } else { Token::Close });
            }
            _ => {
                let (mut name, mut value) = (String::new(), None::<String>);
                while let Some(&c) = chars.peek() {
                    if c.is_whitespace() || matches!(c, '(' | ')') {
                        break;
                    }
                    chars.next();
                    match (c, &mut value) {
                        (':', None) => value = Some(String::new()),
                        ('"', Some(value)) => quoted(&mut chars, value)?,
                        (c, Some(value)) => value.push(c),
                        (c, None) => name.push(c),
                    }
                }
                tokens.push(match value {
                    Some(value) => Token::Term(name.to_lowercase(), value),
                    None => Token::Word(name),
                });
            }
        }
    }
    Ok(tokens)
}

/// Takes what stands between quotation marks; a backslash takes the next character as it is.
fn quoted(chars: &mut impl Iterator<Item = char>, value: &mut String) -> CustodyResult<()> {
    while let Some(c) = chars.next() {
        match c {
            '"' => return Ok(()),
            '\\' => value.extend(chars.next()),
            c => value.push(c),
        }
    }
    Err(wrong("a quotation mark is not closed"))
}

type Tokens = Peekable<IntoIter<Token>>;

fn any(tokens: &mut Tokens, depth: usize) -> CustodyResult<Condition> {
    let mut some = vec![all(tokens, depth)?];
    while tokens.next_if(|token| is_word(token, "or")).is_some() {
        some.push(all(tokens, depth)?);
    }
    Ok(if some.len() == 1 { some.remove(0) } else { Condition::Any(some) })
}

fn all(tokens: &mut Tokens, depth: usize) -> CustodyResult<Condition> {
    let mut some = Vec::new();
    while tokens.peek().is_some_and(|token| *token != Token::Close && !is_word(token, "or")) {
        if !some.is_empty() {
            drop(tokens.next_if(|token| is_word(token, "and")));
        }
        some.push(one(tokens, depth)?);
    }
    match some.len() {
        0 => Err(wrong(MISSING)),
        1 => Ok(some.remove(0)),
        _ => Ok(Condition::All(some)),
    }
}

fn one(tokens: &mut Tokens, depth: usize) -> CustodyResult<Condition> {
    if depth > DEPTH_MAX {
        return Err(wrong("it is nested too deep"));
    }
    match tokens.next() {
        Some(Token::Open) => {
            let inside = any(tokens, depth + 1)?;
            match tokens.next() {
                Some(Token::Close) => Ok(inside),
                _ => Err(wrong("a `(` is not closed")),
            }
        }
        Some(token) if is_word(&token, "not") => Ok(Condition::Not(Box::new(one(tokens, depth + 1)?))),
        Some(token) if is_word(&token, "and") || is_word(&token, "or") => Err(wrong(MISSING)),
        Some(Token::Word(word)) => match word.to_lowercase().as_str() {
            "undated" => Ok(Condition::Undated),
            "starred" => Ok(Condition::Starred),
            _ => Err(wrong(&format!("`{word}` is no term; there are {TERMS}; to look for a word, write text:{word}"))),
        },
        Some(Token::Term(name, value)) => term(&name, &value),
        Some(Token::Close) | None => Err(wrong(MISSING)),
    }
}

fn is_word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(found) if found.eq_ignore_ascii_case(word))
}

fn term(name: &str, value: &str) -> CustodyResult<Condition> {
    if value.trim().is_empty() {
        return Err(wrong(&format!("nothing stands after `{name}:`")));
    }
    Ok(match name {
        "from" => Condition::From(day(value, false)?),
        "to" => Condition::To(day(value, true)?),
        "kind" => Condition::Kind(some_of(value, kinds())?),
        "visibility" => Condition::Visibility(some_of(value, visibilities())?),
        "sensitivity" => Condition::Sensitivity(some_of(value, sensitivities())?),
        "tag" => {
            let name: TagName = value.trim_end_matches('/').parse().map_err(|e| wrong(&format!("`tag:{value}`: {e}")))?;
            Condition::Tag(folded(name.as_str()))
        }
        "collection" => Condition::Collection(value.to_owned()),
        "person" => Condition::Person(value.to_owned()),
        "place" => Condition::Place(value.to_owned()),
        "near" => near(value)?,
        "text" => match terms(value) {
            none if none.is_empty() => return Err(wrong(&format!("`text:{value}` holds no word to look for"))),
            words => Condition::Text(words),
        },
        "id" => Condition::Id(value.parse().map_err(|_| wrong(&format!("`{value}` is no id of a memory")))?),
        _ => return Err(wrong(&format!("`{name}:` is no term; there are {TERMS}"))),
    })
}

fn some_of(value: &str, known: BTreeSet<String>) -> CustodyResult<BTreeSet<String>> {
    let some: BTreeSet<String> = value.split(',').map(|word| word.trim().to_lowercase()).collect();
    match some.iter().find(|word| !known.contains(*word)) {
        None => Ok(some),
        Some(word) => {
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            Err(wrong(&format!("there is no `{word}`; there are {known}")))
        }
    }
}

/// A day, or the first or last one of a month or year.
fn day(value: &str, is_last: bool) -> CustodyResult<LocalDay> {
    let unclear = || wrong(&format!("`{value}` is no date: write 2024, 2024-03 or 2024-03-17"));
    let whole = match value.len() {
        4 => format!("{value}-{}", if is_last { "12-31" } else { "01-01" }),
        7 if is_last => {
            let first: LocalDay = format!("{value}-01").parse().map_err(|_| unclear())?;
            return first.to_jiff().last_of_month().to_string().parse().map_err(|_| unclear());
        }
        7 => format!("{value}-01"),
        _ => value.to_owned(),
    };
    whole.parse().map_err(|_| unclear())
}

fn near(value: &str) -> CustodyResult<Condition> {
    let unclear = || wrong(&format!("`near:{value}` needs degrees north, degrees east and a distance: near:38.71,-9.14,5km"));
    let parts: Vec<&str> = value.split(',').map(str::trim).collect();
    let [latitude, longitude, distance] = parts.as_slice() else { return Err(unclear()) };
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite()).ok_or_else(unclear);
    let kilometres = match (distance.strip_suffix("km"), distance.strip_suffix('m')) {
        (Some(kilometres), _) => number(kilometres)?,
        (None, Some(metres)) => number(metres)? / 1000.0,
        (None, None) => number(distance)?,
    };
    let position = Position::new(number(latitude)?, number(longitude)?).map_err(|_| unclear())?;
    if kilometres < 0.0 { Err(unclear()) } else { Ok(Condition::Near(position, kilometres)) }
}
