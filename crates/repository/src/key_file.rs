//! Key files: the master key, sealed with a key made from a password by scrypt.

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{
    Ambient, MasterKey, RepositoryError, RepositoryResult,
    crypto::{fresh_iv, open, seal},
};

/// A repository's password. Never printed; wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Password(String);

impl Password {
    /// Takes a password that a person or file gave.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// 256 random bits, as 64 hexadecimal characters.
    pub fn random(ambient: &dyn Ambient) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        ambient.fill(bytes.as_mut());
        Self(data_encoding::HEXLOWER.encode(bytes.as_ref()))
    }

    /// The password itself: only to seal it, or to show it to somebody who asked for it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// How hard scrypt makes it to try passwords.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KdfCost {
    /// N = 2^log_n.
    pub log_n: u8,
    /// Block size.
    pub r: u32,
    /// Parallelism.
    pub p: u32,
}

impl KdfCost {
    /// For passwords of 256 random bits, which nobody can try through.
    pub const MACHINE: Self = Self { log_n: 13, r: 8, p: 1 };
    /// For passwords that people choose: restic's own usual cost.
    pub const HUMAN: Self = Self { log_n: 15, r: 8, p: 1 };
}

/// The most memory that a key file may ask of scrypt, in bytes; more is an attack or an accident.
const KDF_MEMORY_MAX_BYTES: u64 = 2 << 30;

#[derive(Serialize, Deserialize)]
struct KeyFile {
    created: String,
    username: String,
    hostname: String,
    kdf: String,
    #[serde(rename = "N")]
    n: u64,
    r: u32,
    p: u32,
    salt: String,
    data: String,
}

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct MacJson {
    k: String,
    r: String,
}

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct MasterJson {
    mac: MacJson,
    encrypt: String,
}

fn user_key(password: &Password, salt: &[u8], cost: KdfCost) -> Option<MasterKey> {
    let params = scrypt::Params::new(cost.log_n, cost.r, cost.p).ok()?;
    let mut out = Zeroizing::new([0; 64]);
    scrypt::scrypt(password.0.as_bytes(), salt, &params, out.as_mut()).ok()?;
    Some(MasterKey::from_bytes(&out))
}

/// Who a key file that this program makes for itself belongs to.
pub const OWN_NAME: &str = "keepsake";

/// What a key file says of itself without a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// When it was made, RFC 3339.
    pub created: String,
    /// Whose it is: [`OWN_NAME`] for this program's own.
    pub name: String,
}

/// Reads what a key file says of itself.
pub(crate) fn info(bytes: &[u8]) -> Option<KeyInfo> {
    let file: KeyFile = serde_json::from_slice(bytes).ok()?;
    Some(KeyInfo { created: file.created, name: file.username })
}

/// Makes the bytes of a key file that opens with the password.
pub(crate) fn write(key: &MasterKey, password: &Password, cost: KdfCost, name: &str, ambient: &dyn Ambient) -> Vec<u8> {
    let mut salt = [0; 64];
    ambient.fill(&mut salt);
    let user = user_key(password, &salt, cost).expect("our own costs are valid");
    let (encrypt, k, r) = key.parts();
    let master = MasterJson { mac: MacJson { k: BASE64.encode(k), r: BASE64.encode(r) }, encrypt: BASE64.encode(encrypt) };
    let plain = Zeroizing::new(serde_json::to_vec(&master).expect("plain strings"));
    let mut data = Vec::new();
    seal(&user, fresh_iv(ambient), &plain, &mut data);
    let file = KeyFile {
        created: ambient.now().to_string(),
        username: name.into(),
        hostname: "keepsake".into(),
        kdf: "scrypt".into(),
        n: 1 << cost.log_n,
        r: cost.r,
        p: cost.p,
        salt: BASE64.encode(&salt),
        data: BASE64.encode(&data),
    };
    serde_json::to_vec(&file).expect("plain strings and numbers")
}

