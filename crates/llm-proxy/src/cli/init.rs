//! `llm-proxy init`: a commented starter config from the provider keys in the environment.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use super::Outcome;

/// A provider that we know: the variable of its key, and how it is reached.
struct Provider {
    variable: &'static str,
    name: &'static str,
    protocol: &'static str,
    url: &'static str,
    /// The aliases that lead to it: globs of its models' names.
    aliases: &'static [&'static str],
}

/// Sorted by how direct they are; the base URLs are those of each provider's own API documents.
const PROVIDERS: [Provider; 7] = [
    Provider {
        variable: "ANTHROPIC_API_KEY",
        name: "anthropic",
        protocol: "anthropic",
        url: "https://api.anthropic.com",
        aliases: &["claude-*"],
    },
    Provider {
        variable: "OPENAI_API_KEY",
        name: "openai",
        protocol: "openai",
        url: "https://api.openai.com/v1",
        aliases: &["gpt-*", "o3*", "o4*", "text-embedding-*"],
    },
    Provider {
        variable: "DEEPSEEK_API_KEY",
        name: "deepseek",
        protocol: "openai",
        url: "https://api.deepseek.com/v1",
        aliases: &["deepseek-*"],
    },
    Provider {
        variable: "MISTRAL_API_KEY",
        name: "mistral",
        protocol: "openai",
        url: "https://api.mistral.ai/v1",
        aliases: &["mistral-*", "codestral-*"],
    },
    Provider {
        variable: "XAI_API_KEY",
        name: "xai",
        protocol: "openai",
        url: "https://api.x.ai/v1",
        aliases: &["grok-*"],
    },
    Provider {
        variable: "GROQ_API_KEY",
        name: "groq",
        protocol: "openai",
        url: "https://api.groq.com/openai/v1",
        aliases: &["llama-*"],
    },
    Provider {
        variable: "OPENROUTER_API_KEY",
        name: "openrouter",
        protocol: "openai",
        url: "https://openrouter.ai/api/v1",
        aliases: &["*/*"],
    },
];

const HEAD: &str = "\
# llm-proxy: what it listens on, where requests go, and under which names.
# `llm-proxy check` tells everything that is wrong with this file; docs/reference/config.md has every key.

listen: 127.0.0.1:8765            # clients: base URL http://127.0.0.1:8765/v1 (OpenAI), http://127.0.0.1:8765 (Anthropic)
# admin: {listen: 127.0.0.1:8766} # a status page and /api/status; \"off\" turns it off

# Keys that clients present. Needed as soon as `listen` is not a loopback address.
# api_keys:
#   - {name: team, key: \"${LLM_PROXY_KEY}\"}    # at least 16 characters: openssl rand -hex 24
";

const TAIL: &str = "
# What happens when a backend fails; these are the defaults.
# fallback: {max_attempts: 3, cooldown: 15s, cooldown_max: 5m}
# timeout: {connect: 5s, first_byte: 120s, idle: 90s, total: 30m}
";

/// Writes `path` from the provider keys in the environment, unless it is there (exit code 1).
pub fn run(path: &Path) -> Outcome {
    write(path, &crate::base::env::var)
}

fn write(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Outcome {
    let found = found(env);
    let text = starter(&found);
    let name = path.display();
    // `create_new` decides and creates in one step, so nothing that appears meanwhile is overwritten.
    let written = OpenOptions::new().write(true).create_new(true).open(path);
    match written.and_then(|mut file| file.write_all(text.as_bytes())) {
        Ok(()) => Outcome::fine(format!("{name} is written: {}.\n", told(&found))),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Outcome::failed(
            format!("{name} is already there; init never overwrites a file.\n"),
            1,
        ),
        Err(error) => Outcome::failed(format!("cannot write {name}: {error}.\n"), 1),
    }
}

/// The providers whose keys are in the environment.
fn found(env: &dyn Fn(&str) -> Option<String>) -> Vec<&'static Provider> {
    PROVIDERS
        .iter()
        .filter(|one| env(one.variable).is_some_and(|key| !key.is_empty()))
        .collect()
}

fn told(found: &[&Provider]) -> String {
    let names: Vec<&str> = found.iter().map(|one| one.name).collect();
    match names.as_slice() {
        [] => "no provider's key is in the environment, so it expects a local Ollama".to_owned(),
        some => format!(
            "{} found in the environment; try `llm-proxy check`, then `llm-proxy`",
            some.join(", ")
        ),
    }
}

/// The text of the file.
fn starter(found: &[&Provider]) -> String {
    let mut text = HEAD.to_owned();
    text.push_str("\nbackends:\n");
    for one in found {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "  - name: {}\n    protocol: {}\n    url: {}\n    api_key: ${{{}}}\n",
            one.name, one.protocol, one.url, one.variable
        );
    }
    if found.is_empty() {
        text.push_str(OLLAMA_BACKEND);
    }
    text.push_str(
        "\n# The names that clients send. A `*` stands for anything; an exact name wins.\nmodels:\n",
    );
    for (alias, one) in found
        .iter()
        .flat_map(|one| one.aliases.iter().map(move |alias| (alias, one)))
    {
        let _ = writeln!(text, "  \"{alias}\": {{backend: {}}}", one.name);
    }
    text.push_str(if found.is_empty() { OLLAMA_MODEL } else { EXAMPLE });
    text.push_str(TAIL);
    text
}

const OLLAMA_BACKEND: &str = "  - name: ollama                # no provider's key was in the environment
    protocol: openai
    url: http://127.0.0.1:11434/v1
";
const OLLAMA_MODEL: &str = "  \"*\": {backend: ollama}\n";
const EXAMPLE: &str = "\
  # One alias over several backends; the lower priority goes first, the next one takes over when it fails:
  # my-model:
  #   routes:
  #     - {backend: openai, model: gpt-5, priority: 1}
  #     - {backend: openrouter, model: openai/gpt-5, priority: 2}
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn every_set_of_keys_makes_a_config_that_loads_without_a_warning() {
        for bits in 0..1_u32 << PROVIDERS.len() {
            let set = |name: &str| {
                PROVIDERS
                    .iter()
                    .enumerate()
                    .any(|(n, one)| one.variable == name && bits >> n & 1 == 1)
            };
            let env = |name: &str| set(name).then(|| "a-key".to_owned());
            let loaded = config::parse(&starter(&found(&env)), "config.yaml", Path::new(""), &env);
            let loaded = loaded.unwrap_or_else(|report| panic!("{}", report.render(false)));
            assert!(loaded.warnings.is_empty(), "{}", loaded.warnings[0]);
            assert_eq!(loaded.config.backends.len(), bits.count_ones().max(1) as usize);
        }
    }

    #[test]
    fn a_file_that_is_there_stays_as_it_is() {
        let path = std::env::temp_dir().join(format!("llm-proxy-init-{}.yaml", std::process::id()));
        let env = |name: &str| (name == "OPENAI_API_KEY").then(|| "a-key".to_owned());
        let first = write(&path, &env);
        assert_eq!(first.code, 0, "{}", first.err);
        assert!(
            first.out.contains("openai found in the environment"),
            "{}",
            first.out
        );
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("a-key"), "the key itself stays out of the file");
        let second = write(&path, &|_| None);
        assert_eq!(second.code, 1);
        assert!(second.err.contains("never overwrites"), "{}", second.err);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        assert_eq!(write(Path::new("/nowhere/config.yaml"), &|_| None).code, 1);
    }
}
