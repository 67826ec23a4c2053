//! One face over the two engines: a transaction takes SQL text in the shared subset and plain arguments, and answers
//! plain cells. No query is written twice.

use std::{borrow::Cow, path::Path};

use sqlx::{
    AssertSqlSafe, Column, PgPool, Row as _, Sqlite, SqlitePool, Transaction, TypeInfo, ValueRef,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use self::restart::Restartable;
use crate::{VaultError, VaultResult};

macro_rules! bound {
    ($query:expr, $args:expr) => {{
        let mut query = $query;
        for arg in $args {
            query = match *arg {
                Arg::Int(value) => query.bind(value),
                Arg::Text(value) => query.bind(value.to_owned()),
                Arg::OptInt(value) => query.bind(value),
                Arg::OptText(value) => query.bind(value.map(str::to_owned)),
                Arg::Blob(value) => query.bind(value.to_owned()),
            };
        }
        query
    }};
}

macro_rules! cells {
    ($rows:expr) => {
        $rows
            .into_iter()
            .map(|row| {
                let cell = |i: usize| -> VaultResult<Cell> {
                    let raw = row.try_get_raw(i)?;
                    if raw.is_null() {
                        return Ok(Cell::Null);
                    }
                    let kind = raw.type_info();
                    Ok(match kind.name() {
                        "INTEGER" | "INT8" | "BIGINT" => Cell::Int(row.try_get(i)?),
                        "INT4" => Cell::Int(row.try_get::<i32, _>(i)?.into()),
                        "BLOB" | "BYTEA" => Cell::Blob(row.try_get(i)?),
                        "TEXT" | "VARCHAR" | "NAME" => Cell::Text(row.try_get(i)?),
                        other => {
                            return Err(VaultError::Damaged(format!("column `{}` has the unexpected type {other}", row.column(i).name())));
                        }
                    })
                };
                (0..row.len()).map(cell).collect::<VaultResult<Vec<Cell>>>().map(Row)
            })
            .collect()
    };
}

mod restart;

/// Which engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

/// The pools.
#[derive(Debug, Clone)]
pub(crate) enum Db {
    Sqlite { writer: SqlitePool, readers: SqlitePool },
    Postgres(PgPool),
}

/// A value for a placeholder.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Arg<'a> {
    Int(i64),
    Text(&'a str),
    OptInt(Option<i64>),
    OptText(Option<&'a str>),
    Blob(&'a [u8]),
}

/// A value of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Cell {
    Null,
    Int(i64),
    Text(String),
    Blob(Vec<u8>),
}

/// One row of an answer.
#[derive(Debug, Hash)]
pub(crate) struct Row(Vec<Cell>);

impl Row {
    pub fn int(&self, column: usize) -> VaultResult<i64> {
        self.opt_int(column)?.ok_or_else(|| wrong(column, "a number"))
    }

    pub fn opt_int(&self, column: usize) -> VaultResult<Option<i64>> {
        match self.0.get(column) {
            Some(Cell::Int(value)) => Ok(Some(*value)),
            Some(Cell::Null) => Ok(None),
            _ => Err(wrong(column, "a number")),
        }
    }

    pub fn text(&mut self, column: usize) -> VaultResult<String> {
        self.opt_text(column)?.ok_or_else(|| wrong(column, "text"))
    }

    pub fn opt_text(&mut self, column: usize) -> VaultResult<Option<String>> {
        match self.0.get_mut(column) {
            Some(Cell::Text(value)) => Ok(Some(std::mem::take(value))),
            Some(Cell::Null) => Ok(None),
            _ => Err(wrong(column, "text")),
        }
    }

    pub fn blob(&mut self, column: usize) -> VaultResult<Vec<u8>> {
        match self.0.get_mut(column) {
            Some(Cell::Blob(value)) => Ok(std::mem::take(value)),
            _ => Err(wrong(column, "bytes")),
        }
    }
}

fn wrong(column: usize, wanted: &str) -> VaultError {
    VaultError::Damaged(format!("column {column} of a row does not hold {wanted}"))
}

impl Db {
    pub async fn sqlite(path: &Path) -> VaultResult<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .auto_vacuum(SqliteAutoVacuum::None)
            .foreign_keys(true)
            .busy_timeout(std::time::Duration::from_secs(30))
            .pragma("secure_delete", "ON")
            .pragma("cache_size", "-65536")
            .pragma("temp_store", "MEMORY")
            // Rows go from thread to thread: each full buffer costs a switch.
            .row_buffer_size(1024);
        let writer = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        // Readers go through most pages once: what they keep of them would only be memory.
        let options = options.pragma("cache_size", "-8192");
        let readers = SqlitePoolOptions::new().max_connections(4).min_connections(0).connect_with(options).await?;
        Ok(Self::Sqlite { writer, readers })
    }

    pub async fn postgres(url: &str) -> VaultResult<Self> {
        let options: PgConnectOptions = url.parse()?;
        Ok(Self::Postgres(PgPoolOptions::new().max_connections(8).connect_with(options).await?))
    }

    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite { .. } => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Begins a transaction that will write: on SQLite the one writer, at once.
    pub async fn write(&self) -> VaultResult<Tx> {
        Ok(match self {
            Self::Sqlite { writer, .. } => Tx::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?),
            Self::Postgres(pool) => Tx::Postgres(Restartable::begin(pool, "BEGIN").await?),
        })
    }

    /// Begins a transaction that only reads and sees one state to its end.
    pub async fn read(&self) -> VaultResult<Tx> {
        Ok(match self {
            Self::Sqlite { readers, .. } => Tx::Sqlite(readers.begin().await?),
            Self::Postgres(pool) => Tx::Postgres(Restartable::begin(pool, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?),
        })
    }

    pub async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// A transaction; what is not committed is undone.
pub(crate) enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Restartable),
}

