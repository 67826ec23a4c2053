//! Leases: what only one process may do at a time, with a token that late-comers do not have.

use keepsake_record::{OwnerId, Timestamp};

use crate::{Vault, VaultError, VaultResult, db::Arg};

/// How long a lease holds without being renewed.
const LEASE_MICROS: i64 = 60_000_000;

/// Somebody's right to do one thing alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What for.
    pub name: String,
    /// The fence: writes that carry an old token are refused.
    pub token: String,
}

/// The name of the lease for backing up an owner.
pub fn backup_lease(owner: OwnerId) -> String {
    format!("backup {owner}")
}

impl Vault {
    /// Takes a lease that is free or has run out.
    ///
    /// # Errors
    /// [`VaultError::Held`].
    pub async fn lease(&self, name: &str, holder: &str) -> VaultResult<Lease> {
        let now = self.ambient.now().micros();
        let token = self.random_hex(16);
        let mut tx = self.db.write().await?;
        let args = [Arg::Text(name), Arg::Text(&token), Arg::Text(holder), Arg::Int(now + LEASE_MICROS), Arg::Int(now)];
        let sql = "INSERT INTO leases (name, token, holder, until) VALUES ($1, $2, $3, $4) ON CONFLICT (name) DO UPDATE SET token = excluded.token, holder = excluded.holder, until = excluded.until WHERE leases.until <= $5";
        if tx.execute(sql, &args).await? == 0 {
            let row = tx.fetch_one("SELECT holder, until FROM leases WHERE name = $1", &[Arg::Text(name)]).await?;
            let (holder, until) = row.map_or(Ok((String::new(), now)), |mut row| Ok::<_, VaultError>((row.text(0)?, row.int(1)?)))?;
            return Err(VaultError::Held { what: name.into(), holder, until: Timestamp::from_micros(until)?.to_string() });
        }
        tx.commit().await?;
        Ok(Lease { name: name.into(), token })
    }

    /// Ends the lease of a holder that is known to be gone.
    ///
    /// # Errors
    /// The database fails.
    pub async fn end_lease_of(&self, name: &str, holder: &str) -> VaultResult<()> {
        let mut tx = self.db.write().await?;
        tx.execute("DELETE FROM leases WHERE name = $1 AND holder = $2", &[Arg::Text(name), Arg::Text(holder)]).await?;
        tx.commit().await
    }

    /// Makes a lease last longer; `false`: it has gone to somebody else, and the work must stop.
    ///
    /// # Errors
    /// The database fails.
    pub async fn renew(&self, lease: &Lease) -> VaultResult<bool> {
        let mut tx = self.db.write().await?;
        let args = [Arg::Text(&lease.name), Arg::Text(&lease.token), Arg::Int(self.ambient.now().micros() + LEASE_MICROS)];
        let kept = tx.execute("UPDATE leases SET until = $3 WHERE name = $1 AND token = $2", &args).await? == 1;
        tx.commit().await?;
        Ok(kept)
    }

    /// Gives a lease back.
    ///
    /// # Errors
    /// The database fails.
    pub async fn release(&self, lease: &Lease) -> VaultResult<()> {
        let mut tx = self.db.write().await?;
        tx.execute("DELETE FROM leases WHERE name = $1 AND token = $2", &[Arg::Text(&lease.name), Arg::Text(&lease.token)]).await?;
        tx.commit().await
    }
}
