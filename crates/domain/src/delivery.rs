//! A delivery is one event on its way to one webhook: the task that carries it, the requests that
//! are made for it, and its history.

pub mod answered;
pub mod attempt;
pub mod companions;
pub mod format;
pub mod halving;
pub mod history;
pub mod log;
pub mod made;
pub mod parked;
pub mod release;
pub mod replay;
pub mod request;
pub mod sent;
pub mod sequence;
pub mod shared;
pub mod signature;
pub mod task;
