//! Access to the API: workspaces, the keys and portal links that belong to them, and how much they
//! may ask for.

pub mod api_key;
pub mod known_keys;
pub mod portal_link;
pub mod session;
pub mod tokens;
pub mod workspace;
