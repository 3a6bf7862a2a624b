//! Errors say what is wrong with a template, and where.

/// The reasons for which a template can't be loaded.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The text is not YAML.
    #[error("the template is not YAML: {0}")]
    Syntax(#[from] serde_yaml_ng::Error),
    /// A part of the template is wrong, or is something that the local system does not do.
    #[error("{path}: {problem}")]
    At {
        /// The keys that lead to the part, such as `Resources.Queue.Properties.FifoQueue`.
        path: String,
        /// A sentence that says what is wrong there.
        problem: String,
    },
}

pub(crate) type Result<T> = std::result::Result<T, TemplateError>;

/// Makes the error that there is a `problem` at `path`.
pub(crate) fn at(path: impl Into<String>, problem: impl Into<String>) -> TemplateError {
    TemplateError::At { path: path.into(), problem: problem.into() }
}

/// Makes the error that the local system can't do what stands at `path`.
pub(crate) fn not_supported(path: impl Into<String>) -> TemplateError {
    at(path, "not supported by the local system")
}

/// Makes the path of `key` inside `path`.
pub(crate) fn join(path: &str, key: impl std::fmt::Display) -> String {
    if path.is_empty() { key.to_string() } else { format!("{path}.{key}") }
}
