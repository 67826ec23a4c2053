//! Random histories of two owners in one home, with what happens to homes: the database put back to an older copy, a clone
//! that backs up to the same place, the power cut during a backup. Whatever it was, the next backup of any kind holds the
//! vault as it is.

use std::{fs, path::Path, sync::Arc, time::SystemTime};

use keepsake_custody::{BackupKind, CheckOptions, Custody, Policy, PruneOptions, Silent, Source};
use keepsake_testing::Dice;

use crate::{
    histories::{change, seed},
    support::{Home, copy_folder, files, small_home},
};

/// Puts the database back to a saved copy; with `cache`, also what the home remembers beside it.
async fn put_back(home: &mut Home, saved: &Path, cache: bool) {
    home.custody.close().await;
    for ending in ["db", "db-wal", "db-shm"] {
        drop(fs::remove_file(home.path().join(format!("vault.{ending}"))));
    }
    fs::copy(saved.join("vault.db"), home.path().join("vault.db")).expect("put back");
    if cache {
        drop(fs::remove_dir_all(home.path().join("cache")));
        copy_folder(&saved.join("cache"), &home.path().join("cache"));
    }
    home.reopen().await;
}

/// Saves the database, and what the home remembers beside it.
async fn save(home: &mut Home, to: &Path) {
    home.custody.close().await;
    drop(fs::remove_dir_all(to));
    fs::create_dir_all(to).expect("a folder");
    fs::copy(home.path().join("vault.db"), to.join("vault.db")).expect("save");
    copy_folder(&home.path().join("cache"), &to.join("cache"));
    home.reopen().await;
}

/// A backup whose last writes never reached the disk, and of which the database knows nothing.
async fn cut_backup(home: &mut Home, dice: &mut Dice) {
    let before = home.folder.path().join("before-the-cut");
    save(home, &before).await;
    let backups = home.path().join("backups");
    let known = files(&backups);
    home.backup([BackupKind::Incremental, BackupKind::Differential, BackupKind::Full][dice.below(3)]).await;
    let mut new: Vec<_> = files(&backups).into_iter().filter(|file| !known.contains(file)).collect();
    // The clock of a file system ticks every few milliseconds: what was written in one tick is put in the order of the engine.
    let written = |file: &std::path::PathBuf| {
        let at = fs::metadata(file).and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        let rank = ["index", "snapshots"].iter().position(|kind| file.parent().is_some_and(|folder| folder.ends_with(kind)));
        (at, rank)
    };
    new.sort_by_key(|file| std::cmp::Reverse(written(file)));
    for file in &new[..dice.below(new.len() + 1)] {
        fs::remove_file(file).expect("cut");
    }
    put_back(home, &before, dice.below(2) == 0).await;
}

/// Old snapshots are let go of, and their space is given back.
async fn forget_and_prune(home: &Home, dice: &mut Dice) {
    let policy = Policy { last: Some(dice.below(3) as u32), ..Policy::nothing() };
    // There may be no repository yet.
    let Ok(plan) = home.custody.plan_forget(home.owner, &policy).await else { return };
    home.custody.forget(home.owner, &plan, Arc::new(Silent)).await.expect("forget");
    let options = PruneOptions { max_unused_percent: 0 };
    let plan = home.custody.plan_prune(Some(home.owner), options, Arc::new(Silent)).await.expect("plan");
    home.custody.prune(Some(home.owner), plan, Arc::new(Silent)).await.expect("prune");
    let next = home.backup(BackupKind::Incremental).await;
    assert!(next.reason.is_none_or(|reason| !reason.contains("packs")), "a prune of our own is no loss");
}

/// A clone of the home changes something and backs up to the same place.
async fn clone_backs_up(home: &mut Home, dice: &mut Dice) {
    home.custody.close().await;
    let path = home.folder.path().join(format!("clone-{}", dice.below(usize::MAX)));
    copy_folder(&home.path(), &path);
    fs::remove_dir_all(path.join("backups")).expect("remove");
    std::os::unix::fs::symlink(home.path().join("backups"), path.join("backups")).expect("the same place");
    let folder = tempfile::tempdir().expect("a folder");
    fs::rename(&path, folder.path().join("home")).expect("move");
    let custody = Custody::open(&folder.path().join("home"), &Default::default(), "clone", Arc::new(keepsake_custody::SystemClock))
        .await
        .expect("open");
    let mut clone = Home { custody, owner: home.owner, folder };
    clone.reopen().await;
    for _ in 0..=dice.below(3) {
        change(&clone, dice).await;
    }
    clone.backup(BackupKind::Incremental).await;
    clone.custody.close().await;
    home.reopen().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_to_a_home_the_next_backup_holds_it() {
    let mut dice = Dice(seed());
    let mut home = small_home().await;
    let owners = [home.owner, home.custody.create_owner("grace").await.expect("a second owner").id];
    let saved = home.folder.path().join("saved");
    save(&mut home, &saved).await;
    for round in 0..14 {
        home.owner = owners[dice.below(2)];
        for _ in 0..dice.below(8) {
            change(&home, &mut dice).await;
        }
        let accident = dice.below(7);
        match accident {
            0 => save(&mut home, &saved).await,
            1 => put_back(&mut home, &saved, dice.below(2) == 0).await,
            2 => clone_backs_up(&mut home, &mut dice).await,
            3 => cut_backup(&mut home, &mut dice).await,
            4 => forget_and_prune(&home, &mut dice).await,
            _ => {}
        }
        for _ in 0..dice.below(3) {
            change(&home, &mut dice).await;
        }
        for owner in owners {
            home.owner = owner;
            let told = format!("round {round}, accident {accident}");
            let step = home.backup([BackupKind::Incremental, BackupKind::Differential][dice.below(2)]).await;
            let full = home.backup(BackupKind::Full).await;
            assert!(step.skipped.is_empty() && full.skipped.is_empty(), "{told}");
            if step.snapshot.is_some() {
                assert_eq!(step.data_tree, full.data_tree, "{told}");
            }
            let (bundle, _) = home.custody.snapshot_bundle(owner, &Source::Home, "latest").await.expect("bundle");
            let plan = home.custody.plan_restore(owner, &bundle, "test").await.expect("plan");
            let live = home.custody.vault().head(owner).await.expect("head").memories;
            assert_eq!((plan.same, plan.new, plan.conflicting), (live, 0, 0), "{told}");
            let report = home
                .custody
                .verify(owner, &Source::Home, None, CheckOptions { read_data: Some(keepsake_custody::Share::All) }, Arc::new(Silent))
                .await
                .expect("verify")
                .remove(0);
            assert!(report.damage.is_empty(), "{told}: {:?}", report.damage);
        }
    }
}
