//! These tests use the console's pages as people do, in a real Chromium, with a local system of
//! real function processes behind them.
#![cfg(test)]

mod harness;
mod sign_in;
mod tour;
