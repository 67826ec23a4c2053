//! GIF (GIF89a specification).

use super::take;

pub(super) fn stripped(original: &[u8]) -> Option<Vec<u8>> {
    let mut rest = original;
    let mut out = take(&mut rest, 6)?.to_vec();
    let screen = take(&mut rest, 7)?;
    out.extend_from_slice(screen);
    out.extend_from_slice(take(&mut rest, table(screen[4]))?);
    let mut control: Option<Vec<u8>> = None;
    loop {
        // Many have no end.
        match take(&mut rest, 1).map_or(0x3b, |byte| byte[0]) {
            0x21 => {
                let label = take(&mut rest, 1)?[0];
                let body = blocks(&mut rest)?;
                // How frames follow one another and how often; comments and what programs add go, and each is cut to what it has room for.
                match label {
                    0xf9 if body.len() >= 5 && body[0] == 4 => control = Some([&[0x21, 0xf9], &body[..5], &[0]].concat()),
                    // A text takes the place of a picture, and goes with what was said of it.
                    0x01 => control = None,
                    0xff if body.len() >= 16 && [b"\x0bNETSCAPE2.0", b"\x0bANIMEXTS1.0"].iter().any(|name| body.starts_with(*name)) => {
                        out.extend([&[0x21, 0xff], &body[..12], &[3], &body[13..16], &[0]].concat());
                    }
                    _ => {}
                }
            }
            0x2c => {
                let frame = take(&mut rest, 9)?;
                out.extend(control.take().into_iter().flatten());
                out.push(0x2c);
                out.extend_from_slice(frame);
                out.extend_from_slice(take(&mut rest, table(frame[8]))?);
                out.extend_from_slice(take(&mut rest, 1)?);
                out.extend_from_slice(blocks(&mut rest)?);
            }
            0x3b => {
                out.push(0x3b);
                return Some(out);
            }
            _ => return None,
        }
    }
}

/// The bytes of a table of colours, if there is one.
fn table(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// Blocks up to the empty one that ends them.
fn blocks<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let all = *rest;
    let mut length = 0;
    loop {
        let block = usize::from(take(rest, 1)?[0]);
        take(rest, block)?;
        length += 1 + block;
        if block == 0 {
            return all.get(..length);
        }
    }
}
