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
