//! JSON exactly as Go's `encoding/json` writes it, and names exactly as `strconv.Quote` quotes them.
//!
//! restic compares re-encoded trees byte by byte before it rewrites them, so ours must be what its encoder would write.

/// Appends a JSON string as Go does: `<`, `>` and `&` escaped, and U+2028 and U+2029.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\u{2028}' => out.extend_from_slice(b"\\u2028"),
            '\u{2029}' => out.extend_from_slice(b"\\u2029"),
            c if (c as u32) < 0x20 || "<>&".contains(c) => {
                let code = c as usize;
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[code >> 4], HEX[code & 15]]);
            }
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

/// As [`push_string`], for bytes that may not be UTF-8: Go writes `\ufffd` for each byte that is none.
pub(crate) fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for chunk in bytes.utf8_chunks() {
        let start = out.len();
        push_string(out, chunk.valid());
        out.remove(start);
        out.pop();
        chunk.invalid().iter().for_each(|_| out.extend_from_slice(b"\\ufffd"));
    }
    out.push(b'"');
}

/// `strconv.Quote` without the outer quotes: how restic writes names, which may be any bytes.
pub(crate) fn quote(name: &[u8]) -> String {
    let mut quoted = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => quoted.push_str("\\\\"),
                '"' => quoted.push_str("\\\""),
                '\x07' => quoted.push_str("\\a"),
                '\x08' => quoted.push_str("\\b"),
                '\x0c' => quoted.push_str("\\f"),
                '\n' => quoted.push_str("\\n"),
                '\r' => quoted.push_str("\\r"),
                '\t' => quoted.push_str("\\t"),
                '\x0b' => quoted.push_str("\\v"),
                c if (c as u32) < 0x20 || c == '\x7f' => quoted.push_str(&format!("\\x{:02x}", c as u32)),
                c if is_print(c) => quoted.push(c),
                c if (c as u32) < 0x1_0000 => quoted.push_str(&format!("\\u{:04x}", c as u32)),
                c => quoted.push_str(&format!("\\U{:08x}", c as u32)),
            }
        }
        for byte in chunk.invalid() {
            quoted.push_str(&format!("\\x{byte:02x}"));
        }
    }
    quoted
}

/// Go's `unicode.IsPrint`. The standard library's escaping knows the same categories; a letter goes before the character
/// because combining marks are escaped only at the beginning.
fn is_print(c: char) -> bool {
    if c.is_ascii() {
        return (' '..='~').contains(&c);
    }
    let mut pair = String::from("a");
    pair.push(c);
    pair.escape_debug().nth(1) == Some(c)
}

/// Reverses [`quote`]; `None` where Go's `strconv.Unquote` would refuse.
pub(crate) fn unquote(quoted: &str) -> Option<Vec<u8>> {
    let mut name = Vec::with_capacity(quoted.len());
    let mut rest = quoted;
    while let Some(c) = rest.chars().next() {
        if c != '\\' {
            if c == '"' || c == '\n' {
                return None;
            }
            name.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let kind = *rest.as_bytes().get(1)?;
        let simple = match kind {
            b'a' => Some(0x07),
            b'b' => Some(0x08),
            b'f' => Some(0x0c),
            b'n' => Some(b'\n'),
            b'r' => Some(b'\r'),
            b't' => Some(b'\t'),
            b'v' => Some(0x0b),
            b'\\' | b'"' => Some(kind),
            _ => None,
        };
        if let Some(byte) = simple {
            name.push(byte);
            rest = &rest[2..];
            continue;
        }
        let digits = match kind {
            b'x' => 2,
            b'u' => 4,
            b'U' => 8,
            b'0'..=b'7' => {
                let code = u32::from_str_radix(rest.get(1..4)?, 8).ok()?;
                name.push(u8::try_from(code).ok()?);
                rest = &rest[4..];
                continue;
            }
            _ => return None,
        };
        let hex = rest.get(2..2 + digits).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))?;
        let code = u32::from_str_radix(hex, 16).ok()?;
        if kind == b'x' {
            name.push(code as u8);
        } else {
            name.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes());
        }
        rest = &rest[2 + digits..];
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn on_disk(name: &[u8]) -> String {
        let mut out = Vec::new();
        push_string(&mut out, &quote(name));
        String::from_utf8(out).expect("UTF-8")
    }

    /// What the stock tool wrote for these names.
    #[test]
    fn quotes_as_the_stock_tool_does() {
        assert_eq!(on_disk(b"nl\n\x01tab\t<&>.txt"), r#""nl\\n\\x01tab\\t\u003c\u0026\u003e.txt""#);
        assert_eq!(on_disk(br#"we ird"\q.txt"#), r#""we ird\\\"\\\\q.txt""#);
        assert_eq!(on_disk(b"bad\xff\xfe.bin"), r#""bad\\xff\\xfe.bin""#);
        assert_eq!(on_disk("ünïcode–😀.txt".as_bytes()), "\"ünïcode–😀.txt\"");
        assert_eq!(quote("a\u{a0}b\u{200b}c\u{feff}\u{301}".as_bytes()), "a\\u00a0b\\u200bc\\ufeff\u{301}");
    }

    proptest! {
        #[test]
        fn every_name_comes_back(name in proptest::collection::vec(any::<u8>(), 0..40), text in any::<String>()) {
            prop_assert_eq!(unquote(&quote(&name)), Some(name));
            prop_assert_eq!(unquote(&quote(text.as_bytes())), Some(text.into_bytes()));
        }

        #[test]
        fn strange_quotings_never_panic(text in "[\\\\xuU0-9a-f\"é]{0,12}") {
            let _ = unquote(&text);
        }
    }
}
