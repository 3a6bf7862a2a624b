//! The documents that a browser loaded, and the files that came with them, as the browser's
//! protocol of its network tells them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The documents and files that one browser has loaded so far.
#[derive(Default)]
pub(crate) struct Loads {
    documents: Vec<Document>,
    /// The bytes that came over the network for each request that has ended, with their headers.
    bytes: BTreeMap<String, u64>,
    /// Requests for files, by id: their document's loader and their URL.
    files: BTreeMap<String, (String, String)>,
}

/// A document that was loaded.
pub(crate) struct Document {
    pub(crate) request: String,
    pub(crate) url: String,
    pub(crate) status: u64,
    /// The HTML as it was served, once it has been read.
    pub(crate) html: Option<String>,
}

impl Loads {
    /// Takes a line of the browser's log. Returns whether it was about a new document.
    pub(crate) fn take(&mut self, line: &str) -> bool {
        let Ok(entry) = serde_json::from_str::<Value>(line) else { return false };
        let (message, about) = (&entry["message"]["method"], &entry["message"]["params"]);
        let request = text(&about["requestId"]);
        match message.as_str() {
            Some("Network.requestWillBeSent") if about["type"] != "Document" => {
                let file = (text(&about["loaderId"]), text(&about["request"]["url"]));
                self.files.insert(request, file);
            }
            Some("Network.loadingFinished") => {
                let bytes = about["encodedDataLength"].as_f64().unwrap_or_default();
                self.bytes.insert(request, bytes as u64);
            }
            Some("Network.responseReceived") if is_page(about) => {
                let status = about["response"]["status"].as_u64().unwrap_or_default();
                let url = text(&about["response"]["url"]);
                self.documents.push(Document { request, url, status, html: None });
                return true;
            }
            _ => {}
        }
        false
    }

    /// Returns the document that was loaded last.
    pub(crate) fn last(&mut self) -> Option<&mut Document> {
        self.documents.last_mut()
    }

    /// Returns all documents.
    pub(crate) fn documents(&self) -> &[Document] {
        &self.documents
    }

    /// Tells what a document and its files weighed: a file that the browser had has no bytes.
    pub(crate) fn weight(&self, document: &Document) -> Value {
        let of_document = self.files.iter().filter(|(_, (loader, _))| *loader == document.request);
        let files: BTreeMap<&str, u64> =
            of_document.map(|(request, (_, url))| (url.as_str(), self.bytes_of(request))).collect();
        let bytes = self.bytes_of(&document.request);
        json!({ "url": document.url, "status": document.status, "bytes": bytes, "files": files })
    }

    fn bytes_of(&self, request: &str) -> u64 {
        self.bytes.get(request).copied().unwrap_or_default()
    }
}

fn is_page(about: &Value) -> bool {
    let url = about["response"]["url"].as_str().unwrap_or_default();
    about["type"] == "Document" && url.starts_with("http")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
