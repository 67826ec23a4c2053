//! The `config` file: format version, the repository's id, and the polynomial that restic cuts with.

use serde::{Deserialize, Serialize};

use crate::{Ambient, Id, RepositoryError, RepositoryResult};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Config {
    pub version: u32,
    pub id: Id,
    pub chunker_polynomial: String,
}

impl Config {
    pub fn random(ambient: &dyn Ambient) -> Self {
        let mut id = [0; 32];
        ambient.fill(&mut id);
        Self { version: 2, id: Id::from_bytes(id), chunker_polynomial: format!("{:x}", random_polynomial(ambient)) }
    }

    pub fn read(plain: &[u8]) -> RepositoryResult<Self> {
        let config: Self = serde_json::from_slice(plain).map_err(|e| RepositoryError::damaged("the config file", e))?;
        match config.version {
            1 | 2 => Ok(config),
            other => Err(RepositoryError::Unsupported { what: format!("format version {other}") }),
        }
    }
}

/// A random irreducible polynomial of degree 53 over GF(2); restic refuses a repository whose polynomial is not one.
fn random_polynomial(ambient: &dyn Ambient) -> u64 {
    loop {
        let mut bytes = [0; 8];
        ambient.fill(&mut bytes);
        let candidate = (u64::from_le_bytes(bytes) & ((1 << 54) - 1)) | (1 << 53) | 1;
        if is_irreducible(candidate) {
            return candidate;
        }
    }
}

fn degree(polynomial: u64) -> i32 {
    63 - polynomial.leading_zeros() as i32
}

fn modulo(mut a: u64, by: u64) -> u64 {
    while a != 0 && degree(a) >= degree(by) {
        a ^= by << (degree(a) - degree(by));
    }
    a
}

fn multiply_modulo(mut a: u64, mut b: u64, by: u64) -> u64 {
    let mut product = 0;
    a = modulo(a, by);
    while b != 0 {
        if b & 1 == 1 {
            product ^= a;
        }
        b >>= 1;
        a = modulo(a << 1, by);
    }
    product
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, modulo(a, b));
    }
    a
}

/// Ben-Or's test: irreducible when no x^(2^i) − x, for i up to half the degree, shares a factor with it.
fn is_irreducible(polynomial: u64) -> bool {
    let mut power = 2;
    (1..=degree(polynomial) / 2).all(|_| {
        power = multiply_modulo(power, power, polynomial);
        greatest_common_divisor(polynomial, power ^ 2) == 1
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_irreducible_polynomials() {
        assert!(is_irreducible(0x3d_a335_8b4d_c173), "restic's own test polynomial");
        assert!(is_irreducible(0b111) && is_irreducible(0b1011));
        assert!(!is_irreducible(0b101) && !is_irreducible(0b1111) && !is_irreducible(0x3d_a335_8b4d_c172));
    }
}
