//! End-to-end tests: each starts the whole system with real function processes, and talks to it as its users do.
#![cfg(test)]

mod api;
mod faults;
mod hot_path;
mod isolation;
mod local;
mod main_job;
mod retries;
mod samples;
