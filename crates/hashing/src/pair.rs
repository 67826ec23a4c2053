//! Blocks of two messages, round by round in turn, with the processor's instructions for SHA-256.

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_extract_epi32, _mm_set_epi32, _mm_set_epi64x, _mm_setzero_si128, _mm_sha256msg1_epu32,
    _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8, _mm_shuffle_epi32,
};

use crate::BLOCK_BYTES;

/// The constants of the rounds, four and four (FIPS 180-4, 4.2.2).
const ROUNDS: [[u32; 4]; 16] = [
    [0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5],
    [0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5],
    [0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3],
    [0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174],
    [0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc],
    [0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da],
    [0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7],
    [0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967],
    [0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13],
    [0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85],
    [0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3],
    [0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070],
    [0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5],
    [0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3],
    [0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208],
    [0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2],
];

/// Takes blocks of two messages, as many of each, into their states. Answers whether the processor can; if not, nothing has happened.
#[expect(unsafe_code, reason = "the one call of instructions that not every processor has")]
pub(crate) fn compress(one: &mut [u32; 8], other: &mut [u32; 8], ones: &[[u8; BLOCK_BYTES]], others: &[[u8; BLOCK_BYTES]]) -> bool {
    if !(is_x86_feature_detected!("sha") && is_x86_feature_detected!("sse4.1") && is_x86_feature_detected!("ssse3")) {
        return false;
    }
    // SAFETY: the processor was asked just now for each feature that the function is compiled with.
    unsafe { rounds(one, other, ones, others) };
    true
}

/// The state as the instructions want it: the words A, B, E and F, and C, D, G and H.
type State = [__m128i; 2];

#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn load_state(words: &[u32; 8]) -> State {
    let [a, b, c, d, e, f, g, h] = words.map(u32::cast_signed);
    [_mm_set_epi32(a, b, e, f), _mm_set_epi32(c, d, g, h)]
}

#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn store_state([abef, cdgh]: State) -> [u32; 8] {
    let words = [
        _mm_extract_epi32::<3>(abef),
        _mm_extract_epi32::<2>(abef),
        _mm_extract_epi32::<3>(cdgh),
        _mm_extract_epi32::<2>(cdgh),
        _mm_extract_epi32::<1>(abef),
        _mm_extract_epi32::<0>(abef),
        _mm_extract_epi32::<1>(cdgh),
        _mm_extract_epi32::<0>(cdgh),
    ];
    words.map(i32::cast_unsigned)
}

/// The sixteen words of a block, four and four; they stand with their highest byte first.
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn load_block(block: &[u8; BLOCK_BYTES]) -> [__m128i; 4] {
    let swap = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
    let halves = block.as_chunks::<8>().0;
    let four = |at: usize| _mm_set_epi64x(i64::from_le_bytes(halves[2 * at + 1]), i64::from_le_bytes(halves[2 * at]));
    [four(0), four(1), four(2), four(3)].map(|words| _mm_shuffle_epi8(words, swap))
}

#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn rounds(one: &mut [u32; 8], other: &mut [u32; 8], ones: &[[u8; BLOCK_BYTES]], others: &[[u8; BLOCK_BYTES]]) {
    let mut states = [load_state(one), load_state(other)];
    for (first, second) in ones.iter().zip(others) {
        let before = states;
        let mut words = [load_block(first), load_block(second)];
        // Written out, because a loop keeps the words in memory.
        macro_rules! four_rounds {
            ($($group:literal)*) => { $(
                let constants = ROUNDS[$group].map(u32::cast_signed);
                let constants = _mm_set_epi32(constants[3], constants[2], constants[1], constants[0]);
                for (state, words) in states.iter_mut().zip(&mut words) {
                    let [abef, cdgh] = state;
                    let sum = _mm_add_epi32(words[$group % 4], constants);
                    *cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, sum);
                    *abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32::<0x0e>(sum));
                    // Of the last sixteen words, which four come next (FIPS 180-4, 6.2.2, step 1).
                    if $group < 12 {
                        let [first, second, third, fourth] = std::array::from_fn(|at| words[($group + at) % 4]);
                        let partly = _mm_add_epi32(_mm_sha256msg1_epu32(first, second), _mm_alignr_epi8::<4>(fourth, third));
                        words[$group % 4] = _mm_sha256msg2_epu32(partly, fourth);
                    }
                }
            )* };
        }
        four_rounds!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        for (state, before) in states.iter_mut().zip(before) {
            let mut sums = [_mm_setzero_si128(); 2];
            for (sum, (now, then)) in sums.iter_mut().zip(state.iter().zip(before)) {
                *sum = _mm_add_epi32(*now, then);
            }
            *state = sums;
        }
    }
    let [first, second] = states.map(|state| store_state(state));
    (*one, *other) = (first, second);
}
