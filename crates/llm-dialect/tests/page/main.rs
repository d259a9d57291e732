//! `docs/reference/conversion.md`: what converts how, found out by converting. Each row is a field of a client's request;
//! its cells are what a request with the field becomes, beside one without it.
//!
//! `UPDATE=1 cargo test -p llm-dialect --test page` writes the page.
#![cfg(test)]

mod outcome;
mod rows;

use std::fmt::Write as _;
use std::path::PathBuf;

use llm_dialect::Dialect;

use outcome::outcome;
use rows::{Row, rows};

const INTRO: &str = "# Conversion, field by field

Made by the code: each cell is what a request with that field becomes beside one without it, as a test finds out by
converting both. How conversion works, and what it does with reasoning and tools, is said in
[conversion](../concepts/conversion.md).

| a cell says | |
| --- | --- |
| `name: value` | what stands in the backend's request; several where one field becomes several |
| = | the same field with the same value |
| ≠ | changed, and named in `x-llm-proxy-warnings` |
| named | left out, and named there |
| - | left out without a word: it has no effect there |
| **400** | refused, where no other candidate can express it |

The models asked are `gpt-4.1` (chat, responses) and `claude-sonnet-4-5` (messages); models differ in what they take
(efforts, temperatures, limits), and the converter follows what it knows of them by their names.
";

#[test]
fn the_page_says_what_the_code_does() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/conversion.md");
    let page = page();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == page,
        "stale: UPDATE=1 cargo test -p llm-dialect --test page"
    );
}

fn page() -> String {
    let mut page = INTRO.to_owned();
    for from in Dialect::ALL {
        let others: Vec<Dialect> = Dialect::ALL.into_iter().filter(|to| *to != from).collect();
        let _ = write!(
            page,
            "\n## A {from} client\n\n| field | to {} | to {} |\n| --- | --- | --- |\n",
            others[0], others[1]
        );
        for row in rows(from) {
            let cells: Vec<String> = others.iter().map(|to| outcome(from, *to, &row)).collect();
            let Row { name, sample, .. } = row;
            let shown = if sample.len() > 60 {
                String::new()
            } else {
                format!(": {sample}")
            };
            let _ = writeln!(page, "| `{name}{shown}` | {} | {} |", cells[0], cells[1]);
        }
    }
    page
}
