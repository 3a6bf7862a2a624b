//! A site of a test's own, with a few pages.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A page for each path.
type Pages = Arc<Mutex<BTreeMap<String, String>>>;

/// A site that is there for as long as the test runs.
pub(crate) struct Site {
    /// The address without a path, such as `http://127.0.0.1:4711`.
    pub(crate) base: String,
    pages: Pages,
}

impl Site {
    /// Starts a site without pages. Those that come have this content security policy.
    pub(crate) async fn start(policy: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let pages = Pages::default();
        let served = pages.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(answer(connection, served.clone(), policy));
            }
        });
        Self { base, pages }
    }

    /// Puts a page at a path. The one at `/` stands at unknown paths too, with the status 404.
    pub(crate) fn set(&self, path: &str, html: &str) {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        pages.insert(path.to_owned(), html.to_owned());
    }

    /// Returns the address of the same site by another name of this machine. For a browser that is
    /// another site.
    pub(crate) fn by_name(&self) -> String {
        self.base.replace("127.0.0.1", "localhost")
    }
}

/// Serves these pages, and returns the address.
pub(crate) async fn serve(pages: &[(&str, &str)], policy: &'static str) -> String {
    let site = Site::start(policy).await;
    for (path, html) in pages {
        site.set(path, html);
    }
    site.base
}

async fn answer(mut connection: TcpStream, pages: Pages, policy: &str) {
    let mut head = vec![0; 8192];
    let read = connection.read(&mut head).await.unwrap_or_default();
    let head = String::from_utf8_lossy(&head[..read]).into_owned();
    let path = head.split([' ', '?']).nth(1).unwrap_or_default();
    let (status, html) = {
        let pages = pages.lock().unwrap_or_else(PoisonError::into_inner);
        match pages.get(path) {
            Some(html) => ("200 OK", html.clone()),
            None if path == "/favicon.ico" => ("200 OK", String::new()),
            None => ("404 Not Found", pages.get("/").cloned().unwrap_or_default()),
        }
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\n\
         content-security-policy: {policy}\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{html}",
        html.len()
    );
    let _ = connection.write_all(answer.as_bytes()).await;
}
