//! `console`: the pages under `/console`.

#[tokio::main]
async fn main() {}
