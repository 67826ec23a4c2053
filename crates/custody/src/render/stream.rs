//! What a renderer sends, received on either side of the threads.

use std::sync::Arc;

use keepsake_record::{OwnerId, Sha256Digest};
use tokio::sync::mpsc;

use super::Rendered;
use crate::{CustodyError, CustodyResult};

/// What is sent: a piece, or `None` once all were sent.
pub(crate) type Message<T = Rendered> = CustodyResult<Option<T>>;

/// Receives what a reader of the vault sends. One that ends without saying so has died: that is an error, not the end.
pub(crate) struct RenderedStream<T = Rendered> {
    messages: mpsc::Receiver<Message<T>>,
    ended: bool,
}

impl<T> RenderedStream<T> {
    pub fn new(messages: mpsc::Receiver<Message<T>>) -> Self {
        Self { messages, ended: false }
    }

    pub async fn next(&mut self) -> Option<CustodyResult<T>> {
        if self.ended {
            return None;
        }
        let message = self.messages.recv().await;
        self.take(message)
    }

    /// As [`RenderedStream::next`], on a thread that may block.
    pub fn blocking_next(&mut self) -> Option<CustodyResult<T>> {
        if self.ended {
            return None;
        }
        let message = self.messages.blocking_recv();
        self.take(message)
    }

    fn take(&mut self, message: Option<Message<T>>) -> Option<CustodyResult<T>> {
        let next = match message {
            Some(message) => message.transpose(),
            None => Some(Err(CustodyError::Damaged("reading the vault ended before its end".into()))),
        };
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

/// Opens originals for the engine and for exports.
#[derive(Clone)]
pub(crate) struct MediaReader {
    pub vault: Arc<keepsake_vault::Vault>,
    pub owner: OwnerId,
}

impl MediaReader {
    pub fn open(&self, digest: &Sha256Digest) -> std::io::Result<Box<dyn std::io::Read>> {
        Ok(Box::new(self.vault.open_medium(self.owner, digest).map_err(std::io::Error::other)?))
    }
}
