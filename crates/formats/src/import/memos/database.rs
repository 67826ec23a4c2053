//! A foreign SQLite database, read and nothing else. The only SQL outside of the vault: another program's database is a format, as its JSON
//! would be (decision 18).
//!
//! Whoever made the file may mean harm. Nothing of it is executed: no trigger, no view, no computed column; no text of it becomes SQL. Time,
//! rows and bytes are bounded by how long the file is.

use std::{collections::BTreeSet, fmt::Write, fs, os::unix::ffi::OsStrExt, path::Path};

use data_encoding::HEXLOWER;
use rusqlite::{Connection, OpenFlags, config::DbConfig, limits::Limit, types::ValueRef};
use serde_json::{Map, Value};

/// The longest row.
const ROW_BYTES: i32 = 256 << 20;
/// The database works so many steps for each byte that it has, and so many beyond; genuine ones need fewer than three.
const STEPS_PER_BYTE: u64 = 10;
const STEPS: u64 = 10_000_000;
const STEPS_BETWEEN: u32 = 10_000;
/// The shortest row that a file holds; a table has no more rows than would fit, and some.
const ROW_BYTES_LEAST: u64 = 8;
const ROWS: u64 = 1000;
/// Where a database has a column's value once for all rows, these come to more than the file; so many times is no accident.
const BYTES_TIMES: u64 = 8;
const BYTES: u64 = 1 << 20;

/// The tables that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Memo,
    /// Since 0.26.
    Attachment,
    /// Before 0.26.
    Resource,
    /// Before 0.16.
    MemoResource,
    Relation,
    /// Before 0.26.
    Organizer,
    Reaction,
    User,
    Space,
}

impl Table {
    pub(super) const ALL: [Self; 9] = [
        Self::Memo,
        Self::Attachment,
        Self::Resource,
        Self::MemoResource,
        Self::Relation,
        Self::Organizer,
        Self::Reaction,
        Self::User,
        Self::Space,
    ];

    /// Its name, what lists its rows, and what reads one.
    fn sql(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Memo => ("memo", "SELECT rowid FROM memo NOT INDEXED ORDER BY rowid", "SELECT * FROM memo WHERE rowid = ?1"),
            Self::Attachment => {
                ("attachment", "SELECT rowid FROM attachment NOT INDEXED ORDER BY rowid", "SELECT * FROM attachment WHERE rowid = ?1")
            }
            Self::Resource => {
                ("resource", "SELECT rowid FROM resource NOT INDEXED ORDER BY rowid", "SELECT * FROM resource WHERE rowid = ?1")
            }
            Self::MemoResource => (
                "memo_resource",
                "SELECT rowid FROM memo_resource NOT INDEXED ORDER BY rowid",
                "SELECT * FROM memo_resource WHERE rowid = ?1",
            ),
            Self::Relation => (
                "memo_relation",
                "SELECT rowid FROM memo_relation NOT INDEXED ORDER BY rowid",
                "SELECT * FROM memo_relation WHERE rowid = ?1",
            ),
            Self::Organizer => (
                "memo_organizer",
                "SELECT rowid FROM memo_organizer NOT INDEXED ORDER BY rowid",
                "SELECT * FROM memo_organizer WHERE rowid = ?1",
            ),
            Self::Reaction => {
                ("reaction", "SELECT rowid FROM reaction NOT INDEXED ORDER BY rowid", "SELECT * FROM reaction WHERE rowid = ?1")
            }
            Self::User => ("user", "SELECT rowid FROM user NOT INDEXED ORDER BY rowid", "SELECT * FROM user WHERE rowid = ?1"),
            Self::Space => ("space", "SELECT rowid FROM space NOT INDEXED ORDER BY rowid", "SELECT * FROM space WHERE rowid = ?1"),
        }
    }

    pub(super) fn name(self) -> &'static str {
        self.sql().0
    }
}

/// What names the tables; what counts the columns of one that are computed.
const NAMES: &str = "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 AND sql LIKE 'CREATE TABLE %'";
const COMPUTED: &str = "SELECT count(*) FROM pragma_table_xinfo(?1) WHERE hidden <> 0";

/// A row: its fields by name, and the bytes of the column `blob`.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub(super) fields: Map<String, Value>,
    pub(super) blob: Option<Vec<u8>>,
}

/// An open database.
pub(super) struct Database {
    connection: Connection,
    bytes: u64,
    tables: BTreeSet<String>,
}

