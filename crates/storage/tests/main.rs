//! One conformance suite, run whole against every store.

mod conformance;
mod control;
mod faults;
mod refusals;
mod remote;
mod suite;
mod versions;
