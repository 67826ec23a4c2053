//! Importers seen from outside: what is found, what is named, and that no bytes make them panic.

mod containers;
mod fuzzing;
mod matrix;
mod readers;
mod tables;
mod taken;
