//! `llm-dialect` is pure: what it says depends on its input alone, so it can be tested and fuzzed in seconds.

use super::Finding;
use super::paths;
use super::source::{Source, numbered};

/// Crates of I/O and of async; none of them in the manifest, none in the code.
const IMPURE_CRATES: &[&str] = &[
    "tokio",
    "hyper",
    "hyper-util",
    "http-body",
    "tracing",
    "parking_lot",
    "socket2",
];

/// Doors of the standard library to the world outside.
const DOORS: &[&str] = &[
    "fs",
    "env",
    "net",
    "process",
    "thread",
    "time::Instant",
    "time::SystemTime",
];

/// The code of `llm-dialect` names neither [`IMPURE_CRATES`] nor [`DOORS`].
pub(super) fn code(source: &Source) -> Vec<Finding> {
    if source.inside("llm-dialect").is_none() {
        return Vec::new();
    }
    let doors = paths::below(source, "std")
        .into_iter()
        .filter(|(_, path)| is_door(path));
    let crates = IMPURE_CRATES.iter().flat_map(|name| {
        let name = name.replace('-', "_");
        paths::below(source, &name)
            .into_iter()
            .map(move |(line, path)| (line, format!("{name}::{path}")))
    });
    doors
        .map(|(line, path)| (line, format!("std::{path}")))
        .chain(crates)
        .map(|(line, path)| Finding::new(source, line, format!("`{path}` in llm-dialect, which is pure")))
        .collect()
}

fn is_door(path: &str) -> bool {
    DOORS
        .iter()
        .any(|door| path == *door || path.strip_prefix(door).is_some_and(|rest| rest.starts_with("::")))
}

/// The manifest of `llm-dialect` takes none of [`IMPURE_CRATES`].
pub(super) fn manifest(source: &Source) -> Vec<Finding> {
    if source.path != "crates/llm-dialect/Cargo.toml" {
        return Vec::new();
    }
    let lines = numbered(&source.text).filter_map(|(line, text)| {
        let name = text.split(['.', '=', ' ']).next()?;
        IMPURE_CRATES.contains(&name).then_some((line, name))
    });
    lines
        .map(|(line, name)| {
            Finding::new(
                source,
                line,
                format!("llm-dialect is pure and may not use `{name}`"),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::source::source;
    use super::*;

    #[test]
    fn the_dialects_have_no_door_to_the_world() {
        for (text, findings) in [
            ("use std::time::Instant;", 1),
            ("use std::{fs::File, time::{Duration, SystemTime}};", 2),
            ("let home = std::env::var_os(name);", 1),
            ("tokio::spawn(task);", 1),
            ("use http_body::Body;", 1),
            ("use std::time::Duration;", 0),
            ("use std::environment::X;", 0),
            ("/// Unlike `tokio::spawn`.\nfn f() {}", 0),
        ] {
            assert_eq!(
                code(&source("crates/llm-dialect/src/a.rs", text)).len(),
                findings,
                "{text}"
            );
        }
    }

    #[test]
    fn other_crates_may_do_io() {
        assert!(code(&source("crates/llm-sim/src/a.rs", "use std::net::TcpStream;")).is_empty());
    }

    #[test]
    fn the_manifest_takes_no_crate_of_io() {
        let text = "[dependencies]\nbytes.workspace = true\ntokio.workspace = true\nhyper = \"1\"\n";
        let lines: Vec<usize> = manifest(&source("crates/llm-dialect/Cargo.toml", text))
            .iter()
            .map(|f| f.line)
            .collect();
        assert_eq!(lines, [3, 4]);
        assert!(manifest(&source("crates/llm-sim/Cargo.toml", text)).is_empty());
    }
}
