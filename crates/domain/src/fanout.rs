//! The fan-out decides which webhooks get an event, and when.

pub mod delivered;
pub mod forecast;
pub mod recipients;
pub mod routing;
pub mod share;
pub mod subscription;
