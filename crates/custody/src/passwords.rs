//! The passwords of a repository: one of the home's own, sealed, and as many as people want beside it.

use std::sync::Arc;

use keepsake_record::OwnerId;
use keepsake_repository::{Id, KdfCost, KeyInfo, OWN_NAME, Password, RepositoryError, Silent};
use keepsake_vault::{Lease, Outcome, RepositoryRow};
use serde::Serialize;
use serde_json::json;

use crate::{
    Custody, CustodyError, CustodyResult,
    copies::{Copy, blocking},
};

/// A key file of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyRow {
    /// Its id.
    pub id: String,
    /// When it was made, RFC 3339; absent if it cannot be read.
    pub created: Option<String>,
    /// Whose it is.
    pub name: Option<String>,
    /// Whether this home opens the repository with it.
    pub own: bool,
}

/// What a rewrap did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RewrapReport {
    /// The new key file.
    pub key: String,
    /// The key files of this program that no longer open anything.
    pub removed: Vec<String>,
}

fn is_own(key: Option<&KeyInfo>) -> bool {
    key.is_some_and(|key| key.name == OWN_NAME)
}

impl Custody {
    /// The key files of an owner's repository, or of the instance's own.
    ///
    /// # Errors
    /// There is no repository, or it cannot be listed.
    pub async fn repository_keys(&self, owner: Option<OwnerId>) -> CustodyResult<Vec<KeyRow>> {
        let result = async {
            let Copy { repository, .. } = self.existing_copy(owner).await?;
            blocking(move || {
                let row = |(id, info): (Id, Option<KeyInfo>)| KeyRow {
                    id: id.to_string(),
                    own: is_own(info.as_ref()),
                    created: info.as_ref().map(|info| info.created.clone()),
                    name: info.map(|info| info.name),
                };
                Ok(repository.keys()?.into_iter().map(row).collect())
            })
            .await
        };
        let result = result.await;
        self.audited(owner, "key.list", "", result).await
    }

    /// Makes a password of somebody's own open a repository, too.
    ///
    /// # Errors
    /// The password is empty, the name is this program's own, or the repository cannot be written.
    pub async fn add_key(&self, owner: Option<OwnerId>, name: &str, password: Password) -> CustodyResult<String> {
        let result = async {
            if password.reveal().is_empty() || name.is_empty() || name == OWN_NAME || name.chars().any(char::is_control) {
                let rule = format!("a key needs a password, and a name of one line that is not `{OWN_NAME}`");
                return Err(CustodyError::Usage(rule));
            }
            let Copy { repository, .. } = self.existing_copy(owner).await?;
            let name = name.to_owned();
            blocking(move || Ok(repository.add_password(&password, KdfCost::HUMAN, &name)?.to_string())).await
        };
        let result = result.await;
        self.audited(owner, "key.add", name, result).await
    }

    /// Makes a password useless.
    ///
    /// # Errors
    /// There is no such key, it is the home's own, or the repository cannot be written.
    pub async fn remove_key(&self, owner: Option<OwnerId>, key: &str) -> CustodyResult<String> {
        let result = async {
            let Copy { repository, .. } = self.existing_copy(owner).await?;
            let wanted = key.to_owned();
            blocking(move || {
                let mut hits = repository.keys()?.into_iter().filter(|(id, _)| wanted.len() >= 4 && id.to_string().starts_with(&wanted));
                let (Some((id, info)), None) = (hits.next(), hits.next()) else {
                    return Err(RepositoryError::NoKey { name: wanted.clone() }.into());
                };
                if is_own(info.as_ref()) {
                    return Err(CustodyError::Refused("this is the home's own key: `keepsake key rewrap` replaces it".into()));
                }
                repository.remove_key(&id)?;
                Ok(id.to_string())
            })
            .await
        };
        let result = result.await;
        self.audited(owner, "key.remove", key, result).await
    }

    /// Gives a repository a new password of the home's own. The order is such that at every moment the home and the recovery
    /// kit both open it: new key file, read back and opened; sealed in the vault; sealed to the kit; the old ones removed.
    /// Cut off anywhere, doing it again ends the work.
    ///
    /// # Errors
    /// Somebody else does the same now, or the repository or the vault cannot be written.
    pub async fn rewrap(&self, owner: Option<OwnerId>) -> CustodyResult<RewrapReport> {
        let result = async {
            let name = owner.map_or_else(|| "system".to_owned(), |id| id.to_string());
            let lease = self.lease(&format!("rewrap {name}")).await?;
            self.while_leased(lease, async |lease| self.run_rewrap(owner, lease).await).await
        };
        let result = result.await;
        self.audited_failure(owner, "key.rewrap", "", result).await
    }

    /// Ends the work if somebody took it over while this process slept.
    pub(crate) async fn still_ours(&self, lease: &Lease) -> CustodyResult<()> {
        if self.vault.renew(lease).await? {
            return Ok(());
        }
        Err(CustodyError::Refused("another process took this over while this one slept: run it again".into()))
    }

    async fn run_rewrap(&self, owner: Option<OwnerId>, lease: &Lease) -> CustodyResult<RewrapReport> {
        self.refuse_while_reencrypting(owner).await?;
        self.pay_copies_first(owner, Arc::new(Silent)).await?;
        let Copy { repository, row } = self.existing_copy(owner).await?;
        let before: Vec<Id> = repository.keys()?.into_iter().filter(|(_, key)| is_own(key.as_ref())).map(|(id, _)| id).collect();
        let password = Password::random(&*self.engine);
        let secret = password.clone();
        let (repository, new) = blocking(move || {
            let new = repository.add_password(&secret, KdfCost::MACHINE, OWN_NAME)?;
            repository.opens_with(&secret)?;
            Ok((repository, new))
        })
        .await?;
        self.still_ours(lease).await?;
        let row = RepositoryRow { password: self.keys.seal(password.reveal().as_bytes())?, ..row };
        let entry = self.entry(owner, "key.rewrap", &row.repository, Outcome::Complete, json!({ "key": new.to_string() }));
        self.vault.set_repository_password(&row, &entry).await?;
        self.renew_recovery_file(owner, &row, &password).await?;
        self.still_ours(lease).await?;
        let removed = blocking(move || {
            repository.opens_with(&password)?;
            for id in &before {
                repository.remove_key(id)?;
            }
            Ok(before.iter().map(Id::to_string).collect())
        })
        .await?;
        Ok(RewrapReport { key: new.to_string(), removed })
    }
}
