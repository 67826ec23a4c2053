//! Passphrases of shares: kept as argon2id makes them, compared in the same time whatever is given, and tried only so often.

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use keepsake_record::Timestamp;
use keepsake_repository::Password;
use keepsake_vault::ShareRow;
use tokio::sync::Semaphore;

use super::SECOND_MICROS;
use crate::{Custody, CustodyError, CustodyResult, copies::blocking};

/// What one try costs: 64 MiB, three times over (RFC 9106, the second of its recommendations, by one thread): some tenths of a second.
const COST: Cost = Cost { memory_kib: 64 << 10, passes: 3, lanes: 1 };
/// What is kept may ask for no more than this, whoever wrote it.
const COST_MAX: Cost = Cost { memory_kib: 256 << 10, passes: 16, lanes: 4 };
/// So many are tried at once, in this process: memory is bounded by it.
static TRIES: Semaphore = Semaphore::const_new(2);
/// Shorter ones are guessed.
const CHARS_MIN: usize = 8;
const CHARS_MAX: usize = 1024;
/// After so many wrong ones in a row a share takes none any more.
pub(super) const WRONG_MAX: i64 = 20;
/// The first few cost no wait: people mistype.
const WRONG_FREE: i64 = 3;
/// How long the first wait is; each further one is twice as long.
const WAIT_MICROS: i64 = 30 * SECOND_MICROS;
const WAIT_MICROS_MAX: i64 = 86_400 * SECOND_MICROS;
/// How often a row is read again that others changed meanwhile.
const ROUNDS: u32 = 8;

#[derive(Clone, Copy)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// What became of a try.
pub(super) enum Verdict {
    Right,
    Wrong,
    /// None is looked at until then.
    Wait(Timestamp),
    /// None is looked at any more.
    Closed,
}

/// That a new passphrase is worth one, of a link or of an encrypted export.
pub(in crate::export) fn refuse_short(passphrase: &Password) -> CustodyResult<()> {
    if (CHARS_MIN..=CHARS_MAX).contains(&passphrase.reveal().chars().count()) {
        return Ok(());
    }
    Err(CustodyError::Usage(format!("a passphrase has {CHARS_MIN} to {CHARS_MAX} characters: choose another one")))
}

/// How long nobody may try after so many wrong ones.
fn wait_micros(wrong: i64) -> i64 {
    if wrong <= WRONG_FREE {
        return 0;
    }
    let doubled = u32::try_from(wrong - WRONG_FREE - 1).unwrap_or(u32::MAX).min(30);
    (WAIT_MICROS << doubled).min(WAIT_MICROS_MAX)
}

fn damaged(error: impl std::fmt::Display) -> CustodyError {
    CustodyError::Damaged(format!("the passphrase of a share: {error}"))
}

/// What is kept of a passphrase: a text in the PHC string format, with the parameters in it.
fn keep(passphrase: &Password, salt: &[u8; 16]) -> CustodyResult<String> {
    let params = Params::new(COST.memory_kib, COST.passes, COST.lanes, None).map_err(damaged)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let kept: PasswordHash = argon2.hash_password_with_salt(passphrase.reveal().as_bytes(), salt).map_err(damaged)?;
    Ok(kept.to_string())
}

fn is_right(passphrase: &Password, kept: &str) -> CustodyResult<bool> {
    let kept = PasswordHash::new(kept).map_err(damaged)?;
    let params = Params::try_from(&kept).map_err(damaged)?;
    let is_dear = params.m_cost() > COST_MAX.memory_kib || params.t_cost() > COST_MAX.passes || params.p_cost() > COST_MAX.lanes;
    if is_dear || kept.algorithm.as_str() != Algorithm::Argon2id.as_str() {
        return Err(damaged("what is kept of it asks for more than anybody would"));
    }
    Ok(Argon2::default().verify_password(passphrase.reveal().as_bytes(), &kept).is_ok())
}

impl Custody {
    /// What may be kept of a new passphrase.
    pub(super) async fn sealed_passphrase(&self, passphrase: Password) -> CustodyResult<String> {
        refuse_short(&passphrase)?;
        let mut salt = [0; 16];
        self.ambient.fill(&mut salt);
        blocking(move || keep(&passphrase, &salt)).await
    }

    /// Takes the time of a try.
    pub(super) async fn pretend(&self, passphrase: Password) -> CustodyResult<()> {
        let _turn = TRIES.acquire().await.map_err(damaged)?;
        blocking(move || keep(&passphrase, &[0; 16]).map(drop)).await
    }

    /// Tries a passphrase. The try is counted first: who makes many at once has no more of them.
    pub(super) async fn try_passphrase(&self, mut row: ShareRow, passphrase: Password, now: Timestamp) -> CustodyResult<Verdict> {
        let _turn = TRIES.acquire().await.map_err(damaged)?;
        for _ in 0..ROUNDS {
            if row.wrong >= WRONG_MAX || row.revoked.is_some() {
                return Ok(Verdict::Closed);
            }
            if row.locked_until > now.micros() {
                return Ok(Verdict::Wait(Timestamp::from_micros(row.locked_until)?));
            }
            let until = now.micros() + wait_micros(row.wrong + 1);
            if self.vault.count_attempt(&row, now.micros(), until).await? {
                let kept = row.passphrase.clone().unwrap_or_default();
                if blocking(move || is_right(&passphrase, &kept)).await? {
                    self.vault.forgive_attempts(row.owner, &row.id).await?;
                    return Ok(Verdict::Right);
                }
                return Ok(Verdict::Wrong);
            }
            let others = self.vault.shares_by_id(&row.id).await?.into_iter().find(|other| other.hash == row.hash);
            match others {
                Some(other) => row = other,
                None => return Ok(Verdict::Closed),
            }
        }
        // So many others try at this moment that one more would not be noticed.
        Ok(Verdict::Wait(Timestamp::from_micros(now.micros() + SECOND_MICROS)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_one_and_no_other() {
        let kept = keep(&Password::new("correct horse".into()), &[7; 16]).expect("kept");
        assert!(kept.starts_with("$argon2id$v=19$m=65536,t=3,p=1$") && !kept.contains("correct"), "{kept}");
        assert!(is_right(&Password::new("correct horse".into()), &kept).expect("looked at"));
        for wrong in ["", "correct horsf", "correct horse "] {
            assert!(!is_right(&Password::new(wrong.into()), &kept).expect("looked at"), "{wrong}");
        }
        for bad in
            ["", "words", &kept.replace("m=65536", "m=999999999"), &kept.replace("t=3", "t=99"), &kept.replace("argon2id", "argon2d")]
        {
            assert!(is_right(&Password::new("correct horse".into()), bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn waits_grow_and_end() {
        let seconds: Vec<i64> = (1..=WRONG_MAX).map(|wrong| wait_micros(wrong) / SECOND_MICROS).collect();
        assert_eq!(seconds[..7], [0, 0, 0, 30, 60, 120, 240]);
        assert!(seconds.is_sorted() && seconds.last() == Some(&86_400), "{seconds:?}");
        assert_eq!(wait_micros(i64::MAX), WAIT_MICROS_MAX);
    }
}
