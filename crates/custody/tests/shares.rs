//! Links to exports: who has one gets the files, until it ends; nobody else gets anything, and the log knows of everybody.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use keepsake_custody::{
    Custody, CustodyError, CustodyResult, ErrorKind, Expiry, ExportOptions, ExportReport, MadeShare, MemoryDraft, OpenShare, Password,
    ShareDenied, ShareOptions, ShareState, ShareToken, Silent, SystemClock,
};
use keepsake_record::{OwnerId, Timestamp};
use keepsake_vault::{Ambient, AuditRow};
use tempfile::TempDir;

use crate::support::files;

const HOUR: i64 = 3_600_000_000;
const BEGINNING: i64 = 1_800_000_000_000_000;

/// A clock that stands still until it is set.
#[derive(Debug)]
struct Held(AtomicI64);

impl Ambient for Held {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst)).expect("in range")
    }

    fn fill(&self, bytes: &mut [u8]) {
        SystemClock.fill(bytes);
    }
}

struct Sharing {
    custody: Arc<Custody>,
    owner: OwnerId,
    clock: Arc<Held>,
    folder: TempDir,
}

impl Sharing {
    /// A home with a memory in it.
    async fn new() -> Self {
        let (folder, clock) = (tempfile::tempdir().expect("a folder"), Arc::new(Held(AtomicI64::new(BEGINNING))));
        let made = Custody::init(&folder.path().join("home"), &BTreeMap::new(), "ada", "test", clock.clone()).await.expect("init");
        let new = Self { custody: Arc::new(made.custody), owner: made.owner.id, clock, folder };
        new.add("a secret that is for one reader").await;
        new
    }

