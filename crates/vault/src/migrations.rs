//! The schema of each engine, version by version: expand first, contract later, never edited once released.

use std::path::Path;

use crate::{
    VaultError, VaultResult,
    db::{Arg, Db, Dialect, Tx},
};

const SQLITE: &[&str] = &[
    include_str!("migrations/sqlite_1.sql"),
    include_str!("migrations/sqlite_2.sql"),
    include_str!("migrations/sqlite_3.sql"),
    include_str!("migrations/sqlite_4.sql"),
    include_str!("migrations/sqlite_5.sql"),
];
const POSTGRES: &[&str] = &[
    include_str!("migrations/postgres_1.sql"),
    include_str!("migrations/postgres_2.sql"),
    include_str!("migrations/postgres_3.sql"),
    include_str!("migrations/postgres_4.sql"),
    include_str!("migrations/postgres_5.sql"),
];

/// Brings a database to the newest version. A file that already holds something is copied first.
pub(crate) async fn migrate(db: &Db, file: Option<&Path>) -> VaultResult<()> {
    let steps = match db.dialect() {
        Dialect::Sqlite => SQLITE,
        Dialect::Postgres => POSTGRES,
    };
    let known = steps.len() as i64;
    let mut tx = db.write().await?;
    let found = version(&mut tx).await?;
    if found > known {
        return Err(VaultError::Newer { found, known });
    }
    if found == known {
        return Ok(());
    }
    if let (1.., Some(file)) = (found, file) {
        drop(tx);
        let copy = file.with_extension(format!("before-{known}.db"));
        let wal_free = db.write().await?;
        std::fs::copy(file, &copy)
            .map_err(|e| VaultError::Damaged(format!("cannot copy the vault to {} before the migration: {e}", copy.display())))?;
        drop(wal_free);
        tx = db.write().await?;
    }
    for (step, sql) in steps.iter().enumerate().skip(found as usize) {
        tx.script(sql).await?;
        let number = (step + 1).to_string();
        tx.execute(
            "INSERT INTO meta (name, value) VALUES ('schema_version', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            &[Arg::Text(&number)],
        )
        .await?;
    }
    tx.commit().await
}

async fn version(tx: &mut Tx) -> VaultResult<i64> {
    let tables = match tx.dialect() {
        Dialect::Sqlite => "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'meta'",
        Dialect::Postgres => "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = 'meta'",
    };
    let there = tx.fetch_one(tables, &[]).await?.map_or(Ok(0), |row| row.int(0))?;
    if there == 0 {
        return Ok(0);
    }
    let Some(mut row) = tx.fetch_one("SELECT value FROM meta WHERE name = 'schema_version'", &[]).await? else { return Ok(0) };
    row.text(0)?.parse().map_err(|_| VaultError::Damaged("its schema version is no number".into()))
}
