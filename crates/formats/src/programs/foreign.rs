//! Pictures that programs of others are asked for: known by their first box, whatever they are called.

/// Longer first boxes name no kinds of pictures.
const FIRST_BOX_MAX: usize = 4096;

/// Kinds of pictures as the first box names them (ISO/IEC 23008-12, annex B; AVIF 1.1, 6).
const AVIF: [&[u8; 4]; 2] = [b"avif", b"avis"];
const HEIC: [&[u8; 4]; 6] = [b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"];
/// What any picture in such a container may be called first.
const GENERAL: [&[u8; 4]; 2] = [b"mif1", b"msf1"];
/// What moves.
const SEQUENCES: [&[u8; 4]; 4] = [b"avis", b"hevc", b"hevx", b"msf1"];

/// A picture that is not decoded here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Foreign {
    /// As files like it end.
    pub ending: &'static str,
    /// Whether it is several pictures that follow each other.
    pub moves: bool,
}

/// Whether bytes begin as HEIC and AVIF do.
pub(crate) fn foreign(bytes: &[u8]) -> Option<Foreign> {
    let length = bytes.first_chunk::<4>().map(|length| u32::from_be_bytes(*length))?;
    let length = usize::try_from(length).ok()?.min(bytes.len()).min(FIRST_BOX_MAX);
    let brands: Vec<&[u8]> = bytes.get(4..length)?.strip_prefix(b"ftyp")?.chunks_exact(4).collect();
    let is_of = |brand: &[u8], known: &[&[u8; 4]]| known.iter().any(|known| known.as_slice() == brand);
    let (first, moves) = (brands.first()?, brands.iter().any(|brand| is_of(brand, &SEQUENCES)));
    let is_general = is_of(first, &GENERAL);
    let ending = if is_of(first, &AVIF) || is_general && brands.iter().any(|brand| is_of(brand, &AVIF)) { "avif" } else { "heic" };
    (ending == "avif" || is_general || is_of(first, &HEIC)).then_some(Foreign { ending, moves })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The beginning of a picture of these kinds.
    pub(crate) fn begins(brands: &[&[u8; 4]]) -> Vec<u8> {
        let mut bytes = u32::try_from(8 + 4 * brands.len()).expect("short").to_be_bytes().to_vec();
        bytes.extend(b"ftyp");
        brands.iter().for_each(|brand| bytes.extend(*brand));
        bytes
    }

    #[test]
    fn pictures_are_known_by_their_first_box() {
        let known = |brands: &[&[u8; 4]]| foreign(&begins(brands)).map(|foreign| (foreign.ending, foreign.moves));
        assert_eq!(known(&[b"heic", &[0; 4], b"mif1", b"heic"]), Some(("heic", false)));
        assert_eq!(known(&[b"mif1", &[0; 4], b"miaf", b"avif"]), Some(("avif", false)));
        assert_eq!(known(&[b"mif1", &[0; 4], b"heic"]), Some(("heic", false)));
        assert_eq!(known(&[b"avis", &[0; 4], b"avif", b"msf1"]), Some(("avif", true)));
        assert_eq!(known(&[b"isom", &[0; 4], b"mif1", b"avif"]), None, "a film");
        for bytes in
            [b"".as_slice(), b"\0\0\0", b"\0\0\0\x08ftyp", b"\xff\xff\xff\xffftyp", b"\xff\xd8\xff\xe0\0\x10JFIF", b"\0\0\0\0ftypheic"]
        {
            assert_eq!(foreign(bytes), None, "{bytes:?}");
        }
        let whole = begins(&[b"heic"]);
        assert!((0..whole.len()).all(|end| foreign(&whole[..end]).is_none()) && foreign(&whole).is_some());
    }
}
