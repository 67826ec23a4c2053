//! SHA-256 (FIPS 180-4) of two messages at once, on one core.
//!
//! Each round of SHA-256 waits for the one before, so that one message leaves half of what the processor can do idle. Two messages that have nothing
//! to do with each other fill it: round by round in turn they take little longer than one alone. Where the processor has no instructions for SHA-256,
//! and on others than x86-64, messages are hashed one after the other by the `sha2` crate, which gives the same digests.

#[cfg(target_arch = "x86_64")]
mod pair;

/// The bytes of a digest.
pub const DIGEST_BYTES: usize = 32;

const BLOCK_BYTES: usize = 64;

/// The state before the first block (FIPS 180-4, 5.3.3).
const INITIAL: [u32; 8] = [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// How far a message is hashed that still grows.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    state: [u32; 8],
    /// Of its bytes, in whole blocks.
    hashed: usize,
}

impl Default for Progress {
    fn default() -> Self {
        Self { state: INITIAL, hashed: 0 }
    }
}

/// A message, hashed up to somewhere.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    state: [u32; 8],
    /// What is still to be hashed, in whole blocks, and the bytes behind them.
    blocks: &'a [[u8; BLOCK_BYTES]],
    rest: &'a [u8],
    length: u64,
}

impl<'a> Message<'a> {
    /// Nothing of it is hashed yet.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self::after(Progress::default(), bytes)
    }

    /// All bytes of a message that may have grown since it was hashed so far.
    ///
    /// # Panics
    /// It has become shorter.
    pub fn after(progress: Progress, bytes: &'a [u8]) -> Self {
        let (blocks, rest) = bytes[progress.hashed..].as_chunks();
        Self { state: progress.state, blocks, rest, length: bytes.len() as u64 }
    }

    /// How far it is hashed.
    pub fn progress(&self) -> Progress {
        let left = self.blocks.as_flattened().len() + self.rest.len();
        Progress { state: self.state, hashed: self.length as usize - left }
    }

    /// Hashes two messages on, until one of them has no whole block left.
    pub fn advance_both(one: &mut Self, other: &mut Message<'_>) {
        let count = one.blocks.len().min(other.blocks.len());
        let (ones, others) = (one.take(count), other.take(count));
        compress_both(&mut one.state, &mut other.state, ones, others);
    }

    fn take(&mut self, count: usize) -> &'a [[u8; BLOCK_BYTES]] {
        let (now, later) = self.blocks.split_at(count);
        self.blocks = later;
        now
    }

    fn is_at_its_end(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Hashes what is left of it, alone.
    pub fn finish(mut self) -> [u8; DIGEST_BYTES] {
        sha2::block_api::compress256(&mut self.state, self.blocks);
        // A one, zeros, and the length in bits (FIPS 180-4, 5.1.1): in one block if they go in, else in two.
        let mut tail = [[0; BLOCK_BYTES]; 2];
        let count = if self.rest.len() + 9 <= BLOCK_BYTES { 1 } else { 2 };
        let end = tail.as_flattened_mut();
        end[..self.rest.len()].copy_from_slice(self.rest);
        end[self.rest.len()] = 0x80;
        end[count * BLOCK_BYTES - 8..count * BLOCK_BYTES].copy_from_slice(&(self.length * 8).to_be_bytes());
        sha2::block_api::compress256(&mut self.state, &tail[..count]);
        let mut digest = [0; DIGEST_BYTES];
        for (bytes, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(self.state) {
            *bytes = word.to_be_bytes();
        }
        digest
    }
}

fn compress_both(one: &mut [u32; 8], other: &mut [u32; 8], ones: &[[u8; BLOCK_BYTES]], others: &[[u8; BLOCK_BYTES]]) {
    #[cfg(target_arch = "x86_64")]
    if pair::compress(one, other, ones, others) {
        return;
    }
    sha2::block_api::compress256(one, ones);
    sha2::block_api::compress256(other, others);
}

/// The SHA-256 of each of some messages, in their order.
pub fn sha256_each(messages: &[&[u8]]) -> Vec<[u8; DIGEST_BYTES]> {
    let mut digests = vec![[0; DIGEST_BYTES]; messages.len()];
    // Of each two that went on together, the one that is not at its end goes on with the next.
    let mut open: Option<(usize, Message<'_>)> = None;
    for (at, message) in messages.iter().enumerate() {
        let mut next = (at, Message::new(message));
        if let Some(mut last) = open.take() {
            Message::advance_both(&mut last.1, &mut next.1);
            let (ended, goes_on) = if last.1.is_at_its_end() { (last, next) } else { (next, last) };
            digests[ended.0] = ended.1.finish();
            next = goes_on;
        }
        open = Some(next);
    }
    if let Some((at, message)) = open {
        digests[at] = message.finish();
    }
    digests
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use sha2::{Digest, Sha256};

    use super::*;

    /// Lengths around the ends of blocks, and the two blocks that a tail may need.
    fn message() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            vec(any::<u8>(), 0..300),
            (0..9_usize, 0..4_usize).prop_map(|(blocks, less)| vec![7; (blocks * 64 + 57).saturating_sub(less)])
        ]
    }

    fn alone(message: &[u8]) -> [u8; DIGEST_BYTES] {
        Sha256::digest(message).into()
    }

    #[test]
    fn agrees_with_the_vectors_of_the_standard() {
        // FIPS 180-2, B.1 and B.2, and the empty message.
        let vectors: [(&[u8], &str); 3] = [
            (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
            ),
            (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ];
        let hex = |digest: &[u8; DIGEST_BYTES]| digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let digests = sha256_each(&vectors.map(|(message, _)| message));
        assert_eq!(digests.iter().map(hex).collect::<Vec<_>>(), vectors.map(|(_, digest)| digest));
    }

    proptest! {
        #[test]
        fn gives_what_one_after_the_other_gives(messages in vec(message(), 0..7)) {
            let slices: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
            let expected: Vec<_> = slices.iter().map(|message| alone(message)).collect();
            prop_assert_eq!(sha256_each(&slices), expected);
        }

        /// As a pack that grows by a blob, and is hashed beside the next one.
        #[test]
        fn a_message_may_grow(pieces in vec(message(), 0..20)) {
            let (mut whole, mut progress) = (Vec::new(), Progress::default());
            for piece in &pieces {
                let (mut grown, mut beside) = (Message::after(progress, &whole), Message::new(piece));
                Message::advance_both(&mut grown, &mut beside);
                progress = grown.progress();
                prop_assert_eq!(beside.finish(), alone(piece));
                whole.extend_from_slice(piece);
            }
            prop_assert_eq!(Message::after(progress, &whole).finish(), alone(&whole));
        }

        /// A long message beside many short ones, as a pack beside its blobs.
        #[test]
        fn a_message_goes_on_where_it_stopped(long in vec(any::<u8>(), 0..5_000), short in vec(message(), 0..20)) {
            let mut pack = Message::new(&long);
            for blob in &short {
                let mut beside = Message::new(blob);
                Message::advance_both(&mut pack, &mut beside);
                prop_assert_eq!(beside.finish(), alone(blob));
            }
            prop_assert_eq!(pack.finish(), alone(&long));
        }
    }

    /// Where the processor has the instructions, they are what is tested above.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn both_ways_give_the_same() {
        let blocks: Vec<[u8; BLOCK_BYTES]> = (0..50_u8).map(|at| std::array::from_fn(|i| at.wrapping_mul(31) ^ i as u8)).collect();
        let (mut states, mut expected) = ([INITIAL, [5; 8]], [INITIAL, [5; 8]]);
        let [one, other] = &mut states;
        if !pair::compress(one, other, &blocks[..20], &blocks[20..40]) {
            return;
        }
        sha2::block_api::compress256(&mut expected[0], &blocks[..20]);
        sha2::block_api::compress256(&mut expected[1], &blocks[20..40]);
        assert_eq!(states, expected);
    }
}
