//! The system repository: what belongs to no owner, backed up so that an instance can be rebuilt.

use keepsake_repository::{BackupRequest, Content, Edit, FileMeta, Silent, Snapshot};
use keepsake_vault::Outcome;
use serde_json::json;

use crate::{
    Custody, CustodyError, CustodyResult,
    copies::{Copy, blocking},
    trust::Trusted,
};

/// What the snapshots of the system bundle are of.
pub(crate) const SYSTEM_PATH: &str = "/keepsake-system";
const SYSTEM_OWED: &str = "cache/system-owed";
/// Audit entries in one file.
const AUDIT_SEGMENT: u32 = 4096;

impl Custody {
    /// Makes the system repository.
    pub(crate) async fn system_repository(&self) -> CustodyResult<()> {
        self.make_copy(None).await.map(drop)
    }

    /// Backs up configuration, owners, places of repositories, the catalogue and the audit log.
    pub(crate) async fn backup_system(&self) -> CustodyResult<()> {
        self.pay_copies(None, std::sync::Arc::new(Silent)).await?;
        self.end_switch_alone(None).await?;
        let files = self.system_files().await?;
        let trusted = self.trusted(self.make_copy(None).await?, false).await?;
        let Trusted { copy: Copy { repository, .. }, .. } = self.distrust_missing(trusted).await?;
        let program = concat!("keepsake ", env!("CARGO_PKG_VERSION"));
        let snapshot = Snapshot { tags: self.system_tags(), ..Snapshot::new(self.now().to_string(), SYSTEM_PATH, program) };
        let outcome = blocking(move || {
            let meta = FileMeta { time: "2000-01-01T00:00:00Z".into() };
            let edits = files.into_iter().map(move |(path, text)| Ok(Edit::file(&path, &meta, Content::Spans(vec![text.into_bytes()]))));
            Ok(repository
                .backup(BackupRequest { parent_tree: None, carry_tree: None, edits: Box::new(edits), replay: None, snapshot }, &Silent)?)
        })
        .await?;
        let catalogue = self.row_of_no_history(&outcome.snapshot, &outcome.tree, "system".into());
        let entry = self.entry(None, "backup.system", &catalogue.snapshot, Outcome::Complete, json!({}));
        Ok(self.vault.record_snapshot(None, &catalogue, &[], &entry).await?)
    }

    /// What a snapshot of the system bundle says of itself.
    pub(crate) fn system_tags(&self) -> Vec<String> {
        vec!["keepsake-system".into(), format!("instance={}", self.instance())]
    }

    /// Takes note that the system bundle is to be backed up, also if this run does not come to it.
    pub(crate) fn owe_system_backup(&self) -> CustodyResult<()> {
        let owed = self.home.join(SYSTEM_OWED);
        std::fs::write(&owed, "").map_err(CustodyError::io(&owed))
    }

    /// Backs the system bundle up if that is owed.
    pub(crate) async fn pay_system_backup(&self) -> CustodyResult<()> {
        let owed = self.home.join(SYSTEM_OWED);
        if owed.exists() {
            self.backup_system().await?;
            std::fs::remove_file(&owed).map_err(CustodyError::io(&owed))?;
        }
        Ok(())
    }

    /// The files of the system bundle, in the order of their paths.
    async fn system_files(&self) -> CustodyResult<Vec<(String, String)>> {
        let mut files = Vec::new();
        let mut after = String::new();
        for number in 0.. {
            let rows = self.vault.audit_after(&after, AUDIT_SEGMENT).await?;
            let Some(last) = rows.last() else { break };
            after.clone_from(&last.id);
            files.push((format!("system/audit/{number:08}.ndjson"), lines(&rows)));
        }
        let owners = self.owners().await?;
        let mut catalogue = Vec::new();
        let mut repositories = Vec::new();
        for owner in owners.iter().map(|o| Some(o.id)).chain([None]) {
            let name = owner.map_or_else(|| "system".to_owned(), |id| id.to_string());
            catalogue.extend(self.vault.catalogue(owner).await?.into_iter().map(|row| json!({ "owner": name, "row": row })));
            let row = self.vault.repository(owner).await?.into_iter();
            repositories
                .extend(row.map(|r| json!({ "owner": name, "repository": r.repository, "generation": r.generation, "prefix": r.prefix })));
        }
        files.push(("system/catalogue.ndjson".into(), lines(&catalogue)));
        let destinations = self.vault.destinations().await?;
        files.push((
            "system/destinations.ndjson".into(),
            lines(
                &destinations
                    .iter()
                    .map(|d| json!({ "name": d.name, "url": d.url, "position": d.position, "settings": d.settings }))
                    .collect::<Vec<_>>(),
            ),
        ));
        let config = std::fs::read_to_string(self.home.join("keepsake.toml")).unwrap_or_default();
        files.push(("system/keepsake.toml".into(), config));
        files.push(("system/owners.ndjson".into(), lines(&owners)));
        files.push(("system/repositories.ndjson".into(), lines(&repositories)));
        Ok(files)
    }
}

fn lines<T: serde::Serialize>(rows: &[T]) -> String {
    rows.iter().map(|row| String::from_utf8(keepsake_record::canonical_line(row)).expect("JSON is UTF-8") + "\n").collect()
}
