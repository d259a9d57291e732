//! Tells the program which commit it is built from, for `--version`, and the linker in which order functions lie.

#![expect(
    clippy::disallowed_methods,
    reason = "cargo tells a build script all by variables"
)]

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() -> io::Result<()> {
    let mut out = io::stdout();
    name_commit(&mut out)?;
    lay_out(&mut out)
}

fn name_commit(out: &mut impl Write) -> io::Result<()> {
    // Whoever packages the program without its history names the commit himself.
    writeln!(out, "cargo:rerun-if-env-changed=LLM_PROXY_COMMIT")?;
    for file in ["../../.git/HEAD", "../../.git/refs/heads/main"] {
        if Path::new(file).exists() {
            writeln!(out, "cargo:rerun-if-changed={file}")?;
        }
    }
    if env::var_os("LLM_PROXY_COMMIT").is_none()
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

/// Functions that run lie together in the release binary, in the order of `layout.ld`, which `scripts/layout` writes.
///
/// Where the linker would not take the list, the binary is the same but for the order: this never fails a build.
fn lay_out(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "cargo:rerun-if-changed=layout.ld")?;
    if let Some(argument) = list()
        && is_release()
        && links_with(&argument).unwrap_or(false)
    {
        writeln!(out, "cargo:rustc-link-arg-bins={argument}")?;
    }
    Ok(())
}

/// The linker's argument that names the list, on systems whose linkers know such lists.
fn list() -> Option<String> {
    let list = Path::new(&env::var_os("CARGO_MANIFEST_DIR")?).join("layout.ld");
    let linux = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux");
    linux.then_some(format!("-T{}", list.to_str()?))
}

/// Builds for tests are to be quick. The profile's folder tells them from a release; the variable `PROFILE` does not.
fn is_release() -> bool {
    let out = env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default();
    out.ancestors()
        .nth(3)
        .is_some_and(|profile| profile.ends_with("release"))
}

/// Whether this very compiler with these very flags links a program so.
fn links_with(argument: &str) -> Option<bool> {
    let out = PathBuf::from(env::var_os("OUT_DIR")?);
    let source = out.join("empty.rs");
    std::fs::write(&source, "fn main() {}").ok()?;
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let linker = env::var_os("RUSTC_LINKER").map(|linker| [OsString::from("-Clinker"), linker]);
    let built = Command::new(env::var_os("RUSTC")?)
        .args(["--crate-type=bin", "--target", &env::var("TARGET").ok()?])
        .args(flags.split('\x1f').filter(|flag| !flag.is_empty()))
        .args(linker.into_iter().flatten())
        .arg(format!("-Clink-arg={argument}"))
        // Only lld knows this one. Others would make two sections of one, or fail.
        .arg("-Clink-arg=-Wl,--no-warn-symbol-ordering")
        .arg("-o")
        .arg(out.join("empty"))
        .arg(source)
        .output()
        .ok()?;
    Some(built.status.success())
}