impl Database {
    /// Opens a file. One that is a copy of ours may have a write-ahead log beside it; beside any other nothing is written or locked.
    pub(super) fn open(path: &Path, is_copy: bool) -> Result<Self, String> {
        let length = |path: &Path| fs::metadata(path).map_or(0, |meta| meta.len());
        let wal = path.with_file_name(format!("{}-wal", path.file_name().unwrap_or_default().to_string_lossy()));
        let bytes = length(path) + if is_copy { length(&wal) } else { 0 };
        let told = |error: rusqlite::Error| error.to_string();
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(address(path, !is_copy), flags).map_err(told)?;
        for (config, is_on) in [
            (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
            (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
            (DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, false),
        ] {
            connection.set_db_config(config, is_on).map_err(told)?;
        }
        for (limit, most) in [(Limit::SQLITE_LIMIT_LENGTH, ROW_BYTES), (Limit::SQLITE_LIMIT_ATTACHED, 0), (Limit::SQLITE_LIMIT_COLUMN, 200)]
        {
            connection.set_limit(limit, most).map_err(told)?;
        }
        let mut left = bytes.saturating_mul(STEPS_PER_BYTE).saturating_add(STEPS) / u64::from(STEPS_BETWEEN);
        let is_over = move || {
            left = left.saturating_sub(1);
            left == 0
        };
        connection.progress_handler(STEPS_BETWEEN as i32, Some(is_over)).map_err(told)?;
        connection.execute_batch("PRAGMA query_only = ON; PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0;").map_err(told)?;
        let mut tables = BTreeSet::new();
        {
            let mut statement = connection.prepare(NAMES).map_err(told)?;
            let mut rows = statement.query(()).map_err(told)?;
            while let Some(row) = rows.next().map_err(told)? {
                tables.insert(row.get::<_, String>(0).map_err(told)?);
            }
        }
        Ok(Self { connection, bytes, tables })
    }

    pub(super) fn has(&self, table: Table) -> bool {
        self.tables.contains(table.name())
    }

    /// The names of the tables that are never read.
    pub(super) fn others(&self) -> impl Iterator<Item = &str> {
        self.tables
            .iter()
            .map(String::as_str)
            .filter(|name| !name.starts_with("sqlite_") && Table::ALL.iter().all(|table| table.name() != *name))
    }

    /// The rows of a table, and why they may not be all.
    pub(super) fn rows(&self, table: Table) -> (Vec<i64>, Option<String>) {
        let mut found = Vec::new();
        let why = self.list(table, &mut found).err();
        (found, why)
    }

    fn list(&self, table: Table, found: &mut Vec<i64>) -> Result<(), String> {
        let told = |error: rusqlite::Error| error.to_string();
        if !self.has(table) {
            return Ok(());
        }
        let (name, list, _) = table.sql();
        if self.connection.query_row(COMPUTED, [name], |row| row.get::<_, i64>(0)).map_err(told)? > 0 {
            return Err("it has columns that are computed, which Memos' have not".into());
        }
        self.names_are_text(name).map_err(told)?;
        let mut statement = self.connection.prepare(list).map_err(told)?;
        let mut rows = statement.query(()).map_err(told)?;
        while let Some(row) = rows.next().map_err(told)? {
            if found.len() as u64 >= self.bytes / ROW_BYTES_LEAST + ROWS {
                return Err("it has more rows than the file can hold".into());
            }
            let id: i64 = row.get(0).map_err(told)?;
            // A tree whose pages lead in circles brings rows again.
            if found.last().is_some_and(|last| *last >= id) {
                return Err("its rows are in no order".into());
            }
            found.push(id);
        }
        Ok(())
    }

    /// Whether the names of a table's columns can be read: asking a statement for one that cannot makes its library panic.
    fn names_are_text(&self, table: &str) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare("SELECT name FROM pragma_table_xinfo(?1)")?;
        let mut names = statement.query([table])?;
        while let Some(row) = names.next()? {
            row.get_ref(0)?.as_str()?;
        }
        Ok(())
    }

    /// One row of a table. `left`: how many bytes the rows of this table may still have.
    pub(super) fn row(&self, table: Table, id: i64, left: &mut u64) -> Result<Row, String> {
        let told = |error: rusqlite::Error| error.to_string();
        let mut statement = self.connection.prepare(table.sql().2).map_err(told)?;
        let names: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
        let mut rows = statement.query([id]).map_err(told)?;
        let row = rows.next().map_err(told)?.ok_or("it is not where the table says")?;
        let mut read = Row::default();
        for (number, name) in names.into_iter().enumerate() {
            let value = row.get_ref(number).map_err(told)?;
            let bytes = match value {
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes,
                _ => &[],
            };
            *left = left.checked_sub(bytes.len() as u64).ok_or("the table has more than the file can hold")?;
            if name == "blob" {
                read.blob = Some(bytes.to_vec()).filter(|bytes| !bytes.is_empty());
                continue;
            }
            let value = match value {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(number) => Value::from(number),
                ValueRef::Real(number) => Value::from(number),
                ValueRef::Text(text) => Value::String(String::from_utf8_lossy(text).into_owned()),
                ValueRef::Blob(bytes) => Value::String(String::from_utf8(bytes.to_vec()).unwrap_or_else(|_| HEXLOWER.encode(bytes))),
            };
            read.fields.insert(name, value);
        }
        Ok(read)
    }

    /// How many bytes the rows of a table may have.
    pub(super) fn most(&self) -> u64 {
        self.bytes.saturating_mul(BYTES_TIMES).saturating_add(BYTES)
    }
}

/// A path as SQLite's address of a file; what is immutable is neither locked nor looked for a journal.
fn address(path: &Path, is_immutable: bool) -> String {
    let mut address = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => address.push(char::from(*byte)),
            byte => write!(address, "%{byte:02X}").expect("text takes what is written"),
        }
    }
    address + if is_immutable { "?mode=ro&immutable=1" } else { "?mode=ro" }
}
