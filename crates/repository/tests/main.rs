//! The engine seen from outside, with the stock tool as an independent witness.

mod cut_off;
mod damage;
mod folders;
mod pruning;
mod repairing;
mod rewriting;
mod support;
mod virtual_trees;
