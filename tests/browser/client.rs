//! A client that sends what no page of the console would send.

use std::time::{Duration, Instant};

use posthaste_tests::SOON;
use reqwest::{Client, Method, Response, Url, redirect::Policy};

use crate::harness::Visit;

/// Somebody with a cookie and without a browser.
pub(crate) struct Session {
    http: Client,
    base: String,
    cookie: String,
}

/// The things that a form sends besides its fields: the token and where it comes from.
#[derive(Clone, Copy)]
pub(crate) struct Proof<'a> {
    pub(crate) token: &'a str,
    pub(crate) origin: Option<&'a str>,
}

impl Session {
    /// Somebody who has not signed in.
    pub(crate) fn nobody(visit: &Visit) -> Self {
        let http = Client::builder().redirect(Policy::none()).build().unwrap();
        let base = visit.posthaste().system.urls().api.clone();
        Self { http, base, cookie: String::new() }
    }

    /// Signs in with a key.
    pub(crate) async fn signed_in(visit: &Visit, key: &str) -> Self {
        let mut session = Self::nobody(visit);
        let began = Instant::now();
        let mut answer = session.try_key(key).await;
        while answer.status() == 429 {
            assert!(began.elapsed() < SOON, "the limit of tries lets nobody in");
            tokio::time::sleep(Duration::from_millis(500)).await;
            answer = session.try_key(key).await;
        }
        assert_eq!(answer.status(), 303);
        let cookies = answer.headers().get_all("set-cookie").into_iter();
        let mut cookies = cookies.map(|cookie| cookie.to_str().unwrap());
        let cookie = cookies.find(|cookie| cookie.starts_with("posthaste-session=")).unwrap();
        assert!(cookie.contains("; HttpOnly; SameSite=Lax"), "{cookie}");
        session.cookie = cookie.split(';').next().unwrap().to_owned();
        session
    }

    /// Takes the cookie of a browser.
    pub(crate) fn with_cookie(visit: &Visit, name: &str, value: &str) -> Self {
        Self { cookie: format!("{name}={value}"), ..Self::nobody(visit) }
    }

    /// Tries once to sign in with a key.
    pub(crate) async fn try_key(&self, key: &str) -> Response {
        self.post("/console/sign-in", &[("key", key)], Proof { token: "", origin: None }).await
    }

    /// Opens a page, and returns its status and its HTML.
    pub(crate) async fn open(&self, path: &str) -> (u16, String) {
        let request = self.http.request(Method::GET, format!("{}{path}", self.base));
        let answer = request.header("cookie", &self.cookie).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Returns the token in the forms of this session, of which a page has one.
    pub(crate) async fn token(&self, page: &str) -> String {
        let (_, html) = self.open(page).await;
        let (_, rest) = html.split_once("name=\"form_token\" value=\"").expect("it has a form");
        rest.split('"').next().unwrap().to_owned()
    }

    /// Sends a form.
    pub(crate) async fn post(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        proof: Proof<'_>,
    ) -> Response {
        let given =
            [("form_token", proof.token)].into_iter().filter(|(_, token)| !token.is_empty());
        let all = fields.iter().copied().chain(given);
        let form = Url::parse_with_params("http://form/", all).unwrap();
        let mut request = self
            .http
            .request(Method::POST, format!("{}{path}", self.base))
            .header("cookie", &self.cookie)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.query().unwrap_or_default().to_owned());
        if let Some(origin) = proof.origin {
            request = request.header("origin", origin);
        }
        request.send().await.unwrap()
    }

    /// Returns the status of a form.
    pub(crate) async fn status(&self, path: &str, proof: Proof<'_>) -> u16 {
        self.post(path, &[], proof).await.status().as_u16()
    }
}
