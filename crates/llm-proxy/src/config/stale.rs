//! Generated files that are checked in: a test tells when one is stale, and `UPDATE=1` writes it anew.

use std::path::Path;

/// Compares the repository's file at `path` with what it should be.
pub(crate) fn check(path: &str, expected: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    if crate::base::env::var("UPDATE").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, expected).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == expected,
        "{path} is stale; run `UPDATE=1 cargo test -p llm-proxy`"
    );
}
