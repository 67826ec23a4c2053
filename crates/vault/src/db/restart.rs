//! A PostgreSQL transaction that starts over when the database asks for it.
//!
//! Databases that run transactions side by side may end one and ask for it again: PostgreSQL when it is set to
//! `serializable` or two wait for each other, the distributed ones (CockroachDB, YugabyteDB) at any statement. The
//! statements so far are run again. If the answers are the same as before, nobody need know; if not, what was decided on
//! them no longer holds, and the caller gets [`VaultError::Contended`].

use std::{
    borrow::Cow,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use sqlx::{Column, PgPool, Postgres, Row as _, Transaction, TypeInfo, ValueRef};

use super::{Arg, Cell, Row, query};
use crate::{VaultError, VaultResult};

/// How often a transaction starts over before its caller is told.
const RESTARTS: u32 = 8;
/// The first pause before starting over; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(4);
/// A transaction that has run more statements than this is not remembered: long reads need no restart, because they
/// change nothing that somebody else waits for.
const STEPS_MAX: usize = 4096;

enum Value {
    Int(i64),
    Text(String),
    OptInt(Option<i64>),
    OptText(Option<String>),
    Blob(Vec<u8>),
}

impl Value {
    fn of(arg: &Arg<'_>) -> Self {
        match *arg {
            Arg::Int(value) => Self::Int(value),
            Arg::Text(value) => Self::Text(value.into()),
            Arg::OptInt(value) => Self::OptInt(value),
            Arg::OptText(value) => Self::OptText(value.map(str::to_owned)),
            Arg::Blob(value) => Self::Blob(value.into()),
        }
    }

    fn arg(&self) -> Arg<'_> {
        match self {
            Self::Int(value) => Arg::Int(*value),
            Self::Text(value) => Arg::Text(value),
            Self::OptInt(value) => Arg::OptInt(*value),
            Self::OptText(value) => Arg::OptText(value.as_deref()),
            Self::Blob(value) => Arg::Blob(value),
        }
    }
}

/// A statement that was run, and a digest of its answer.
struct Step {
    sql: Cow<'static, str>,
    args: Vec<Value>,
    answer: Answer,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Touched(u64),
    Rows(u64),
}

/// A transaction with what it has done so far.
pub(crate) struct Restartable {
    pool: PgPool,
    begin: &'static str,
    /// `None` between the end of one attempt and the beginning of the next.
    tx: Option<Transaction<'static, Postgres>>,
    steps: Vec<Step>,
    remembered: bool,
    restarts: u32,
}

fn asks_for_restart(error: &VaultError) -> bool {
    let VaultError::Database(sqlx::Error::Database(error)) = error else { return false };
    // serialization_failure, deadlock_detected
    matches!(error.code().as_deref(), Some("40001" | "40P01"))
}

fn digest(rows: &[Row]) -> u64 {
    let mut hasher = DefaultHasher::new();
    rows.hash(&mut hasher);
    hasher.finish()
}

impl Restartable {
    pub async fn begin(pool: &PgPool, begin: &'static str) -> VaultResult<Self> {
        let tx = Some(pool.begin_with(begin).await?);
        Ok(Self { pool: pool.clone(), begin, tx, steps: Vec::new(), remembered: true, restarts: 0 })
    }

    pub async fn execute(&mut self, sql: Cow<'static, str>, args: &[Arg<'_>]) -> VaultResult<u64> {
        loop {
            match self.touch(sql.clone(), args).await {
                Ok(touched) => {
                    self.remember(sql, args, Answer::Touched(touched));
                    return Ok(touched);
                }
                Err(error) => self.restart(error).await?,
            }
        }
    }

    pub async fn fetch(&mut self, sql: Cow<'static, str>, args: &[Arg<'_>]) -> VaultResult<Vec<Row>> {
        loop {
            match self.rows(sql.clone(), args).await {
                Ok(rows) => {
                    self.remember(sql, args, Answer::Rows(digest(&rows)));
                    return Ok(rows);
                }
                Err(error) => self.restart(error).await?,
            }
        }
    }

    /// Runs a script, after which the transaction no longer starts over.
    pub async fn script(&mut self, sql: &'static str) -> VaultResult<()> {
        self.forget();
        sqlx::raw_sql(sql).execute(&mut **self.open()?).await?;
        Ok(())
    }

    pub async fn commit(mut self) -> VaultResult<()> {
        loop {
            let Some(tx) = self.tx.take() else { return Err(VaultError::Contended) };
            match tx.commit().await.map_err(VaultError::from) {
                Ok(()) => return Ok(()),
                Err(error) => self.restart(error).await?,
            }
        }
    }

    fn open(&mut self) -> VaultResult<&mut Transaction<'static, Postgres>> {
        self.tx.as_mut().ok_or(VaultError::Contended)
    }

    async fn touch(&mut self, sql: Cow<'static, str>, args: &[Arg<'_>]) -> VaultResult<u64> {
        Ok(bound!(query(sql), args).execute(&mut **self.open()?).await?.rows_affected())
    }

    async fn rows(&mut self, sql: Cow<'static, str>, args: &[Arg<'_>]) -> VaultResult<Vec<Row>> {
        cells!(bound!(query(sql), args).fetch_all(&mut **self.open()?).await?)
    }

    fn remember(&mut self, sql: Cow<'static, str>, args: &[Arg<'_>], answer: Answer) {
        if self.remembered && self.steps.len() < STEPS_MAX {
            self.steps.push(Step { sql, args: args.iter().map(Value::of).collect(), answer });
        } else {
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.remembered = false;
        self.steps = Vec::new();
    }

    /// Starts over after an error that asks for it; gives back any other one.
    async fn restart(&mut self, error: VaultError) -> VaultResult<()> {
        let mut error = error;
        while asks_for_restart(&error) && self.remembered && self.restarts < RESTARTS {
            self.tx = None;
            tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(self.restarts)).await;
            self.restarts += 1;
            match self.again().await {
                Ok(()) => return Ok(()),
                Err(next) => error = next,
            }
        }
        Err(if asks_for_restart(&error) { VaultError::Contended } else { error })
    }

    /// Runs all statements once more; their answers must be the ones that were acted upon.
    async fn again(&mut self) -> VaultResult<()> {
        self.tx = Some(self.pool.begin_with(self.begin).await?);
        let steps = std::mem::take(&mut self.steps);
        let mut outcome = Ok(());
        for step in &steps {
            let args: Vec<Arg<'_>> = step.args.iter().map(Value::arg).collect();
            let answer = match step.answer {
                Answer::Touched(_) => self.touch(step.sql.clone(), &args).await.map(Answer::Touched),
                Answer::Rows(_) => self.rows(step.sql.clone(), &args).await.map(|rows| Answer::Rows(digest(&rows))),
            };
            outcome = match answer {
                Ok(answer) if answer == step.answer => continue,
                Ok(_) => Err(VaultError::Contended),
                Err(error) => Err(error),
            };
            break;
        }
        self.steps = steps;
        outcome
    }
}
