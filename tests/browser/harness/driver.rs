//! A running driver (chromedriver), and the browsers that it starts.
//!
//! A shell leads the process group of the driver and of all browsers. It waits for the end of its
//! standard input, which comes when the [`Driver`] is dropped, and also when the tests' process is
//! killed. Then it kills the whole group.

use std::{
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
};

use posthaste_tests::SOON;
use serde_json::json;
use tempfile::TempDir;

use super::{programs::Programs, web_driver::WebDriver};

const LEAD: &str = r#""$@" 2>&1 </dev/null & exec >/dev/null 2>&1; read -r _; kill -s KILL 0"#;

/// The switches of a browser that runs without a screen, without a sandbox (tests may run as root)
/// and without calls of its own.
const SWITCHES: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// A running driver. Dropping it ends the driver and every browser that it started.
pub(crate) struct Driver {
    leader: Child,
    url: String,
    browser: String,
    /// The home directory and the temporary files of the driver and its browsers, with the
    /// browsers' profiles.
    _home: TempDir,
}

impl Driver {
    /// Starts the driver on a free port.
    pub(crate) fn start(programs: &Programs) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut leader = Command::new("sh")
            .args(["-c", LEAD, "sh"])
            .arg(&programs.driver)
            .arg("--port=0")
            .envs(["HOME", "TMPDIR"].map(|name| (name, home.path())))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("sh can be run");
        let said = BufReader::new(leader.stdout.take().unwrap());
        let (tell, told) = mpsc::channel();
        // The thread reads on until the end, so that the driver never waits for its reader.
        thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                if let Some(port) = port_in(&line) {
                    let _ = tell.send(port);
                }
            }
        });
        let browser = programs.browser.display().to_string();
        let mut driver = Self { leader, url: String::new(), browser, _home: home };
        let port = told.recv_timeout(SOON).expect("chromedriver has started and names its port");
        driver.url = format!("http://127.0.0.1:{port}");
        driver
    }

    /// Starts a browser with an empty profile.
    pub(crate) async fn browser(&self) -> WebDriver {
        let wanted = json!({
            "browserName": "chrome",
            "goog:chromeOptions": { "binary": self.browser, "args": SWITCHES },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" }
        });
        WebDriver::start(&self.url, wanted).await.expect("the browser starts")
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.leader.stdin.take());
        let _ = self.leader.wait();
    }
}

/// Reads the port from a line such as `ChromeDriver was started successfully on port 9515.`
fn port_in(line: &str) -> Option<u16> {
    let (_, rest) = line.split_once("successfully on port ")?;
    rest.trim_end_matches('.').parse().ok()
}
