//! The engine seen from outside, with the stock tool as an independent witness.

mod damage;
mod damage_matrix;
mod faults;
mod folders;
mod fuzzing;
mod golden;
mod model;
mod network;
mod pruning;
mod repairing;
mod rewriting;
mod support;
mod taking_turns;
mod virtual_trees;
