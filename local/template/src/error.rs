//! What is wrong with a template, and where.

/// Why a template can't be loaded.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The text is not YAML.
    #[error("the template is not YAML: {0}")]
    Syntax(#[from] serde_yaml_ng::Error),
    /// A part of the template is wrong, or is something that the local system does not do.
    #[error("{path}: {problem}")]
    At {
        /// Where, as the keys that lead there: `Resources.Queue.Properties.FifoQueue`.
        path: String,
        /// What is wrong.
        problem: String,
    },
}

pub(crate) type Result<T> = std::result::Result<T, TemplateError>;

/// `problem` at `path`.
pub(crate) fn at(path: impl Into<String>, problem: impl Into<String>) -> TemplateError {
    TemplateError::At { path: path.into(), problem: problem.into() }
}

/// The local system does not do what stands at `path`.
pub(crate) fn not_supported(path: impl Into<String>) -> TemplateError {
    at(path, "not supported by the local system")
}

/// The path of `key` inside `path`.
pub(crate) fn join(path: &str, key: impl std::fmt::Display) -> String {
    if path.is_empty() { key.to_string() } else { format!("{path}.{key}") }
}