    async fn add(&self, text: &str) -> String {
        let draft = MemoryDraft { text: text.into(), date: Some("2024-03-17".into()), ..MemoryDraft::default() };
        self.custody.add_memory(self.owner, &draft).await.expect("added").id.to_string()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn export(&self, name: &str, for_sharing: bool) -> ExportReport {
        let options = ExportOptions { out: self.path(name), for_sharing, ..ExportOptions::default() };
        self.custody.export(self.owner, &options, Arc::new(Silent)).await.expect("export")
    }

    async fn share(&self, export: &str, options: ShareOptions) -> MadeShare {
        self.custody.share_export(self.owner, export, &options).await.expect("shared")
    }

    async fn open(&self, made: &MadeShare, passphrase: Option<&str>) -> CustodyResult<OpenShare> {
        let token = ShareToken::parse(&made.link).expect("a link");
        self.custody.open_share(&token, passphrase.map(|text| Password::new(text.into())).as_ref(), "somebody").await
    }

    async fn denied(&self, made: &MadeShare, passphrase: Option<&str>) -> ShareDenied {
        denied(self.open(made, passphrase).await)
    }

    fn later(&self, micros: i64) {
        self.clock.0.fetch_add(micros, Ordering::SeqCst);
    }

    async fn audit(&self, verb: &str) -> Vec<AuditRow> {
        let all = self.custody.audit_after("", 10_000).await.expect("audit");
        all.into_iter().filter(|row| row.verb == verb).collect()
    }

    async fn state(&self) -> ShareState {
        self.custody.shares(self.owner, None).await.expect("listed")[0].state
    }

    async fn erase(&self, id: &str) {
        drop(self.custody.delete_memory(self.owner, id).await);
        let mut write = self.custody.vault().write(self.owner, "test").await.expect("write");
        write.redact_memory(&id.parse().expect("an id")).await.expect("redact");
        let entry = keepsake_vault::AuditEntry {
            owner: Some(self.owner),
            actor: "test".into(),
            verb: "test",
            subject: String::new(),
            outcome: keepsake_vault::Outcome::Complete,
            detail: serde_json::json!({}),
        };
        write.commit(&entry).await.expect("commit");
    }
}

fn denied<T>(answer: CustodyResult<T>) -> ShareDenied {
    match answer {
        Err(CustodyError::Share(denied)) => denied,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was handed out"),
    }
}

fn refused<T>(answer: CustodyResult<T>, words: &str) {
    let error = answer.err().expect("refused");
    assert!(error.kind() == ErrorKind::Refused && error.to_string().contains(words), "{error}");
}

fn with(passphrase: &str) -> ShareOptions {
    ShareOptions { passphrase: Some(Password::new(passphrase.into())), ..ShareOptions::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_the_link_gets_the_file_until_it_ends() {
    let sharing = Sharing::new().await;
    let export = sharing.export("shared.zip", true).await;
    let made =
        sharing.share(&export.id, ShareOptions { expires: Expiry::After(HOUR), note: "for Ada".into(), ..ShareOptions::default() }).await;
    let open = sharing.open(&made, None).await.expect("open");
    let mut bytes = Vec::new();
    sharing.custody.read_share(&open, "shared.zip").await.expect("handed out").read_to_end(&mut bytes).expect("read");
    assert_eq!(bytes, fs::read(sharing.path("shared.zip")).expect("read"));
    for name in ["../shared.zip", "/etc/passwd", "", "shared"] {
        assert_eq!(denied(sharing.custody.read_share(&open, name).await), ShareDenied::Gone, "{name}");
    }
    // To the microsecond: it is good before its end, and not at it, also for who opened it before.
    sharing.later(HOUR - 1);
    assert_eq!(sharing.state().await, ShareState::Open);
    let before = sharing.open(&made, None).await.expect("still open");
    sharing.later(1);
    assert_eq!(sharing.denied(&made, None).await, ShareDenied::Gone);
    assert_eq!(denied(sharing.custody.read_share(&before, "shared.zip").await), ShareDenied::Gone);
    assert_eq!(sharing.state().await, ShareState::Expired);
    sharing.later(30 * 24 * HOUR);
    assert_eq!(sharing.custody.shares(sharing.owner, None).await.expect("listed").len(), 1, "it is told of for a while");
    sharing.later(1);
    assert!(sharing.custody.shares(sharing.owner, None).await.expect("listed").is_empty());
    assert_eq!(sharing.audit("share.purge").await.len(), 1);

    // What is the default, and what has no end.
    let week = sharing.share(&export.id, ShareOptions::default()).await;
    assert_eq!(week.share.expires.expect("an end").micros(), sharing.clock.now().micros() + 7 * 24 * HOUR);
    let endless = sharing.share(&export.id, ShareOptions { expires: Expiry::Never, ..ShareOptions::default() }).await;
    sharing.later(10_000 * HOUR);
    assert_eq!(sharing.denied(&week, None).await, ShareDenied::Gone);
    sharing.open(&endless, None).await.expect("without an end");
}

/// What leads to nothing says the same whatever the reason is; the log says which.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_learns_why_but_the_owner() {
    let sharing = Sharing::new().await;
    let export = sharing.export("shared.zip", true).await;
    let share = async || sharing.share(&export.id, ShareOptions { expires: Expiry::After(HOUR), ..with("open sesame") }).await;
    let (ended, expired, other) = (share().await, share().await, share().await);
    let id = sharing.custody.unshare(sharing.owner, &ended.share.id[..8]).await.expect("ended");
    assert_eq!(id, ended.share.id);
    refused(sharing.custody.unshare(sharing.owner, &id).await, "ended before");
    assert!(sharing.custody.unshare(sharing.owner, "ffff").await.expect_err("none").to_string().contains("export shares"));
    for passphrase in [None, Some("open sesame"), Some("another one")] {
        assert_eq!(sharing.denied(&ended, passphrase).await, ShareDenied::Gone);
    }
    sharing.later(HOUR);
    assert_eq!(sharing.denied(&expired, Some("open sesame")).await, ShareDenied::Gone);
    let nothing = ShareToken::parse(&format!("keepsake-share:{}", "A".repeat(43))).expect("a word");
    assert_eq!(denied(sharing.custody.open_share(&nothing, None, "a\nb").await), ShareDenied::Gone);
    assert!(sharing.custody.delete_export(sharing.owner, &export.id).await.expect("deleted").is_empty());
    assert_eq!(sharing.denied(&other, None).await, ShareDenied::Gone, "its export took it along");
    let rows = sharing.audit("share.open").await;
    assert!(rows.iter().all(|row| row.outcome == "denied" && row.detail.contains("\"who\"")), "{rows:?}");
    for reason in ["it was ended", "it has expired", "there is no such link"] {
        assert!(rows.iter().any(|row| row.detail.contains(reason)), "{reason}: {rows:?}");
    }
    assert!(rows.iter().any(|row| row.owner.is_empty() && row.detail.contains("\"ab\"")), "who asks writes no lines: {rows:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_get_no_more_than_one_after_the_other() {
    let sharing = Sharing::new().await;
    let export = sharing.export("shared.zip", true).await;
    let made = sharing.share(&export.id, ShareOptions { downloads: Some(3), ..ShareOptions::default() }).await;
    let link = made.link.to_string();
    let tasks: Vec<_> = (0..2)
        .map(|_| {
            let (custody, link) = (sharing.custody.clone(), link.clone());
            tokio::spawn(async move {
                let mut had = 0;
                for _ in 0..4 {
                    let token = ShareToken::parse(&link).expect("a link");
                    let Ok(open) = custody.open_share(&token, None, "both").await else { continue };
                    had += u32::from(custody.read_share(&open, "shared.zip").await.is_ok());
                }
                had
            })
        })
        .collect();
    let mut had = 0;
    for task in tasks {
        had += task.await.expect("ended");
    }
    assert_eq!((had, sharing.state().await), (3, ShareState::UsedUp));
    assert_eq!(sharing.audit("share.download").await.iter().filter(|row| row.outcome == "complete").count(), 3);

    // One that was cut off counts, too.
    let once = sharing.share(&export.id, ShareOptions { downloads: Some(1), ..ShareOptions::default() }).await;
    let open = sharing.open(&once, None).await.expect("open");
    let mut some = [0; 10];
    sharing.custody.read_share(&open, "shared.zip").await.expect("handed out").read_exact(&mut some).expect("read");
    assert_eq!(denied(sharing.custody.read_share(&open, "shared.zip").await), ShareDenied::Gone);
    assert_eq!(sharing.denied(&once, None).await, ShareDenied::Gone);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passphrases_end_in_waiting() {
    let sharing = Sharing::new().await;
    let export = sharing.export("shared.zip", true).await;
    let made = sharing.share(&export.id, ShareOptions { expires: Expiry::Never, ..with("open sesame") }).await;
    assert_eq!(sharing.denied(&made, None).await, ShareDenied::NeedsPassphrase);
    sharing.open(&made, Some("open sesame")).await.expect("open");
    for _ in 0..4 {
        assert_eq!(sharing.denied(&made, Some("open sesam")).await, ShareDenied::WrongPassphrase);
    }
    let until = match sharing.denied(&made, Some("open sesame")).await {
        ShareDenied::Wait(until) => until.micros(),
        other => panic!("{other}"),
    };
    assert_eq!(until - sharing.clock.now().micros(), 30_000_000);
    sharing.later(29_999_999);
    assert!(matches!(sharing.denied(&made, Some("open sesame")).await, ShareDenied::Wait(_)));
    sharing.later(1);
    sharing.open(&made, Some("open sesame")).await.expect("the right one, and late enough");
    assert_eq!(sharing.custody.shares(sharing.owner, None).await.expect("listed")[0].wrong, 0);

    // Whoever waits each time comes to an end, too.
    let mut tries = 0;
    while sharing.state().await == ShareState::Open {
        sharing.later(24 * HOUR);
        drop(sharing.open(&made, Some("guessing")).await.err().expect("wrong"));
        tries += 1;
        assert!(tries <= 20, "it ends");
    }
    sharing.later(24 * HOUR);
    assert_eq!((sharing.denied(&made, Some("open sesame")).await, sharing.state().await), (ShareDenied::Gone, ShareState::Closed));

    // Many at once have no more tries than one after the other.
    let other = sharing.share(&export.id, with("open sesame")).await;
    let tried = futures_of((0..8).map(|_| sharing.open(&other, Some("guessing")))).await;
    let wrong = tried.into_iter().filter(|answer| matches!(answer, Err(CustodyError::Share(ShareDenied::WrongPassphrase)))).count();
    assert!(wrong <= 4, "{wrong}");
    for short in ["", "1234567"] {
        assert!(sharing.custody.share_export(sharing.owner, &export.id, &with(short)).await.is_err(), "{short}");
    }
}

async fn futures_of<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    let mut answers = Vec::new();
    std::future::poll_fn(|context| {
        all.retain_mut(|one| match one.as_mut().poll(context) {
            std::task::Poll::Ready(answer) => {
                answers.push(answer);
                false
            }
            std::task::Poll::Pending => true,
        });
        if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_link_nor_passphrase_is_kept() {
    let sharing = Sharing::new().await;
    let export = sharing.export("shared.zip", true).await;
    let made = sharing.share(&export.id, with("open sesame")).await;
    sharing.open(&made, Some("open sesame")).await.expect("open");
    assert_eq!(sharing.denied(&made, Some("close sesame")).await, ShareDenied::WrongPassphrase);
    let told = format!("{made:?} {:?}", sharing.custody.audit_after("", 10_000).await.expect("audit"));
    sharing.custody.close().await;
    let word = made.link.rsplit(':').next().expect("a word").to_owned();
    let bytes = data_encoding::BASE64URL_NOPAD.decode(word.as_bytes()).expect("base64");
    let hex = data_encoding::HEXLOWER.encode(&bytes);
    assert!(!told.contains(&word) && !told.contains("sesame"), "{told}");
    let all = files(sharing.folder.path());
    assert!(all.iter().any(|path| path.ends_with("vault.db")));
    for path in all {
        let content = fs::read(&path).expect("read");
        for secret in [word.as_bytes(), &bytes, hex.as_bytes(), b"open sesame", b"close sesame"] {
            assert!(!content.windows(secret.len()).any(|some| some == secret), "{}", path.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_made_for_others_and_is_as_it_was_made() {
    let sharing = Sharing::new().await;
    let private = sharing.export("private.zip", false).await;
    let share = async |id: &str, options: ShareOptions| sharing.custody.share_export(sharing.owner, id, &options).await;
    refused(share(&private.id, ShareOptions::default()).await, "--private-too");
    share(&private.id, ShareOptions { private_too: true, ..ShareOptions::default() }).await.expect("said so");
    let folder = sharing.export("folder", true).await;
    refused(share(&folder.id, ShareOptions::default()).await, "make it an archive");
    for (options, words) in [
        (ShareOptions { downloads: Some(0), ..ShareOptions::default() }, "--downloads 1"),
        (ShareOptions { expires: Expiry::At(sharing.clock.now()), ..ShareOptions::default() }, "has passed"),
        (ShareOptions { note: "a\nb".into(), ..ShareOptions::default() }, "one line"),
        (ShareOptions { base_url: Some("http://example.org".into()), ..ShareOptions::default() }, "https://"),
    ] {
        let error = share(&private.id, options).await.expect_err(words);
        assert!(error.kind() == ErrorKind::Usage && error.to_string().contains(words), "{error}");
    }
    let export = sharing.export("shared.zip", true).await;
    let base = ShareOptions { base_url: Some("https://example.org/keep/".into()), ..ShareOptions::default() };
    let made = share(&export.id, base).await.expect("shared");
    assert!(made.link.starts_with("https://example.org/keep/s/"), "{}", made.link.as_str());
    let (path, whole) = (sharing.path("shared.zip"), fs::read(sharing.path("shared.zip")).expect("read"));
    let open = sharing.open(&made, None).await.expect("open");
    // Changed while it is handed out: its end is an error, and nobody has it whole.
    let mut reader = sharing.custody.read_share(&open, "shared.zip").await.expect("handed out");
    let mut bytes = whole.clone();
    bytes[whole.len() - 1] ^= 1;
    fs::write(&path, &bytes).expect("written");
    let mut got = Vec::new();
    assert!(reader.read_to_end(&mut got).expect_err("changed").to_string().contains("changed") && got.len() < whole.len());
    let mut none = [0; 1];
    assert!(reader.read(&mut none).is_err(), "and stays one");
    // And before: nothing goes out, and nothing is counted.
    let had = sharing.custody.shares(sharing.owner, None).await.expect("listed").iter().map(|share| share.downloads).sum::<u64>();
    assert_eq!(denied(sharing.custody.read_share(&open, "shared.zip").await), ShareDenied::Outdated);
    let now = sharing.custody.shares(sharing.owner, None).await.expect("listed").iter().map(|share| share.downloads).sum::<u64>();
    assert_eq!(had, now);
    refused(share(&export.id, ShareOptions::default()).await, "not what was made any more");
    fs::remove_file(&path).expect("removed");
    assert_eq!(denied(sharing.custody.read_share(&open, "shared.zip").await), ShareDenied::Outdated);
    fs::write(&path, &whole).expect("written");
    sharing.custody.read_share(&open, "shared.zip").await.expect("as it was made");
}

/// Deleted memories are told of; erased ones end what they may be in.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_erased_is_handed_out_no_more() {
    let sharing = Sharing::new().await;
    let (deleted, erased) = (sharing.add("to be deleted").await, sharing.add("to be erased").await);
    let trashed = sharing.add("in the trash before").await;
    sharing.custody.delete_memory(sharing.owner, &trashed).await.expect("deleted");
    sharing.later(31 * 24 * HOUR);
    let export = sharing.export("shared.zip", true).await;
    let made = sharing.share(&export.id, ShareOptions::default()).await;
    let open = sharing.open(&made, None).await.expect("open");
    sharing.custody.empty_trash(sharing.owner).await.expect("emptied");
    sharing.custody.delete_memory(sharing.owner, &deleted).await.expect("deleted");
    let later = sharing.add("made and erased later").await;
    sharing.erase(&later).await;
    let since = sharing.custody.export_at(sharing.owner, &export.id).await.expect("shown").since.expect("known");
    assert_eq!((since.deleted, since.erased), (1, 0));
    let listed = sharing.custody.shares(sharing.owner, Some(&export.id[..8])).await.expect("listed").remove(0);
    assert_eq!((listed.deleted_since, listed.state), (Some(1), ShareState::Open));
    sharing.custody.read_share(&open, "shared.zip").await.expect("deleted is not erased");
    sharing.erase(&erased).await;
    assert_eq!(denied(sharing.custody.read_share(&open, "shared.zip").await), ShareDenied::Outdated);
    assert_eq!((sharing.denied(&made, None).await, sharing.state().await), (ShareDenied::Outdated, ShareState::Outdated));
    let audited = sharing.audit("share.open").await;
    assert!(audited.iter().any(|row| row.detail.contains("export anew")), "{audited:?}");
    refused(sharing.custody.share_export(sharing.owner, &export.id, &ShareOptions::default()).await, "export anew");
    let anew = sharing.export("anew.zip", true).await;
    let made = sharing.share(&anew.id, ShareOptions::default()).await;
    sharing.open(&made, None).await.expect("without it");
}

/// What was cut off is fetched again; what came is not counted twice.
#[tokio::test(flavor = "multi_thread")]
async fn fetching_goes_on() {
    let sharing = Sharing::new().await;
    let export = sharing.export("shared.zip", true).await;
    let made = sharing.share(&export.id, ShareOptions { downloads: Some(1), ..ShareOptions::default() }).await;
    let open = sharing.open(&made, None).await.expect("open");
    let to = sharing.path("theirs");
    fs::create_dir(&to).expect("a folder");
    fs::write(to.join("shared.zip"), "theirs").expect("written");
    refused(sharing.custody.fetch_share(&open, &to).await, "choose another name");
    fs::rename(to.join("shared.zip"), to.join("shared.zip.part")).expect("as if cut off");
    let fetched = sharing.custody.fetch_share(&open, &to).await.expect("fetched");
    assert!(!fetched[0].was_there && fs::read(&fetched[0].path).expect("read") == fs::read(sharing.path("shared.zip")).expect("read"));
    let again = sharing.custody.fetch_share(&open, &to).await.expect("nothing to do");
    assert!(again[0].was_there && sharing.custody.shares(sharing.owner, None).await.expect("listed")[0].downloads == 1);
}
