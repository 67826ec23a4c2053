//! GIF (GIF89a specification).

use super::take;

pub(super) fn stripped(original: &[u8]) -> Option<Vec<u8>> {
    let mut rest = original;
    let mut out = take(&mut rest, 6)?.to_vec();
    let screen = take(&mut rest, 7)?;
    out.extend_from_slice(screen);
    out.extend_from_slice(take(&mut rest, table(screen[4]))?);
    loop {
        match take(&mut rest, 1)?[0] {
            0x21 => {
                let label = take(&mut rest, 1)?[0];
                let body = blocks(&mut rest)?;
                // How frames follow one another and how often; comments and what programs add go.
                let is_kept = match label {
                    0xf9 => true,
                    0xff => body.starts_with(b"\x0bNETSCAPE2.0") || body.starts_with(b"\x0bANIMEXTS1.0"),
                    _ => false,
                };
                if is_kept {
                    out.extend([0x21, label]);
                    out.extend_from_slice(body);
                }
            }
            0x2c => {
                let frame = take(&mut rest, 9)?;
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
