//! Which clients an alias cannot serve yet, because no backend of it speaks their dialect.

use llm_dialect::{Api, Dialect};

use super::types::{Config, Model};

/// One line for each alias whose enabled routes do not speak every client dialect. Until conversion is there,
/// clients of the others get an error.
pub fn conversion_notes(config: &Config) -> Vec<String> {
    config
        .models
        .iter()
        .filter_map(|(alias, model)| note(config, alias, model))
        .collect()
}

fn note(config: &Config, alias: &str, model: &Model) -> Option<String> {
    let spoken = |dialect: &Dialect| speaks(config, model, conversation(*dialect));
    let missing: Vec<&str> = Dialect::ALL
        .iter()
        .filter(|one| !spoken(one))
        .map(|one| one.name())
        .collect();
    let them = if missing.len() == 1 { "it" } else { "them" };
    let clients = missing.join(", ");
    (!missing.is_empty() && model.enabled).then(|| {
        format!("alias `{alias}`: {clients} clients wait for conversion (no enabled route speaks {them})")
    })
}

/// The call of a dialect that conversations use.
fn conversation(dialect: Dialect) -> Api {
    match dialect {
        Dialect::Chat => Api::Chat,
        Dialect::Responses => Api::Responses,
        Dialect::Messages => Api::Messages,
    }
}

fn speaks(config: &Config, model: &Model, api: Api) -> bool {
    let has = |name: &str| {
        config
            .backends
            .iter()
            .any(|backend| backend.name == name && backend.enabled && backend.apis.contains(&api))
    };
    model
        .routes
        .iter()
        .any(|route| route.enabled && has(&route.backend))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn an_alias_without_a_speaker_of_a_dialect_gets_one_line() {
        let yaml = "
backends:
  - {name: o, protocol: openai, url: 'https://o.example'}
  - {name: c, protocol: openai, url: 'https://c.example', apis: [chat]}
  - {name: a, protocol: anthropic, url: 'https://a.example'}
models:
  both: {routes: [{backend: o}, {backend: a}]}
  off: {routes: [{backend: o}, {backend: a, enabled: false}]}
  chat-only: {backend: c}
  gone: {backend: c, enabled: false}
";
        let loaded = crate::config::parse(yaml, "config.yaml", Path::new(""), &|_| None).unwrap();
        assert_eq!(
            super::conversion_notes(&loaded.config),
            [
                "alias `chat-only`: responses, messages clients wait for conversion (no enabled route speaks them)",
                "alias `off`: messages clients wait for conversion (no enabled route speaks it)",
            ]
        );
    }
}
