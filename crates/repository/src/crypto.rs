//! SEAL and OPEN: AES-256-CTR with Poly1305-AES (restic `doc/design.rst`, "Keys, Encryption and MAC").
//!
//! This is the only file that turns plaintext into sealed bytes and back.

use aes::{
    Aes128, Aes256,
    cipher::{BlockCipherEncrypt, KeyInit, KeyIvInit, StreamCipher},
};
use poly1305::{
    Poly1305,
    universal_hash::{Block, UniversalHash},
};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::Ambient;

/// What sealing adds to the length: 16 bytes of IV before, 16 bytes of MAC after.
pub const OVERHEAD_BYTES: usize = 32;

/// A key: 32 bytes for AES-256, and for the MAC 16 bytes of AES-128 key and 16 of `r`. Never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct MasterKey {
    encrypt: [u8; 32],
    mac_k: [u8; 16],
    mac_r: [u8; 16],
}

impl MasterKey {
    /// A new random key.
    pub fn random(ambient: &dyn Ambient) -> Self {
        let mut bytes = [0; 64];
        ambient.fill(&mut bytes);
        let key = Self::from_bytes(&bytes);
        bytes.zeroize();
        key
    }

    /// Takes `encrypt`, `k` and `r`, one after the other.
    pub fn from_bytes(bytes: &[u8; 64]) -> Self {
        let mut key = Self { encrypt: [0; 32], mac_k: [0; 16], mac_r: [0; 16] };
        key.encrypt.copy_from_slice(&bytes[..32]);
        key.mac_k.copy_from_slice(&bytes[32..48]);
        key.mac_r.copy_from_slice(&bytes[48..]);
        key
    }

    /// A key is unusable if one of its parts is all zero; readers refuse it.
    pub fn is_valid(&self) -> bool {
        self.encrypt != [0; 32] && self.mac_k != [0; 16] && self.mac_r != [0; 16]
    }

    pub(crate) fn parts(&self) -> (&[u8; 32], &[u8; 16], &[u8; 16]) {
        (&self.encrypt, &self.mac_k, &self.mac_r)
    }

    fn one_time(&self, iv: &[u8; 16]) -> Poly1305 {
        let mut block = (*iv).into();
        Aes128::new(&self.mac_k.into()).encrypt_block(&mut block);
        let mut key = [0; 32];
        key[..16].copy_from_slice(&self.mac_r);
        key[16..].copy_from_slice(&block);
        let mac = Poly1305::new(&key.into());
        key.zeroize();
        mac
    }
}

/// So much is enciphered and authenticated, or deciphered and hashed, before going on: it stays in the first-level cache meanwhile.
const STRIDE_BYTES: usize = 16 << 10;

/// Appends `IV ‖ ciphertext ‖ MAC` of a plaintext to a buffer.
pub fn seal(key: &MasterKey, iv: [u8; 16], plaintext: &[u8], out: &mut Vec<u8>) {
    out.reserve(plaintext.len() + OVERHEAD_BYTES);
    out.extend_from_slice(&iv);
    let mut cipher = ctr::Ctr128BE::<Aes256>::new(&key.encrypt.into(), &iv.into());
    let mut mac = key.one_time(&iv);
    let (strides, rest) = plaintext.as_chunks::<STRIDE_BYTES>();
    for stride in strides {
        let start = out.len();
        out.extend_from_slice(stride);
        let piece = &mut out[start..];
        cipher.apply_keystream(piece);
        mac.update(Block::<Poly1305>::slice_as_chunks(piece).0);
    }
    let start = out.len();
    out.extend_from_slice(rest);
    cipher.apply_keystream(&mut out[start..]);
    let mac = finish_mac(mac, &out[start..]);
    out.extend_from_slice(&mac);
}

/// Whole blocks go through the wide path, which `compute_unpadded` does not take.
fn finish_mac(mut mac: Poly1305, text: &[u8]) -> [u8; 16] {
    let (blocks, rest) = Block::<Poly1305>::slice_as_chunks(text);
    mac.update(blocks);
    mac.compute_unpadded(rest).into()
}

/// Checks the MAC and decrypts. `None`: too short, an all-zero IV, or not sealed with this key.
pub fn open(key: &MasterKey, sealed: &[u8]) -> Option<Vec<u8>> {
    let mut plaintext = Vec::new();
    open_each(key, sealed, &mut plaintext, |_| ()).then_some(plaintext)
}

/// As [`open`], into a buffer, whose former content goes; `each` sees every piece of the plaintext while it is at hand, before the
/// MAC is known. Answers whether the MAC is right; where it is not, the buffer is empty and what `each` saw is worth nothing.
pub(crate) fn open_each(key: &MasterKey, sealed: &[u8], out: &mut Vec<u8>, each: impl FnMut(&[u8])) -> bool {
    out.clear();
    append_opened(key, sealed, out, each)
}

