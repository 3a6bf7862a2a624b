//! A site of a test's own, with a few pages.

use std::{collections::BTreeMap, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A page of its own for each path.
type Pages = BTreeMap<String, String>;

/// Serves these pages with this content security policy for as long as the test runs, and returns
/// the address. The page of an unknown path is the one at `/`, with the status 404.
pub(crate) async fn serve(pages: &[(&str, &str)], policy: &'static str) -> String {
    let pages: Pages =
        pages.iter().map(|(path, html)| ((*path).to_owned(), (*html).to_owned())).collect();
    let pages = Arc::new(pages);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(answer(connection, pages.clone(), policy));
        }
    });
    base
}

async fn answer(mut connection: TcpStream, pages: Arc<Pages>, policy: &str) {
    let mut head = vec![0; 8192];
    let read = connection.read(&mut head).await.unwrap_or_default();
    let head = String::from_utf8_lossy(&head[..read]).into_owned();
    let path = head.split([' ', '?']).nth(1).unwrap_or_default();
    let (status, html) = match pages.get(path) {
        Some(html) => ("200 OK", html.as_str()),
        None if path == "/favicon.ico" => ("200 OK", ""),
        None => ("404 Not Found", pages.get("/").map(String::as_str).unwrap_or_default()),
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\n\
         content-security-policy: {policy}\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{html}",
        html.len()
    );
    let _ = connection.write_all(answer.as_bytes()).await;
}
