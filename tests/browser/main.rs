//! These tests use the console's pages as people do, in a real Chromium, with a local system of
//! real function processes behind them.
#![cfg(test)]

mod client;
mod deliveries;
mod deployment;
mod events;
mod harness;
mod hostile;
mod matrix;
mod portal;
mod scenery;
mod security;
mod send_test;
mod settings;
mod sign_in;
mod simulations;
mod tour;
mod types;
mod webhooks;
