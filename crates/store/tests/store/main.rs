//! The store against an embedded DynamoDB.
#![allow(clippy::unwrap_used, reason = "this is a test")]

mod attempts;
mod buckets;
mod events;
mod health;
mod holds;
mod inserts;
mod items;
mod keys;
mod lanes;
mod limits;
mod parked;
mod portal_links;
mod reads;
mod registry_items;
mod routing;
mod runs;
mod simulations;
mod table;
mod types;
