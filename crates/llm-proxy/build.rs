//! Tells the program which commit it is built from, for `--version`.

use std::io::Write;
use std::process::Command;

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout();
    // Whoever packages the program without its history names the commit himself.
    writeln!(out, "cargo:rerun-if-env-changed=LLM_PROXY_COMMIT")?;
    for file in ["../../.git/HEAD", "../../.git/refs/heads/main"] {
        if std::path::Path::new(file).exists() {
            writeln!(out, "cargo:rerun-if-changed={file}")?;
        }
    }
    if std::env::var_os("LLM_PROXY_COMMIT").is_none()
        && let Some(commit) = commit()
    {
        writeln!(out, "cargo:rustc-env=LLM_PROXY_COMMIT={commit}")?;
    }
    Ok(())
}

/// The commit of the checkout, if this is one.
fn commit() -> Option<String> {
    let git = Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .output()
        .ok()?;
    let commit = String::from_utf8(git.stdout).ok()?;
    (git.status.success() && !commit.trim().is_empty()).then(|| commit.trim().to_owned())
}
