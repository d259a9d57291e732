//! Files that the config names: they must be there, and be what they are meant to be.

use std::path::Path;

use crate::config::fields::backends::{BACKEND, TLS as BACKEND_TLS};
use crate::config::fields::clients::TLS;
use crate::config::fields::logging::PRICES;
use crate::config::fields::prompts::PROMPT;
use crate::config::findings::Findings;
use crate::config::source;
use crate::config::tree::Node;
use crate::config::view::View;

/// More than any chain of certificates.
const PEM: u64 = 4 << 20;

pub(super) fn check(top: &View<'_>, dir: &Path, findings: &mut Findings<'_>) {
    let tls = top.section("tls", &TLS);
    pem(tls.get("cert"), "CERTIFICATE-----", dir, findings);
    pem(tls.get("key"), "PRIVATE KEY-----", dir, findings);
    if let Some(key) = tls
        .get("key")
        .filter(|key| key.text().is_some_and(|path| is_open(&dir.join(path))))
    {
        findings.warn(
            key.span,
            "everybody on this machine can read the private key; `chmod 600` it",
        );
    }
    for backend in top.sections("backends", &BACKEND) {
        pem(
            backend.section("tls", &BACKEND_TLS).get("ca"),
            "CERTIFICATE-----",
            dir,
            findings,
        );
    }
    there(
        top.section("prices", &PRICES).get("file"),
        Path::is_file,
        "file",
        (dir, findings),
    );
    prompts(top, dir, findings);
}

fn prompts(top: &View<'_>, dir: &Path, findings: &mut Findings<'_>) {
    for item in top.sections("system_prompts", &PROMPT) {
        there(item.get("dir"), Path::is_dir, "folder", (dir, findings));
        there(item.get("file"), Path::is_file, "file", (dir, findings));
        let given: Vec<&str> = ["dir", "file", "text"]
            .into_iter()
            .filter(|key| item.get(key).is_some())
            .collect();
        match given.as_slice() {
            ["text"] => {}
            [only] => for_text_alone(&item, only, findings),
            _ => findings.error(item.span("text"), "give one of `dir`, `file` and `text`"),
        }
    }
}

/// The settings of a file stand in its front matter.
fn for_text_alone(item: &View<'_>, source: &str, findings: &mut Findings<'_>) {
    for key in ["position", "separator", "models", "keys", "priority", "enabled"] {
        if let Some(node) = item.get(key) {
            let message =
                format!("`{key}` goes with `text`; with `{source}` it stands in the file's front matter");
            findings.error(node.span, message);
        }
    }
}

fn there(
    node: Option<&Node>,
    test: fn(&Path) -> bool,
    what: &str,
    (dir, findings): (&Path, &mut Findings<'_>),
) {
    if let Some((node, path)) = node.and_then(|node| Some((node, node.text()?)))
        && !path.is_empty()
        && !test(&dir.join(path))
    {
        findings.error(node.span, format!("there is no {what} `{path}`"));
    }
}

/// A PEM file must hold what its last mark names.
fn pem(node: Option<&Node>, mark: &str, dir: &Path, findings: &mut Findings<'_>) {
    let Some((node, path)) = node.and_then(|node| Some((node, node.text()?))) else {
        return;
    };
    match source::bytes(&dir.join(path), PEM) {
        Ok(bytes) if String::from_utf8_lossy(&bytes).contains(mark) => {}
        Ok(_) => {
            let what = mark.trim_end_matches('-').to_lowercase();
            findings.error(
                node.span,
                format!("there is no {what} in `{path}`; it must be a PEM file"),
            );
        }
        Err(why) => findings.error(node.span, format!("cannot read `{path}`: {why}")),
    }
}

/// Whether others than its owner and group may read a file.
#[cfg(unix)]
pub(crate) fn is_open(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o004 != 0)
}

/// Whether others may read a file: not known here.
#[cfg(not(unix))]
pub(crate) fn is_open(_path: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::parse;

    /// What is said of a config with these lines, about files in `dir`.
    fn told(lines: &str, dir: &Path) -> Vec<String> {
        let least = "backends: [{name: a, protocol: openai, url: 'http://a'}]\nmodels: {m: {backend: a}}\n";
        let found = match parse(&format!("{lines}\n{least}"), "c.yaml", dir, &|_| None) {
            Ok(loaded) => loaded.warnings,
            Err(report) => report.0,
        };
        found.iter().map(ToString::to_string).collect()
    }

    #[cfg(unix)]
    #[test]
    fn certificates_and_keys_must_be_there_and_be_what_they_are_called() {
        use std::os::unix::fs::PermissionsExt;
        let dir = std::env::temp_dir().join(format!("llm-proxy-pem-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        for (file, text, mode) in [
            ("cert.pem", "-----BEGIN CERTIFICATE-----", 0o644),
            ("key.pem", "-----BEGIN EC PRIVATE KEY-----", 0o600),
            ("open.pem", "-----BEGIN PRIVATE KEY-----", 0o644),
        ] {
            std::fs::write(dir.join(file), text).unwrap();
            std::fs::set_permissions(dir.join(file), std::fs::Permissions::from_mode(mode)).unwrap();
        }
        for (cert, key, expected) in [
            ("cert.pem", "key.pem", None),
            (
                "key.pem",
                "key.pem",
                Some("c.yaml:1:13: there is no certificate in `key.pem`; it must be a PEM file"),
            ),
            (
                "cert.pem",
                "cert.pem",
                Some("c.yaml:1:28: there is no private key in `cert.pem`; it must be a PEM file"),
            ),
            (
                "cert.pem",
                "open.pem",
                Some("c.yaml:1:28: everybody on this machine can read the private key; `chmod 600` it"),
            ),
        ] {
            let found = told(&format!("tls: {{cert: {cert}, key: {key}}}"), &dir);
            assert_eq!(found.first().map(String::as_str), expected, "{cert} {key}");
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn prompts_and_prices_must_be_there() {
        let lines = "system_prompts: [{dir: nowhere}, {file: none.md}]\nprices: {file: none.yaml}";
        let found = told(lines, Path::new(env!("CARGO_MANIFEST_DIR")));
        assert_eq!(
            found.get(..3).unwrap_or_default(),
            [
                "c.yaml:1:24: there is no folder `nowhere`",
                "c.yaml:1:41: there is no file `none.md`",
                "c.yaml:2:16: there is no file `none.yaml`",
            ]
        );
    }
}