/// SQL of ours: constant, or put together from constant pieces.
fn query<DB: sqlx::Database>(sql: Cow<'static, str>) -> sqlx::query::Query<'static, DB, DB::Arguments> {
    match sql {
        Cow::Borrowed(sql) => sqlx::query(sql),
        Cow::Owned(sql) => sqlx::query(AssertSqlSafe(sql)),
    }
}

impl Tx {
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Runs a statement; answers how many rows it touched.
    pub async fn execute(&mut self, sql: &'static str, args: &[Arg<'_>]) -> VaultResult<u64> {
        self.execute_any(sql.into(), args).await
    }

    async fn execute_any(&mut self, sql: Cow<'static, str>, args: &[Arg<'_>]) -> VaultResult<u64> {
        match self {
            Self::Sqlite(tx) => Ok(bound!(query(sql), args).execute(&mut **tx).await?.rows_affected()),
            Self::Postgres(tx) => tx.execute(sql, args).await,
        }
    }

    /// Runs a query; answers its rows.
    pub async fn fetch(&mut self, sql: &'static str, args: &[Arg<'_>]) -> VaultResult<Vec<Row>> {
        self.fetch_any(sql.into(), args).await
    }

    /// As [`Tx::fetch`], for SQL that is put together from constant pieces.
    pub async fn fetch_built(&mut self, sql: String, args: &[Arg<'_>]) -> VaultResult<Vec<Row>> {
        self.fetch_any(sql.into(), args).await
    }

    async fn fetch_any(&mut self, sql: Cow<'static, str>, args: &[Arg<'_>]) -> VaultResult<Vec<Row>> {
        match self {
            Self::Sqlite(tx) => cells!(bound!(query(sql), args).fetch_all(&mut **tx).await?),
            Self::Postgres(tx) => tx.fetch(sql, args).await,
        }
    }

    /// The first row, if there is one.
    pub async fn fetch_one(&mut self, sql: &'static str, args: &[Arg<'_>]) -> VaultResult<Option<Row>> {
        Ok(self.fetch(sql, args).await?.into_iter().next())
    }

    /// Inserts many rows with few statements. `into` is `table (columns)`; `then` follows the values.
    pub async fn insert_many(&mut self, into: &'static str, columns: usize, args: &[Arg<'_>], then: &'static str) -> VaultResult<()> {
        const ROWS: usize = 100;
        for chunk in args.chunks(ROWS * columns) {
            let mut sql = format!("INSERT INTO {into} VALUES ");
            for row in 0..chunk.len() / columns {
                sql.push_str(if row == 0 { "(" } else { ", (" });
                for column in 0..columns {
                    sql.push_str(if column == 0 { "$" } else { ", $" });
                    sql.push_str(&(row * columns + column + 1).to_string());
                }
                sql.push(')');
            }
            sql.push_str(then);
            self.execute_any(sql.into(), chunk).await?;
        }
        Ok(())
    }

    /// Runs a script of several statements without arguments.
    pub async fn script(&mut self, sql: &'static str) -> VaultResult<()> {
        match self {
            Self::Sqlite(tx) => sqlx::raw_sql(sql).execute(&mut **tx).await.map(drop)?,
            Self::Postgres(tx) => tx.script(sql).await?,
        }
        Ok(())
    }

    pub async fn commit(self) -> VaultResult<()> {
        match self {
            Self::Sqlite(tx) => Ok(tx.commit().await?),
            Self::Postgres(tx) => tx.commit().await,
        }
    }
}
