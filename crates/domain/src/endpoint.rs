//! An endpoint is the receiver of a webhook: where it may be, how well it answers, and how
//! deliveries wait for it.

pub mod address;
pub mod backlog;
pub mod health;
pub mod lane;
pub mod url;
