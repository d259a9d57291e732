//! The layers of `llm-proxy`: a module uses only those below its own, and none beside it.

use super::Finding;
use super::paths;
use super::source::Source;

/// From the bottom up; the modules of one row do not know of one another.
const LAYERS: &[&[&str]] = &[
    &["base", "wire"],
    &["config"],
    &["routing", "health", "limits", "prompts", "prices"],
    &["upstream", "observe", "cluster"],
    &["state"],
    &["pipeline"],
    &["server"],
    &["admin"],
    &["telemetry"],
    &["app"],
    &["cli"],
];

/// Each `crate::x` of a module of `llm-proxy` points downwards, and each module has a layer.
pub(super) fn layers(source: &Source) -> Vec<Finding> {
    let Some(inside) = source.inside("llm-proxy") else {
        return Vec::new();
    };
    let own = top(inside);
    if matches!(own, "lib" | "main" | "bin") {
        return Vec::new();
    }
    let Some(height) = height(own) else {
        return vec![Finding::new(
            source,
            1,
            format!("`{own}` has no layer: give it one in xtask's `layers`"),
        )];
    };
    let used = paths::below(source, "crate").into_iter();
    used.filter_map(|(line, path)| Some((line, objection(own, height, &path)?)))
        .map(|(line, what)| Finding::new(source, line, what))
        .collect()
}

fn objection(own: &str, height: usize, path: &str) -> Option<String> {
    let other = path.split("::").next()?;
    let theirs = self::height(other)?;
    if other == own || theirs < height {
        return None;
    }
    let place = if theirs == height { "beside" } else { "above" };
    Some(format!(
        "`{own}` uses `crate::{other}`, a layer {place} its own: let them meet higher up"
    ))
}

/// The top-level module that a path below `src` belongs to.
fn top(inside: &str) -> &str {
    inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs")
}

fn height(module: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&module))
}

#[cfg(test)]
mod tests {
    use super::super::source::source;
    use super::*;

    #[test]
    fn layers_are_used_downwards_only() {
        for (why, inside, text, findings) in [
            (
                "below is fine",
                "routing/plan.rs",
                "use crate::{base::Class, config::Config};",
                0,
            ),
            ("itself is fine", "routing/plan.rs", "use crate::routing::fit;", 0),
            (
                "beside is not",
                "routing/plan.rs",
                "use crate::health::Registry;",
                1,
            ),
            (
                "above is not",
                "health/mod.rs",
                "fn f(s: &crate::state::Live) {}",
                1,
            ),
            (
                "each use is told",
                "base/mod.rs",
                "use crate::{config::A, state::B};",
                2,
            ),
            (
                "an item of the crate's root has no layer",
                "base/mod.rs",
                "use crate::VERSION;",
                0,
            ),
            (
                "talk is free",
                "base/mod.rs",
                "/// As [`crate::server`] does.\nfn f() {}",
                0,
            ),
            (
                "tests may look up",
                "base/mod.rs",
                "#[cfg(test)]\nuse crate::server::X;",
                0,
            ),
            (
                "the root of the library sees all",
                "lib.rs",
                "use crate::cli::X;",
                0,
            ),
            ("a module without a layer is told", "magic.rs", "", 1),
        ] {
            let file = source(&format!("crates/llm-proxy/src/{inside}"), text);
            assert_eq!(layers(&file).len(), findings, "{why}");
        }
    }

    #[test]
    fn other_crates_have_no_layers() {
        assert!(layers(&source("crates/llm-sim/src/magic.rs", "use crate::cli::X;")).is_empty());
    }

    #[test]
    fn a_finding_points_at_the_use() {
        let file = source(
            "crates/llm-proxy/src/base/a.rs",
            "//! A.\n\nuse crate::config::X;\n",
        );
        assert_eq!(layers(&file).first().map(|finding| finding.line), Some(3));
    }
}
