use super::*;

fn routes(keys: &[&str]) -> Routes<()> {
    Routes::new(keys.iter().map(|key| ((*key).to_owned(), ()))).unwrap()
}

fn key<'a>(routes: &'a Routes<()>, method: Method, path: &str) -> Option<&'a str> {
    routes.find(&method, path).map(|found| found.route_key)
}

/// These are the examples of AWS's developer guide ("Routing API requests").
#[test]
fn the_most_specific_route_wins() {
    let routes = routes(&[
        "ANY /{proxy+}",
        "$default",
        "GET /pets/{proxy+}",
        "GET /pets/dog/{id}",
        "GET /pets/dog/1",
    ]);
    assert_eq!(key(&routes, Method::GET, "/pets/dog/1"), Some("GET /pets/dog/1"));
    assert_eq!(key(&routes, Method::GET, "/pets/dog/2"), Some("GET /pets/dog/{id}"));
    assert_eq!(key(&routes, Method::GET, "/pets/cat/1"), Some("GET /pets/{proxy+}"));
    assert_eq!(key(&routes, Method::POST, "/test/5"), Some("ANY /{proxy+}"));
    assert_eq!(key(&routes, Method::POST, "/pets/dog/1"), Some("ANY /{proxy+}"));
    assert_eq!(key(&routes, Method::GET, "/"), Some("$default"));
}

#[test]
fn a_method_wins_over_any_on_the_same_path_only() {
    let routes = routes(&["ANY /a", "GET /a", "GET /{x}"]);
    assert_eq!(key(&routes, Method::GET, "/a"), Some("GET /a"));
    assert_eq!(key(&routes, Method::PUT, "/a"), Some("ANY /a"));
    assert_eq!(key(&routes, Method::PUT, "/b"), None);
}

#[test]
fn without_a_default_route_nothing_else_matches() {
    let routes = routes(&["POST /api/v1/events", "ANY /api/v1/webhooks/{proxy+}"]);
    assert_eq!(key(&routes, Method::GET, "/api/v1/events"), None);
    assert_eq!(key(&routes, Method::POST, "/api/v1/events/"), None);
    assert_eq!(key(&routes, Method::GET, "/api/v1/webhooks"), None);
    assert_eq!(key(&routes, Method::GET, "/api/v1/webhooks/"), None);
}

#[test]
fn variables_are_given_decoded() {
    let routes = routes(&["GET /webhooks/{id}/deliveries/{delivery}", "ANY /files/{path+}"]);
    let found = routes.find(&Method::GET, "/webhooks/a%20b/deliveries/c%2Fd?limit=1").unwrap();
    assert_eq!(
        found.path_parameters,
        BTreeMap::from([
            ("delivery".to_owned(), "c/d".to_owned()),
            ("id".to_owned(), "a b".to_owned())
        ])
    );
    let found = routes.find(&Method::DELETE, "/files/x/y%20z/").unwrap();
    assert_eq!(found.path_parameters, BTreeMap::from([("path".to_owned(), "x/y z/".to_owned())]));
}

#[test]
fn a_literal_matches_however_it_is_encoded() {
    assert_eq!(
        key(&routes(&["GET /api/events"]), Method::GET, "/api/%65vents"),
        Some("GET /api/events")
    );
}

#[test]
fn the_root_is_a_route_of_its_own() {
    let routes = routes(&["GET /", "GET /{id}"]);
    assert_eq!(key(&routes, Method::GET, "/"), Some("GET /"));
    assert_eq!(key(&routes, Method::GET, "/x"), Some("GET /{id}"));
}

#[test]
fn malformed_route_keys_are_refused() {
    for key in [
        "",
        "GET",
        "/a",
        "get /a",
        "FETCH /a",
        "GET a",
        "GET /{a",
        "GET /a{b}",
        "GET /{}",
        "GET /{+}",
        "GET /{a+}/b",
    ] {
        let error = Routes::new([(key.to_owned(), ())]).unwrap_err();
        assert_eq!(error, RouteError::Malformed(key.to_owned()));
    }
}

#[test]
fn route_keys_for_the_same_requests_are_refused() {
    let error =
        Routes::new(["GET /a/{x}", "GET /a/{y}"].map(|key| (key.to_owned(), ()))).unwrap_err();
    assert_eq!(error, RouteError::Conflict("GET /a/{x}".to_owned(), "GET /a/{y}".to_owned()));
    let error = Routes::new(["$default", "$default"].map(|key| (key.to_owned(), ()))).unwrap_err();
    assert_eq!(error, RouteError::Conflict("$default".to_owned(), "$default".to_owned()));
}
