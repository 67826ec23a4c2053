//! One conformance suite, run whole against every store.

mod conformance;
mod faults;
mod remote;
mod suite;
