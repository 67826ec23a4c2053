//! Sets books as PDF: PDF/A-3a for archives, PDF/UA-1 for everybody's eyes and ears, with typst in a closed world.
//!
//! Nothing that a memory says is ever typst's source: a fixed template reads it as data. The template can reach the files of its volume
//! and nothing else: no disk, no packages, no plugins, no clock. People's own templates (`template.rs`) are set in the same world. What no font can show is printed as its number and counted.

mod coverage;
mod fonts;
mod setting;
mod template;
mod tree;
mod world;

pub use self::{fonts::Fonts, setting::Press};
