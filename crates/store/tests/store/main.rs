//! The store against an embedded DynamoDB.
#![allow(clippy::unwrap_used, reason = "this is a test")]

mod attempts;
mod events;
mod health;
mod keys;
mod lanes;
mod limits;
mod parked;
mod publishing;
mod reads;
mod routing;
mod table;
mod types;