/// Tries a password on a key file: `Ok(None)` when it does not open it.
pub(crate) fn read(bytes: &[u8], password: &Password) -> RepositoryResult<Option<MasterKey>> {
    let bad = |problem: &str| RepositoryError::damaged("a key file", problem);
    let file: KeyFile = serde_json::from_slice(bytes).map_err(|e| RepositoryError::damaged("a key file", e))?;
    if file.kdf != "scrypt" {
        return Err(RepositoryError::Unsupported { what: format!("the key derivation `{}`", file.kdf) });
    }
    // Both the table of N and the p lanes take 128 bytes times r each (RFC 7914, section 6).
    let memory = file.n.saturating_add(file.p.into()).saturating_mul(u64::from(file.r)).saturating_mul(128);
    if !file.n.is_power_of_two() || file.n < 2 || file.r == 0 || file.p == 0 || file.p > 64 || memory > KDF_MEMORY_MAX_BYTES {
        return Err(bad("its scrypt cost is impossible"));
    }
    let salt = BASE64.decode(file.salt.as_bytes()).map_err(|e| RepositoryError::damaged("a key file", e))?;
    let data = BASE64.decode(file.data.as_bytes()).map_err(|e| RepositoryError::damaged("a key file", e))?;
    if salt.len() != 64 {
        return Err(bad("its salt is not 64 bytes long"));
    }
    let cost = KdfCost { log_n: file.n.trailing_zeros() as u8, r: file.r, p: file.p };
    let user = user_key(password, &salt, cost).ok_or_else(|| bad("its scrypt cost is impossible"))?;
    let Some(plain) = open(&user, &data).map(Zeroizing::new) else { return Ok(None) };
    let master: MasterJson = serde_json::from_slice(&plain).map_err(|e| RepositoryError::damaged("a key file", e))?;
    let mut key = Zeroizing::new([0; 64]);
    for (part, range) in [(&master.encrypt, 0..32), (&master.mac.k, 32..48), (&master.mac.r, 48..64)] {
        let decoded = BASE64.decode(part.as_bytes()).map(Zeroizing::new).map_err(|e| RepositoryError::damaged("a key file", e))?;
        if decoded.len() != range.len() {
            return Err(bad("a part of the key has the wrong length"));
        }
        key[range].copy_from_slice(&decoded);
    }
    let key = MasterKey::from_bytes(&key);
    if key.is_valid() { Ok(Some(key)) } else { Err(bad("a part of the key is all zero")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a key file may ask of memory counts the table and the lanes.
    #[test]
    fn costs_that_no_machine_should_pay_are_refused() {
        let with = |n: u64, r: u32, p: u32| {
            let (salt, data) = (BASE64.encode(&[0; 64]), BASE64.encode(&[0; 64]));
            let json = serde_json::json!({ "created": "", "username": "", "hostname": "", "kdf": "scrypt", "N": n, "r": r, "p": p, "salt": salt, "data": data });
            read(json.to_string().as_bytes(), &Password::new("x".into()))
        };
        assert!(matches!(with(16, 8, 1), Ok(None)), "cheap, and another password");
        for (n, r, p) in [(2, 1 << 23, 64), (1 << 30, 8, 1), (15, 8, 1), (16, 0, 1), (16, 8, 0), (16, 8, 65)] {
            assert!(matches!(with(n, r, p), Err(RepositoryError::Damaged { .. })), "N {n}, r {r}, p {p}");
        }
    }

    #[test]
    fn agrees_with_the_vector_for_scrypt() {
        let key = user_key(&Password::new("test".into()), &[0; 64], KdfCost { log_n: 10, r: 8, p: 1 }).expect("valid cost");
        let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
        let (encrypt, k, r) = key.parts();
        assert_eq!(hex(encrypt), "79c67a87a8b4dc3d70c152487d870f3bfc21fc3858336df07af8734ac29527c0");
        assert_eq!(hex(k), "94b3a8ca88dc6a5a018816dd12ce1e6f");
        assert_eq!(hex(r), "e3f8ab5cb4dd08d29ff334add17ac1d7");
    }
}
