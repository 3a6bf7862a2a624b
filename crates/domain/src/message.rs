//! The rules that hold for messages of every queue: how versions read each other, which messages
//! kill functions, and why one is given up.

pub mod dead_letter;
pub mod suspect;
pub mod version;
