//! An API Gateway HTTP API has routes:
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html>.

use std::collections::BTreeMap;

use http::Method;

use crate::http_event::percent_decode;

/// The routes of an API, each with its target: here the function that it leads to.
#[derive(Debug, Clone)]
pub struct Routes<T> {
    /// The routes in the order of their precedence, the most specific one first.
    routes: Vec<Route<T>>,
    default: Option<T>,
}

/// The route that a request takes.
#[derive(Debug, PartialEq, Eq)]
pub struct RouteMatch<'a, T> {
    /// The route key in the form in which it was given, for example `GET /webhooks/{id}`.
    pub route_key: &'a str,
    /// The target that was given with the route key.
    pub target: &'a T,
    /// The decoded values of the path's variables.
    pub path_parameters: BTreeMap<String, String>,
}

/// The reasons for which route keys can't be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// The key is neither `$default` nor `METHOD /path`, or has a variable where none can be.
    #[error("{0:?} is not a route key")]
    Malformed(String),
    /// The keys differ in nothing but the names of variables.
    #[error("the route keys {0:?} and {1:?} mean the same requests")]
    Conflict(String, String),
}

#[derive(Debug, Clone)]
struct Route<T> {
    key: String,
    /// A route without a method is one for `ANY`.
    method: Option<Method>,
    path: Vec<Segment>,
    target: T,
}

/// The variants stand in the order of precedence, which the derived `Ord` follows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Literal(String),
    Variable(String),
    /// `{name+}` takes the rest of the path.
    Greedy(String),
}

impl Segment {
    fn without_name(&self) -> Self {
        match self {
            Self::Literal(text) => Self::Literal(text.clone()),
            Self::Variable(_) => Self::Variable(String::new()),
            Self::Greedy(_) => Self::Greedy(String::new()),
        }
    }
}

const DEFAULT: &str = "$default";

impl<T> Routes<T> {
    /// Puts the routes in order.
    ///
    /// # Errors
    /// A route key is malformed, or means the same as another.
    pub fn new(routes: impl IntoIterator<Item = (String, T)>) -> Result<Self, RouteError> {
        let mut table = Self { routes: Vec::new(), default: None };
        for (key, target) in routes {
            if key == DEFAULT {
                if table.default.replace(target).is_some() {
                    return Err(RouteError::Conflict(key.clone(), key));
                }
                continue;
            }
            let route = Route::parse(key, target)?;
            if let Some(other) = table.routes.iter().find(|other| other.rank() == route.rank()) {
                return Err(RouteError::Conflict(other.key.clone(), route.key));
            }
            table.routes.push(route);
        }
        table.routes.sort_by(|a, b| a.rank().cmp(&b.rank()));
        Ok(table)
    }

    /// Finds the most specific route for a request. A literal segment wins over a variable, and a
    /// variable over a greedy one; the leftmost difference decides, and then a method wins over
    /// `ANY`. `$default` takes the requests that no route matches.
    pub fn find(&self, method: &Method, path: &str) -> Option<RouteMatch<'_, T>> {
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        let segments: Vec<_> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
        for route in &self.routes {
            if let Some(path_parameters) = route.matches(method, &segments) {
                return Some(RouteMatch {
                    route_key: &route.key,
                    target: &route.target,
                    path_parameters,
                });
            }
        }
        let target = self.default.as_ref()?;
        Some(RouteMatch { route_key: DEFAULT, target, path_parameters: BTreeMap::new() })
    }
}

impl<T> Route<T> {
    fn parse(key: String, target: T) -> Result<Self, RouteError> {
        let Some((method, path)) = parse(&key) else {
            return Err(RouteError::Malformed(key));
        };
        Ok(Self { key, method, path, target })
    }

    /// Returns the place of this route in the order of precedence. Routes of equal rank match the
    /// same requests.
    fn rank(&self) -> (Vec<Segment>, &str) {
        let path = self.path.iter().map(Segment::without_name).collect();
        // `ANY` comes after every method: "~" after every character of theirs.
        (path, self.method.as_ref().map_or("~", Method::as_str))
    }

    fn matches(&self, method: &Method, segments: &[&str]) -> Option<BTreeMap<String, String>> {
        if self.method.as_ref().is_some_and(|own| own != method) {
            return None;
        }
        let is_greedy = matches!(self.path.last(), Some(Segment::Greedy(_)));
        if segments.len() < self.path.len() || (segments.len() > self.path.len() && !is_greedy) {
            return None;
        }
        let mut parameters = BTreeMap::new();
        for (position, own) in self.path.iter().enumerate() {
            let (name, value) = match own {
                Segment::Literal(text) if percent_decode(segments[position]) == *text => continue,
                Segment::Literal(_) => return None,
                Segment::Variable(name) => (name, segments[position].to_owned()),
                Segment::Greedy(name) => (name, segments[position..].join("/")),
            };
            if value.is_empty() {
                return None;
            }
            parameters.insert(name.clone(), percent_decode(&value));
        }
        Some(parameters)
    }
}

fn parse(key: &str) -> Option<(Option<Method>, Vec<Segment>)> {
    let (method, path) = key.split_once(' ')?;
    let method = match method {
        "ANY" => None,
        "DELETE" | "GET" | "HEAD" | "OPTIONS" | "PATCH" | "POST" | "PUT" => {
            Some(method.parse().ok()?)
        }
        _ => return None,
    };
    let path: Vec<_> = path.strip_prefix('/')?.split('/').map(segment).collect::<Option<_>>()?;
    let (_, before_last) = path.split_last()?;
    let greedy_before_end = before_last.iter().any(|segment| matches!(segment, Segment::Greedy(_)));
    (!greedy_before_end).then_some((method, path))
}

fn segment(text: &str) -> Option<Segment> {
    let Some(name) = text.strip_prefix('{') else {
        return (!text.contains(['{', '}', ' ', '?'])).then(|| Segment::Literal(text.to_owned()));
    };
    let name = name.strip_suffix('}')?;
    let (name, is_greedy) = name.strip_suffix('+').map_or((name, false), |name| (name, true));
    if name.is_empty() || name.contains(['{', '}', '+']) {
        return None;
    }
    Some(if is_greedy {
        Segment::Greedy(name.to_owned())
    } else {
        Segment::Variable(name.to_owned())
    })
}

#[cfg(test)]
mod tests;
