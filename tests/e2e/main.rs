//! Each of these end-to-end tests starts the whole system with real function processes, and talks
//! to it as its users do.
#![cfg(test)]

mod api;
mod call_limit;
mod cloudevents;
mod costs;
mod dataspike;
mod drain_faults;
mod event_types;
mod faults;
mod health;
mod history_waiting;
mod hot_path;
mod idempotency;
mod isolation;
mod lanes;
mod large;
mod local;
mod loops;
mod main_job;
mod pauses;
mod poison;
mod process_end;
mod programmes;
mod publish_limit;
mod publish_size;
mod rate_limits;
mod reconciliation;
mod recording;
mod replay;
mod replay_faults;
mod replay_job;
mod retries;
mod samples;
mod schemas;
mod sealed_urls;
mod secrets;
mod send_test;
mod slack;
mod spectra;
mod spektr;
mod spektr_v1;
mod straight_to_the_queue;
mod telemetry;
mod waiting;
mod webhook_calls_api;
