//! Every verb leaves an audit entry, also when it only reads, fails or is denied.

use std::sync::Arc;

use keepsake_custody::{
    BackupKind, CheckOptions, ExportOptions, ImportMode, ImportOptions, MemoryDraft, MemoryEdit, ShareOptions, ShareToken, Silent, Source,
    Without,
};

use crate::support::{Home, home};

async fn verbs(home: &Home) -> Vec<String> {
    home.custody.audit_after("", 10_000).await.expect("audit").into_iter().map(|row| format!("{}: {}", row.verb, row.outcome)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verb_leaves_its_entry() {
    let home = home().await;
    let (c, owner, silent) = (&home.custody, home.owner, Arc::new(Silent));
    let mut walk = Vec::new();
    macro_rules! verb {
        ($expected:literal, $call:expr) => {{
            // Entries of one millisecond stand in any order: they are counted.
            let count = |all: &[String]| all.iter().filter(|v| *v == $expected).count();
            let before = count(&verbs(&home).await);
            drop($call.await);
            let all = verbs(&home).await;
            assert!(count(&all) > before, "{} is not in {all:?}", $expected);
            walk.push($expected);
        }};
    }
    let draft = MemoryDraft { text: "x".into(), ..MemoryDraft::default() };
    let id = c.add_memory(owner, &draft).await.expect("add").id.to_string();
    verb!("memory.add: complete", c.add_memory(owner, &draft));
    verb!("memory.add: failed", c.add_memory(owner, &MemoryDraft { date: Some("never".into()), ..draft.clone() }));
    verb!("memory.edit: complete", c.edit_memory(owner, &id, &MemoryEdit { title: Some("t".into()), ..MemoryEdit::default() }));
    verb!("memory.edit: failed", c.edit_memory(owner, "ffffffff", &MemoryEdit::default()));
    verb!("memory.show: complete", c.show_memory(owner, &id));
    verb!("memory.show: failed", c.show_memory(owner, "ffffffff"));
    verb!("memory.list: complete", c.list_memories(owner, &Default::default(), None, 10));
    verb!("memory.search: complete", c.search_memories(owner, "x", 10));
    verb!("memory.history: complete", c.memory_history(owner, &id));
    let edit = c.memory_history(owner, &id).await.expect("history").1[0].seq;
    verb!("memory.revert: complete", c.revert_memory(owner, &id, edit));
    assert_eq!(c.show_memory(owner, &id).await.expect("there").memory.title, None, "what the edit had set is taken back");
    verb!("memory.revert: failed", c.revert_memory(owner, &id, 1));
    verb!("collection.create: complete", c.create_collection(owner, "album"));
    verb!("collection.create: failed", c.create_collection(owner, "album"));
    verb!("collection.list: complete", c.collections(owner));
    verb!("collection.add: complete", c.set_membership(owner, "album", &id, true));
    verb!("collection.remove: complete", c.set_membership(owner, "album", &id, false));
    verb!("memory.delete: complete", c.delete_memory(owner, &id));
    verb!("memory.delete: failed", c.delete_memory(owner, &id));
    verb!("memory.undelete: complete", c.undelete_memory(owner, &id));
    verb!("owner.create: complete", c.create_owner("bob"));
    verb!("owner.create: failed", c.create_owner("bob"));
    verb!("repository.show: failed", c.repository_view(Some(owner)));
    verb!("snapshot.list: failed", c.snapshots(owner, &Source::Home));
    verb!("key.reveal: failed", c.reveal_password(Some(owner)));
    verb!("backup: complete", c.backup(owner, BackupKind::Full, silent.clone()));
    verb!("repository.show: complete", c.repository_view(Some(owner)));
    verb!("key.reveal: complete", c.reveal_password(Some(owner)));
    verb!("snapshot.list: complete", c.snapshots(owner, &Source::Home));
    verb!("snapshot.show: complete", c.snapshot(owner, &Source::Home, "latest"));
    verb!("snapshot.ls: complete", c.snapshot_files(owner, &Source::Home, "latest", ""));
    verb!("snapshot.diff: complete", c.snapshot_diff(owner, &Source::Home, "latest", "latest"));
    verb!("verify: complete", c.verify(owner, &Source::Home, None, CheckOptions::default(), silent.clone()));
    let policy = keepsake_custody::Policy::nothing();
    verb!("snapshot.pin: complete", c.pin_snapshot(owner, "latest", "a promise"));
    verb!("snapshot.pin: failed", c.pin_snapshot(owner, "ffffffff", ""));
    verb!("snapshot.forget.plan: complete", c.plan_forget(owner, &policy));
    let plan = c.plan_forget(owner, &policy).await.expect("plan");
    verb!("snapshot.forget: complete", c.forget(owner, &plan, silent.clone()));
    let stale = keepsake_custody::ForgetPlan { forget: plan.keep.clone(), ..plan };
    verb!("snapshot.forget: denied", c.forget(owner, &stale, silent.clone()));
    let pinned = c.pins(owner).await.expect("pins").into_keys().next().expect("one");
    verb!("snapshot.unpin: complete", c.unpin_snapshot(owner, &pinned));
    verb!("snapshot.unpin: failed", c.unpin_snapshot(owner, &pinned));
    verb!("snapshot.adopt: complete", c.adopt_snapshot(owner, "latest"));
    verb!("snapshot.adopt: failed", c.adopt_snapshot(owner, "ffffffff"));
    let gone = Without::Memories([c.add_memory(owner, &draft).await.expect("add").id].into());
    verb!("snapshot.rewrite.plan: denied", c.plan_rewrite(owner, &gone, silent.clone()));
    verb!("snapshot.rewrite: denied", c.rewrite_snapshots(owner, &gone, silent.clone()));
    let Without::Memories(ids) = &gone else { unreachable!("made just now") };
    c.delete_memory(owner, &ids.first().expect("one").to_string()).await.expect("delete");
    verb!("snapshot.rewrite.plan: complete", c.plan_rewrite(owner, &gone, silent.clone()));
    verb!("snapshot.rewrite: complete", c.rewrite_snapshots(owner, &gone, silent.clone()));
    verb!("key.list: complete", c.repository_keys(Some(owner)));
    verb!("key.add: complete", c.add_key(Some(owner), "bob", keepsake_custody::Password::new("bob's".into())));
    verb!("key.add: failed", c.add_key(Some(owner), "bob", keepsake_custody::Password::new(String::new())));
    let keys = c.repository_keys(Some(owner)).await.expect("keys");
    let bobs = keys.iter().find(|key| !key.own).expect("bob's").id.clone();
    verb!("key.remove: complete", c.remove_key(Some(owner), &bobs));
    verb!("key.remove: failed", c.remove_key(Some(owner), &bobs));
    verb!("key.rewrap: complete", c.rewrap(Some(owner)));
    verb!("repair.plan: complete", c.plan_repair(Some(owner), silent.clone()));
    verb!("repair: complete", c.repair(Some(owner), &Default::default(), silent.clone()));
    verb!("prune.plan: complete", c.plan_prune(Some(owner), Default::default(), silent.clone()));
    let plan = c.plan_prune(Some(owner), Default::default(), silent.clone()).await.expect("plan");
    verb!("prune: complete", c.prune(Some(owner), plan.clone(), silent.clone()));
    let stale = keepsake_custody::PrunePlan { indexes: [keepsake_repository::Id::of(b"gone")].into(), ..plan };
    verb!("prune: failed", c.prune(Some(owner), stale, silent.clone()));
    let out = home.folder.path().join("out");
    verb!(
        "restore.folder: complete",
        c.restore_to(owner, &Source::Home, "latest", &out, Default::default(), Default::default(), silent.clone())
    );
    verb!(
        "restore.folder: denied",
        c.restore_to(owner, &Source::Home, "latest", &out, Default::default(), Default::default(), silent.clone())
    );
    verb!("backup.folder: complete", c.backup_folder(owner, &out, silent.clone()));
    let bag = ExportOptions { out: home.folder.path().join("bag"), ..ExportOptions::default() };
    verb!("export: complete", c.export(owner, &bag, silent.clone()));
    verb!("export: denied", c.export(owner, &bag, silent.clone()));
    let id = c.exports(owner).await.expect("exports").remove(0).id;
    let shared = ShareOptions { private_too: true, ..ShareOptions::default() };
    verb!("export.share: denied", c.share_export(owner, &id, &shared));
    let archive = ExportOptions { out: home.folder.path().join("bag.zip"), ..ExportOptions::default() };
    let id = c.export(owner, &archive, silent.clone()).await.expect("export").id;
    verb!("export.share: complete", c.share_export(owner, &id, &shared));
    let made = c.share_export(owner, &id, &shared).await.expect("shared");
    let token = ShareToken::parse(&made.link).expect("a link");
    verb!("share.open: complete", c.open_share(&token, None, "nobody"));
    let open = c.open_share(&token, None, "nobody").await.expect("open");
    verb!("share.download: complete", c.read_share(&open, "bag.zip"));
    verb!("share.download: denied", c.read_share(&open, "bag"));
    verb!("share.list: complete", c.shares(owner, None));
    verb!("export.unshare: complete", c.unshare(owner, &made.share.id));
    verb!("export.unshare: denied", c.unshare(owner, &made.share.id));
    verb!("share.open: denied", c.open_share(&token, None, "nobody"));
    verb!("import.plan: complete", c.import(owner, &bag.out, &ImportOptions::default(), ImportMode::Plan, silent.clone()));
    verb!("import: complete", c.import(owner, &bag.out, &ImportOptions::default(), ImportMode::Apply, silent.clone()));
    verb!(
        "import: failed",
        c.import(owner, &home.folder.path().join("nowhere"), &ImportOptions::default(), ImportMode::Apply, silent.clone())
    );
    assert_eq!(walk.len(), 73);
    let text = format!("{:?}", c.audit_after("", 10_000).await.expect("audit"));
    assert!(!text.contains(c.reveal_password(Some(owner)).await.expect("password").as_str()), "no secret is in the log");
}
