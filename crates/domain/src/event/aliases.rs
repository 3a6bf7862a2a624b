//! The other names by which the documents call the built-in types.

include!(concat!(env!("OUT_DIR"), "/aliases.rs"));

/// Returns the one name of a built-in type of which this is an alias; none if it is no alias.
pub(super) fn one_name(alias: &str) -> Option<&'static str> {
    let found = ALIASES.binary_search_by_key(&alias, |(alias, _)| alias);
    found.ok().map(|at| ALIASES[at].1)
}
