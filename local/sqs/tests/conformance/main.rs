//! The server is held against Amazon's API reference, over HTTP and through Amazon's own SDK.

#![cfg(test)]

mod attributes;
mod batches;
mod dead_letters;
mod delivery;
mod lifecycle;
mod long_polling;
mod moves;
mod protocol;
mod receipts;
mod sending;
mod server;
