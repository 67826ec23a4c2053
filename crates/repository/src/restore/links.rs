//! Hard links: made only to what this run wrote, and a file of its own where none can be made.

use std::{
    fs::{self, FileType},
    io,
    path::Path,
    sync::Mutex,
};

use super::{
    Job, fail, note,
    parts::{Disk, made_anew},
    writing::{Buffers, Source, write_file},
};
use crate::{Monitor, Repository, RestoreOptions, RestoreOutcome};

/// Further names of files that have several, when all first ones were tried.
pub(super) fn link_or_write(
    repository: &Repository,
    jobs: Vec<Job>,
    options: &RestoreOptions,
    disk: Disk,
    monitor: &dyn Monitor,
    outcome: &Mutex<RestoreOutcome>,
) {
    let mut buffers = Buffers::default();
    for job in jobs {
        if monitor.cancelled() {
            return;
        }
        let first = job.stands.as_ref().and_then(|stands| stands.lock().expect("no holder panics").clone());
        // What is in the way is told as of all files.
        let free = options.overwrite || fs::symlink_metadata(&job.target).is_err();
        let linked = first.filter(|_| free).map(|first| link(&first, &job).map_err(|error| (first, error)));
        if matches!(linked, Some(Ok(()))) {
            continue;
        }
        // The first name did not come back, the file system knows no links, or this file has as many as it may: the names after it are linked
        // to this one.
        let mut source = Source { repository, ahead: None, first: 0 };
        let written = write_file(&mut source, &job, options.overwrite, &mut buffers, disk, monitor);
        if let (Ok(_), Some(Err((first, error)))) = (&written, &linked) {
            let told = format!("it came back as a file of its own, as it cannot be linked to {}: {error}", first.display());
            fail(outcome, monitor, &job.path, &told);
        }
        note(outcome, monitor, &job, written);
    }
}

/// Under the part's name before its own, so that what is there stays until the link is made.
fn link(first: &Path, job: &Job) -> io::Result<()> {
    made_anew(&job.part, FileType::is_file, |part| fs::hard_link(first, part))?;
    let named = fs::rename(&job.part, &job.target);
    // Also when it went well: a name that leads to the same file already is left alone, and so is the part.
    drop(fs::remove_file(&job.part));
    named
}

#[cfg(test)]
mod tests {
    use std::{io::Cursor, os::unix::fs::MetadataExt, sync::Arc};

    use keepsake_storage::MemoryStore;

    use super::*;
    use crate::{BackupRequest, Content, Edit, EditKind, KdfCost, Node, NodeKind, Password, Silent, Snapshot, SystemAmbient};

    /// One that is written to between the names of it is recorded with the same inode and two contents.
    #[test]
    fn names_with_another_content_are_files_of_their_own() {
        let (password, cost) = (Password::new("a password".into()), KdfCost { log_n: 4, r: 8, p: 1 });
        let repository = Repository::init(Arc::new(MemoryStore::new()), &password, cost, Arc::new(SystemAmbient)).expect("init");
        let files = [("a", "before"), ("b", "before"), ("c", "after"), ("d", "after")];
        let edits = files.map(|(name, text)| {
            let node = Node { links: 4, inode: 7, mode: 0o644, ..Node::bare(name.into(), NodeKind::File, "2024-01-01T00:00:00Z") };
            Ok(Edit { path: name.into(), kind: EditKind::File(node, Content::Stream(Box::new(move || Ok(Box::new(Cursor::new(text)))))) })
        });
        let snapshot = Snapshot::new("2024-03-17T00:00:00Z".into(), "/keepsake", "keepsake test");
        let request = BackupRequest { parent_tree: None, carry_tree: None, edits: Box::new(edits.into_iter()), replay: None, snapshot };
        let tree = repository.backup(request, &Silent).expect("backup").tree;
        let folder = tempfile::tempdir().expect("space");
        let outcome = repository.restore(&tree, folder.path(), &RestoreOptions::default(), &Silent).expect("restored");
        assert_eq!(outcome.failed, vec![]);
        for (name, text) in files {
            assert_eq!(fs::read_to_string(folder.path().join(name)).expect("readable"), text, "{name}");
        }
        let inode = |name: &str| fs::metadata(folder.path().join(name)).expect("metadata").ino();
        assert!(inode("a") == inode("b") && inode("c") == inode("d") && inode("a") != inode("c"));
    }
}