/// As [`open_each`], behind what is in the buffer, which stays in any case.
pub(crate) fn append_opened(key: &MasterKey, sealed: &[u8], out: &mut Vec<u8>, mut each: impl FnMut(&[u8])) -> bool {
    let before = out.len();
    let Some((iv, rest)) = sealed.split_first_chunk::<16>() else { return false };
    let Some((text, mac)) = rest.split_last_chunk::<16>().filter(|_| *iv != [0; 16]) else { return false };
    out.reserve(text.len());
    let mut cipher = ctr::Ctr128BE::<Aes256>::new(&key.encrypt.into(), &(*iv).into());
    let mut right = key.one_time(iv);
    let (strides, rest) = text.as_chunks::<STRIDE_BYTES>();
    for stride in strides {
        right.update(Block::<Poly1305>::slice_as_chunks(stride).0);
        decipher(&mut cipher, stride, out, &mut each);
    }
    decipher(&mut cipher, rest, out, &mut each);
    if same(&finish_mac(right, rest), mac) {
        return true;
    }
    out[before..].zeroize();
    out.truncate(before);
    false
}

fn decipher(cipher: &mut impl StreamCipher, text: &[u8], out: &mut Vec<u8>, each: &mut impl FnMut(&[u8])) {
    let start = out.len();
    out.extend_from_slice(text);
    cipher.apply_keystream(&mut out[start..]);
    each(&out[start..]);
}

/// Compares without telling by time where the difference is.
fn same(a: &[u8], b: &[u8; 16]) -> bool {
    a.len() == 16 && std::hint::black_box(a.iter().zip(b).fold(0, |different, (a, b)| different | (a ^ b))) == 0
}

/// A fresh IV: random, never all zero.
pub(crate) fn fresh_iv(ambient: &dyn Ambient) -> [u8; 16] {
    let mut iv = [0; 16];
    while iv == [0; 16] {
        ambient.fill(&mut iv);
    }
    iv
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    fn key() -> MasterKey {
        let mut bytes = [0; 64];
        for (i, byte) in (0..=0x3f_u8).enumerate() {
            bytes[i] = byte;
        }
        MasterKey::from_bytes(&bytes)
    }

    /// The vectors of docs/FORMAT.md; made by an independent program.
    #[test]
    fn agrees_with_the_vectors() {
        let iv: [u8; 16] = std::array::from_fn(|i| 0xf0 + i as u8);
        let text = b"restic-format test vector: the counter wraps past 16-byte blocks";
        let cases: [([u8; 16], &[u8], &str); 3] = [
            (
                iv,
                text,
                "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeffe065bef94af5adad351b8b3534121771b92b5b36944940ae1c9d75552212a6edf6194f2f716ad5ef0ae45063b52493fc3d48f21bfb929e56763bbe98930033d748e48d57a9ef47e682162783d0b8d38a",
            ),
            (
                [0xff; 16],
                &[0; 48],
                "ffffffffffffffffffffffffffffffffe999e41d4ca770da5387117b5d8f57eef29000b62a499fd0a9f39a6add2e7780f05d76ae4ab99fe5a6f69b3148c2363d0e14e79f7cf3a49dbad4557c13e39784",
            ),
            (iv, b"", "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff7e1da219390824afb3f896d94949b6ce"),
        ];
        for (iv, plain, sealed) in cases {
            let mut out = Vec::new();
            seal(&key(), iv, plain, &mut out);
            assert_eq!(HEXLOWER.encode(&out), sealed);
            assert_eq!(open(&key(), &out).as_deref(), Some(plain));
        }
    }

    /// However long the text is, the strides give what one pass gives, and show every byte once.
    #[test]
    fn strides_change_nothing() {
        for length in [0, 1, STRIDE_BYTES - 1, STRIDE_BYTES, STRIDE_BYTES + 1, 3 * STRIDE_BYTES, 3 * STRIDE_BYTES + 17] {
            let plain: Vec<u8> = (0..length).map(|i| (i * 31 % 251) as u8).collect();
            let mut out = Vec::new();
            seal(&key(), [9; 16], &plain, &mut out);
            let mut text = plain.clone();
            ctr::Ctr128BE::<Aes256>::new(&key().encrypt.into(), &[9; 16].into()).apply_keystream(&mut text);
            let mac = key().one_time(&[9; 16]).compute_unpadded(&text);
            assert_eq!(out, [&[9; 16], text.as_slice(), mac.as_slice()].concat(), "{length}");
            let (mut back, mut seen) = (b"what was there before".to_vec(), Vec::new());
            assert!(open_each(&key(), &out, &mut back, |piece| seen.extend_from_slice(piece)));
            assert_eq!((&back, &seen), (&plain, &plain), "{length}");
            *out.last_mut().expect("a MAC") ^= 1;
            assert!(!open_each(&key(), &out, &mut back, |_| ()) && back.is_empty());
            back.extend_from_slice(b"before");
            assert!(!append_opened(&key(), &out, &mut back, |_| ()));
            *out.last_mut().expect("a MAC") ^= 1;
            assert!(append_opened(&key(), &out, &mut back, |_| ()));
            assert_eq!(back, [b"before", plain.as_slice()].concat(), "{length}");
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let mut sealed = Vec::new();
        seal(&key(), [7; 16], b"dear diary", &mut sealed);
        for bit in 0..sealed.len() * 8 {
            let mut bad = sealed.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&key(), &bad).is_none(), "bit {bit}");
        }
        assert!(open(&key(), &sealed[..31]).is_none());
    }
}
