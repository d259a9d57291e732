//! The yard's own tool: `tidy` checks the repository's rules, `cases` writes the page of tested cases,
//! `bench` measures the proxy beside nginx, `overload` what becomes of it under far too much, `soak`
//! whether anything is lost while all around it breaks.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

mod bench;
mod cases;
mod files;
mod out;
mod tidy;

const USAGE: &str = "usage: xtask tidy | cases | bench [--quick] [--rows WORD] [--proxy FILE] [--dir DIR]
                  | overload [--seconds N] [--rest N] [--proxy FILE] [--dir DIR]
                  | soak [--minutes N] [--quick] [--seed N] [--sabotage LIE] [--proxy FILE] [--dir DIR]";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            out::complain(&format!("xtask: {error:#}"));
            ExitCode::from(2)
        }
    }
}

/// Runs the task that the first word names; `false` means that it ran and found fault.
fn run(words: &[String]) -> Result<bool> {
    match words.split_first() {
        Some((task, [])) if task == "tidy" => tidy_up(),
        Some((task, [])) if task == "cases" => cases::write(&files::root()).map(|()| true),
        Some((task, options)) if task == "bench" => {
            let options = bench::Options::parse(options).context(USAGE)?;
            bench::run(&options).map(|()| true)
        }
        Some((task, options)) if task == "overload" => {
            let options = bench::overload::Options::parse(options).context(USAGE)?;
            bench::overload::run(&options).map(|()| true)
        }
        Some((task, options)) if task == "soak" => {
            let options = bench::soak::Options::parse(options).context(USAGE)?;
            bench::soak::run(&options)
        }
        // No task for a person: the processes that a soak starts.
        Some((task, words)) if task == "soak-backend" => bench::soak::backend::run(words).map(|()| true),
        _ => bail!(USAGE),
    }
}

fn tidy_up() -> Result<bool> {
    let report = tidy::check(&files::root())?;
    for finding in &report.findings {
        out::line(&finding.to_string());
    }
    out::line(&format!(
        "tidy: {} files, {} findings",
        report.files,
        report.findings.len()
    ));
    Ok(report.findings.is_empty())
}
