//! Shares: what two do at once, ends, and what became of memories since.

use futures::future::join_all;
use keepsake_record::OwnerId;
use keepsake_vault::{ExportRow, Moment, ShareRow, Since, VaultError};

use crate::engines::{Engine, entry, memory, on_each, on_each_serializable};

fn row(owner: OwnerId, id: &str) -> ShareRow {
    ShareRow {
        owner,
        id: id.into(),
        export: "e1".into(),
        hash: format!("hash of {id}"),
        made: 1,
        expires: Some(1_000),
        downloads_max: Some(5),
        passphrase: Some("words".into()),
        wrong: 0,
        locked_until: 0,
        revoked: None,
        note: "for Ada".into(),
        downloads: 0,
    }
}

async fn shared(engine: &Engine, id: &str) -> ShareRow {
    let row = row(engine.owner, id);
    engine.vault.add_share(&row, &entry("export.share")).await.expect("added");
    assert_eq!(engine.vault.shares_by_id(id).await.expect("read"), std::slice::from_ref(&row), "{}", engine.name);
    row
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_goes_out_more_often_than_it_may() {
    on_each_serializable(async |engine| {
        let row = shared(engine, "a").await;
        let taken = join_all((0..12).map(|_| {
            let (vault, row) = (&engine.vault, &row);
            async move { vault.count_download(row, "one.zip", 999, &entry("share.download")).await }
        }));
        let taken = taken.await.into_iter().filter(|got| *got.as_ref().expect("counted")).count();
        assert_eq!(taken, 5, "{}", engine.name);
        let counted = engine.vault.audit_after("", 1000).await.expect("audit").iter().filter(|row| row.verb == "share.download").count();
        assert_eq!(counted, 5, "{}: each has its entry, and what was refused has none", engine.name);
        assert!(engine.vault.count_download(&row, "two.zip", 999, &entry("share.download")).await.expect("another file"));
        assert_eq!(engine.vault.shares(engine.owner).await.expect("listed")[0].downloads, 6);
        let endless = ShareRow { downloads_max: None, ..row };
        assert!(engine.vault.count_download(&endless, "one.zip", 999, &entry("share.download")).await.expect("no limit"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_ends_at_its_instant_and_when_it_is_ended() {
    on_each(async |engine| {
        let download =
            async |row: &ShareRow, now| engine.vault.count_download(row, "f", now, &entry("share.download")).await.expect("asked");
        let row = shared(engine, "a").await;
        assert!(download(&row, 999).await && !download(&row, 1_000).await, "{}", engine.name);
        let other = shared(engine, "b").await;
        assert!(engine.vault.revoke_share(engine.owner, "b", 500, &entry("export.unshare")).await.expect("ended"));
        assert!(!engine.vault.revoke_share(engine.owner, "b", 600, &entry("export.unshare")).await.expect("ended before"));
        assert!(!download(&other, 501).await && !engine.vault.count_attempt(&other, 501, 0).await.expect("asked"));
        assert_eq!(engine.vault.purge_shares(engine.owner, 500, &entry("share.purge")).await.expect("purged"), 0);
        assert_eq!(engine.vault.purge_shares(engine.owner, 501, &entry("share.purge")).await.expect("purged"), 1);
        assert!(engine.vault.shares_by_id("b").await.expect("read").is_empty());
        // An export that is forgotten takes its shares along.
        let export = ExportRow { id: "e1".into(), began: 1, record: "{}".into() };
        engine.vault.put_export(engine.owner, &export).await.expect("put");
        engine.vault.forget_export(engine.owner, "e1", &entry("export.delete")).await.expect("forgotten");
        assert!(engine.vault.shares(engine.owner).await.expect("listed").is_empty(), "{}", engine.name);
        let again = shared(engine, "a").await;
        assert!(download(&again, 1).await, "what was counted went along");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_attempts_at_once_one_is_taken() {
    on_each_serializable(async |engine| {
        let row = shared(engine, "a").await;
        let tried = join_all((0..8).map(|_| {
            let (vault, row) = (&engine.vault, &row);
            async move { vault.count_attempt(row, 10, 20).await.expect("counted") }
        }));
        assert_eq!(tried.await.into_iter().filter(|taken| *taken).count(), 1, "{}", engine.name);
        let now = engine.vault.shares_by_id("a").await.expect("read").remove(0);
        assert_eq!((now.wrong, now.locked_until), (1, 20));
        assert!(!engine.vault.count_attempt(&now, 19, 30).await.expect("asked"), "it is locked until then");
        assert!(engine.vault.count_attempt(&now, 20, 30).await.expect("asked"));
        engine.vault.forgive_attempts(engine.owner, "a").await.expect("forgiven");
        assert_eq!(engine.vault.shares_by_id("a").await.expect("read"), [row], "{}", engine.name);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_known_what_left_since_a_moment() {
    on_each(async |engine| {
        let all: Vec<_> = (1..=4).map(|number| memory(number, "2024-03-17", "words")).collect();
        for memory in &all[..3] {
            engine.put(memory).await;
        }
        let moment = engine.vault.head(engine.owner).await.expect("head").moment();
        let since = async |clean| engine.vault.since(engine.owner, &moment, clean).await.expect("asked");
        engine.put(&all[3]).await;
        let mut write = engine.vault.write(engine.owner, "test").await.expect("write");
        for memory in [&all[0], &all[1], &all[3]] {
            write.trash_memory(&memory.id).await.expect("trashed");
        }
        write.commit(&entry("memory.delete")).await.expect("commit");
        assert_eq!(since(moment.seq).await, Since { deleted: 2, erased: 0 }, "{}: what came later does not count", engine.name);
        let mut write = engine.vault.write(engine.owner, "test").await.expect("write");
        write.untrash_memory(&all[1].id).await.expect("back");
        for memory in [&all[0], &all[3]] {
            assert!(write.redact_memory(&memory.id).await.expect("redacted"));
        }
        write.commit(&entry("memory.erase")).await.expect("commit");
        assert_eq!(since(moment.seq).await, Since { deleted: 0, erased: 1 }, "{}", engine.name);
        let now = engine.vault.head(engine.owner).await.expect("head").seq;
        assert_eq!(since(now).await, Since::default(), "{}: what was erased before is known already", engine.name);
        let other = Moment { mark: "another".into(), ..moment.clone() };
        assert!(matches!(engine.vault.since(engine.owner, &other, 0).await, Err(VaultError::Passed { .. })), "{}", engine.name);
    })
    .await;
}
