//! The only place that reads the environment.

/// The value of an environment variable, if it is set and is UTF-8.
#[expect(clippy::disallowed_methods, reason = "this is the environment's home")]
pub fn var(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
