//! A vault on each engine, a clock that tests can hold, and what tests write.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use keepsake_record::{Attachment, LocalDay, Medium, Memory, MemoryId, Owner, OwnerId, OwnerSettings, Sha256Digest, Timestamp, When};
use keepsake_storage::MemoryStore;
use keepsake_vault::{Ambient, AuditEntry, Outcome, Vault, VaultUrl};
use sqlx::{Connection, Executor};

/// A clock that goes one second on at every look, and numbers that are never the same twice.
#[derive(Debug)]
pub struct Steps {
    time: AtomicI64,
    number: AtomicU64,
}

impl Steps {
    pub fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self { time: AtomicI64::new(1_700_000_000_000_000), number: AtomicU64::new(seed << 32) })
    }
}

impl Ambient for Steps {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.time.fetch_add(1_000_000, Ordering::SeqCst)).expect("in range")
    }

    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let digest = Sha256Digest::of(&self.number.fetch_add(1, Ordering::SeqCst).to_le_bytes());
            chunk.copy_from_slice(&digest.as_bytes()[..chunk.len()]);
        }
    }
}

pub struct Engine {
    pub name: &'static str,
    pub vault: Vault,
    pub owner: OwnerId,
    _folder: tempfile::TempDir,
}

/// A database of its own on the PostgreSQL that scripts/test starts. Without one, says so once a test; in CI that fails.
#[expect(clippy::print_stdout, reason = "the line that tells what did not run")]
async fn postgres() -> Option<VaultUrl> {
    let Ok(admin) = std::env::var("KEEPSAKE_TEST_POSTGRES") else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "KEEPSAKE_TEST_POSTGRES is not set: run scripts/test");
        println!("no KEEPSAKE_TEST_POSTGRES: this test ran on SQLite only; scripts/test runs it on PostgreSQL too");
        return None;
    };
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!("vault_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
    let mut connection = sqlx::PgConnection::connect(&admin).await.expect("PostgreSQL answers");
    connection.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.expect("a database");
    let (base, _) = admin.rsplit_once('/').expect("a URL with a database");
    Some(VaultUrl::Postgres(format!("{base}/{name}")))
}

/// Runs a test on every engine.
pub async fn on_each<F: AsyncFn(&Engine)>(test: F) {
    let folder = tempfile::tempdir().expect("a folder");
    let sqlite = VaultUrl::Sqlite(folder.path().join("vault.db"));
    test(&open("sqlite", sqlite, folder).await).await;
    if let Some(url) = postgres().await {
        test(&open("postgres", url, tempfile::tempdir().expect("a folder")).await).await;
    }
}

/// As [`on_each`], with PostgreSQL ending transactions that get into each other's way, as distributed databases do.
pub async fn on_each_serializable<F: AsyncFn(&Engine)>(test: F) {
    let folder = tempfile::tempdir().expect("a folder");
    let sqlite = VaultUrl::Sqlite(folder.path().join("vault.db"));
    test(&open("sqlite", sqlite, folder).await).await;
    if let Some(VaultUrl::Postgres(url)) = postgres().await {
        let url = VaultUrl::Postgres(format!("{url}?options[default_transaction_isolation]=serializable"));
        test(&open("postgres, serializable", url, tempfile::tempdir().expect("a folder")).await).await;
    }
}

async fn open(name: &'static str, url: VaultUrl, folder: tempfile::TempDir) -> Engine {
    let vault = Vault::open(&url, Arc::new(MemoryStore::new()), Steps::new(1)).await.expect("open");
    let owner = Owner {
        created: Timestamp::from_micros(0).expect("in range"),
        id: OwnerId::from_bytes([1; 16]),
        name: "Ada".into(),
        settings: OwnerSettings::default(),
        extra: BTreeMap::new(),
    };
    vault.create_owner(&owner, &entry("owner.create")).await.expect("an owner");
    Engine { name, vault, owner: owner.id, _folder: folder }
}

pub fn entry(verb: &'static str) -> AuditEntry {
    AuditEntry {
        owner: Some(OwnerId::from_bytes([1; 16])),
        actor: "test".into(),
        verb,
        subject: String::new(),
        outcome: Outcome::Complete,
        detail: serde_json::json!({}),
    }
}

pub fn memory(number: u32, day: &str, text: &str) -> Memory {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    let mut memory = Memory::new(MemoryId::from_bytes(id), Timestamp::from_micros(i64::from(number)).expect("in range"));
    memory.text = text.into();
    memory.when = day.parse::<LocalDay>().map(When::day).unwrap_or_default();
    memory
}

pub fn with_medium(mut memory: Memory, name: &str, bytes: &[u8]) -> Memory {
    let mut attachment = Attachment::new(format!("k{}", memory.attachments.len()), name, "image/jpeg");
    attachment.medium = Some(Medium { bytes: bytes.len() as u64, sha256: Sha256Digest::of(bytes) });
    memory.attachments.push(attachment);
    memory
}

impl Engine {
    pub async fn put(&self, memory: &Memory) -> bool {
        let mut write = self.vault.write(self.owner, "test").await.expect("write");
        let changed = write.put_memory(memory).await.expect("put");
        write.commit(&entry("memory.put")).await.expect("commit");
        changed
    }

    pub async fn audit_count(&self) -> usize {
        self.vault.audit_after("", 10_000).await.expect("audit").len()
    }
}
