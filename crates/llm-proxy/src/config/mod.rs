//! The config file: how it is read and checked, and what the rest of the program sees of it.
//!
//! ```text
//! text --yaml--> tree --vars--> tree --shape--> (errors)    unknown keys, kinds of values
//!                                    --meaning--> (errors)  names that must exist, weak keys, addresses, files
//!                                    --prompts--> (errors)  the texts that it names, each in its own file
//!                                    --prices--> (errors)   the file of prices
//!                                    --decode--> Config
//! ```
//!
//! Each pass notes every error it finds and goes on; the file is taken only if there is none. The keys, their
//! kinds, defaults and meanings stand once, in `fields`; the JSON Schema and the reference come from there too.

#[cfg(test)]
mod broken;
pub mod database;
mod decode;
mod diagnostic;
#[cfg(test)]
mod examples;
mod fields;
mod findings;
mod formats;
mod later;
mod meaning;
mod names;
mod prices;
mod prompts;
mod reference;
mod scalars;
mod schema;
mod shape;
mod source;
#[cfg(test)]
pub(crate) mod stale;
mod tree;
pub mod types;
mod vars;
mod view;
mod yaml;

use std::path::Path;

pub(crate) use meaning::is_metadata_address;

pub use diagnostic::{Diagnostic, Report, Severity};
pub use prices::built_in_prices;
pub use prompts::template::{Piece, Template, Variable, Volatility};
pub use reference::reference;
pub use schema::{prices_schema, schema};
pub use tree::Span;
pub use types::Config;

use fields::top::TOP;
use findings::Findings;
use vars::World;

/// The largest file that is read. One with a thousand backends has a hundredth of that.
const FILE: u64 = 4 << 20;

/// A config, and what its owner should know about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The config.
    pub config: Config,
    /// Warnings, in the file's order.
    pub warnings: Vec<Diagnostic>,
}

/// Reads and checks the config file at `path`. Paths in it are relative to its folder.
///
/// The report holds every error of the file with its place, and the warnings; a file that cannot be read, or
/// is larger than 4 MiB, is one error.
pub fn load(path: &Path) -> Result<Loaded, Report> {
    let name = path.display().to_string();
    let text = source::text(path, FILE)
        .map_err(|why| Report::of_file(&name, format!("cannot read the config: {why}")))?;
    let dir = path.parent().unwrap_or(Path::new(""));
    let world = World {
        dir,
        env: &crate::base::env::var,
    };
    let mut passed = passes(&text, &name, world);
    if let Some(key) = passed.findings.exposed().map(str::to_owned)
        && meaning::is_open(path)
    {
        let message = format!("everybody on this machine can read the file, and it holds a secret (`{key}`)");
        passed
            .findings
            .warn_file(format!("{message}; `chmod 600` it, or use `${{VAR}}`"));
    }
    outcome(passed)
}

/// Checks a config that is there as text. `name` stands in messages, paths in it are relative to `dir`, and
/// `env` has the values of `${VAR}`. It reads no more than the files that the config names.
pub fn parse(
    text: &str,
    name: &str,
    dir: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Report> {
    if text.len() as u64 > FILE {
        return Err(Report::of_file(
            name,
            "cannot read the config: it is larger than 4096 KiB".to_owned(),
        ));
    }
    outcome(passes(text, name, World { dir, env }))
}

/// What the passes come to.
struct Passed<'a> {
    config: Option<Config>,
    /// What was found in the config file.
    findings: Findings<'a>,
    /// What was found in the files of prompts and prices.
    in_others: Vec<Diagnostic>,
}

fn passes<'a>(text: &'a str, name: &'a str, world: World<'_>) -> Passed<'a> {
    let mut findings = Findings::new(name, text);
    let Some(mut root) = yaml::read(text, "a config file", &mut findings) else {
        return Passed {
            config: None,
            findings,
            in_others: Vec::new(),
        };
    };
    vars::expand(&mut root, world, &mut findings);
    shape::check(&root, &TOP, &mut findings);
    meaning::check(&root, world.dir, &mut findings);
    let (prompts, mut in_others) = prompts::read(&root, world, &mut findings);
    let (prices, in_prices) = prices::read(&root, world);
    in_others.extend(in_prices);
    later::warn(&root, &mut findings);
    Passed {
        config: Some(decode::config(&root, world.dir, prompts, prices)),
        findings,
        in_others,
    }
}

/// The config with its warnings, or the report if there is an error among the findings.
fn outcome(passed: Passed<'_>) -> Result<Loaded, Report> {
    let config = passed.config;
    let mut found = passed.findings.into_diagnostics();
    found.extend(passed.in_others);
    found.sort_by_key(|one| one.severity);
    let sound = found.iter().all(|one| one.severity == Severity::Warning);
    match config {
        Some(config) if sound => Ok(Loaded {
            config,
            warnings: found,
        }),
        _ => Err(Report(found)),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_in_a_file_that_everybody_reads_is_warned_of() {
        let path = std::env::temp_dir().join(format!("llm-proxy-open-{}.yaml", std::process::id()));
        for (key, mode, warned) in [
            ("0123456789abcdef", 0o644, true),
            ("0123456789abcdef", 0o600, false),
            ("${NOT_SET_ANYWHERE:-0123456789abcdef}", 0o644, false),
        ] {
            let text = format!(
                "backends: [{{name: a, protocol: openai, url: 'http://a.example', api_key: '{key}'}}]\n\
                 models: {{m: {{backend: a}}}}\n"
            );
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let warnings = load(&path).unwrap().warnings;
            assert_eq!(!warnings.is_empty(), warned, "{key} {mode:o}");
            let told = warnings
                .iter()
                .all(|one| one.message.contains("it holds a secret (`api_key`)"));
            assert!(told && warnings.iter().all(|one| !one.render(false).contains(key)));
        }
        std::fs::remove_file(&path).unwrap();
    }
}
