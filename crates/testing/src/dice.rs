//! Random numbers for a seed.

/// SplitMix64 (Steele et al. 2014): the same numbers for the same seed, which a test prints.
#[derive(Debug, Clone)]
pub struct Dice(pub u64);

impl Dice {
    /// The next 64 bits.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below a limit; 0 for the limit 0.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.roll() % limit.max(1) as u64) as usize
    }

    /// One to four changes: bits, lengths, pieces that come twice, go, or come from another input; numbers and words that
    /// break things.
    pub fn damage(&mut self, bytes: &[u8], other: &[u8]) -> Vec<u8> {
        const WORDS: [&[u8]; 12] = [
            b"-1",
            b"1e999",
            b"18446744073709551616",
            b"null",
            b"\"\"",
            b"[]",
            b"{}",
            b"\\u0000",
            b"\\ud800",
            b"../",
            b"\xff\xff\xff\xff",
            b"\0",
        ];
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            let end = (at + self.below(40)).min(bytes.len());
            match self.below(7) {
                0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                1 => bytes.truncate(at),
                2 => drop(bytes.drain(at..end)),
                3 => {
                    let piece = bytes[at..end].to_vec();
                    drop(bytes.splice(at..at, piece));
                }
                4 => {
                    let from = self.below(other.len() + 1);
                    let piece = other[from..(from + self.below(60)).min(other.len())].to_vec();
                    drop(bytes.splice(at..end, piece));
                }
                _ => drop(bytes.splice(at..end, WORDS[self.below(WORDS.len())].iter().copied())),
            }
        }
        bytes
    }
}
