//! A process without a file descriptor left. Alone in its binary, as the limit is the whole
//! process's.
#![cfg(all(test, unix))]
#![expect(unsafe_code, reason = "setrlimit has no safe form in std")]

use std::{fs::File, io, time::Duration};

use posthaste_domain::endpoint::url::{PublicUrl, UrlPolicy};
use posthaste_sender::{Request, Sender, code};

fn lower_the_limit_of_files(limit: libc::rlim_t) {
    let limit = libc::rlimit { rlim_cur: limit, rlim_max: limit };
    // SAFETY: setrlimit only reads the structure.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
}

#[tokio::test]
async fn the_receiver_is_not_to_blame() {
    let policy = UrlPolicy { allow_http: true, allowed: "127.0.0.0/8".parse().unwrap() };
    let sender = Sender::new(policy, "Posthaste/test").unwrap();
    let url = PublicUrl::try_from("http://127.0.0.1:9/".to_owned()).unwrap();
    lower_the_limit_of_files(64);
    let files: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    let request =
        Request { url: &url, headers: vec![], body: "{}".into(), timeout: Duration::from_secs(5) };
    let error = sender.send(request).await.result.unwrap_err();
    drop(files);
    assert_eq!((error.code, error.ours), (code::OUR_FAULT, true), "{error}");
}
