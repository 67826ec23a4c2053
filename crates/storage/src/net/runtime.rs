//! The threads on which requests run, so that a caller may simply wait.

use std::{
    future::Future,
    sync::{OnceLock, mpsc},
};

/// Threads that only wait for sockets; hashing and ciphering happen elsewhere.
const THREADS: usize = 2;

fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(THREADS).thread_name("keepsake-net").enable_all();
        builder.build().expect("a process that may not start threads cannot back anything up")
    })
}

/// Waits for what runs on those threads. May be called from any thread that may block, also one that a runtime lends.
pub(crate) fn wait<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let (sender, receiver) = mpsc::sync_channel(1);
    let task = runtime().spawn(async move {
        // Nobody waits any more: the caller's thread has ended, and nobody needs the answer.
        drop(sender.send(work.await));
    });
    match receiver.recv() {
        Ok(answer) => answer,
        Err(_) => match futures::executor::block_on(task) {
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            _ => unreachable!("the runtime lives as long as the process"),
        },
    }
}

/// Starts something on those threads and does not wait.
pub(crate) fn start(work: impl Future<Output = ()> + Send + 'static) {
    drop(runtime().spawn(work));
}
