//! Properties of what others see of Posthaste: ids, cursors and signatures.
#![allow(clippy::unwrap_used, reason = "this is a test")]

mod cursors;
mod ids;
mod signatures;
