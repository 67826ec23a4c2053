//! What every store behind a network shares: the threads that wait for it, the requests, and the rules for them.

mod guard;
mod http;
mod pace;
mod refusal;
mod runtime;
mod traffic;

pub(crate) use guard::check_host;
pub(crate) use http::{Http, Patience, Request, Response};
pub use pace::{Pace, Window};
pub(crate) use refusal::{Failure, Refusal, failure_of};
pub(crate) use runtime::{start, wait};
pub(crate) use traffic::Kind as TrafficKind;
pub use traffic::{Traffic, Used};
