//! Who takes part: backends, aliases, keys, and the proxy's config in all its variants.

use std::fmt::Write as _;
use std::net::SocketAddr;

use llm_sim::Speaks;

/// All secrets begin so; none may reach a client.
pub(super) const CANARY: &str = "sk-canary-";

/// What clients present.
pub(super) const CLIENT_KEY: &str = "sk-canary-client-0123456789abcdef";

/// A simulated backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) name: &'static str,
    /// The only API that it has.
    pub(super) api: &'static str,
}

/// Two of each of the common kinds, so that one can be missed.
pub(super) const BACKENDS: [Member; 5] = [
    Member {
        name: "simoak",
        api: "chat",
    },
    Member {
        name: "simpine",
        api: "chat",
    },
    Member {
        name: "simrowan",
        api: "responses",
    },
    Member {
        name: "simash",
        api: "messages",
    },
    Member {
        name: "simelm",
        api: "messages",
    },
];

impl Member {
    /// The member of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        BACKENDS.into_iter().find(|member| member.name == name)
    }

    /// What its simulator speaks.
    pub(super) fn speaks(self) -> Speaks {
        match self.api {
            "messages" => Speaks::Messages,
            "responses" => Speaks::Responses,
            _ => Speaks::Chat,
        }
    }

    /// The keys that it takes.
    pub(super) fn keys(self) -> [String; 2] {
        [1, 2].map(|n| format!("{CANARY}{}-{n}-0123456789", self.name))
    }

    fn section(self, address: SocketAddr, full: u32) -> String {
        let Self { name, api } = self;
        let [one, two] = self.keys();
        let (protocol, apis) = match api {
            "messages" => ("anthropic", String::new()),
            api => ("openai", format!(", apis: [{api}]")),
        };
        let on_disconnect = if name == "simpine" { "drain" } else { "cancel" };
        format!(
            "  - {{name: {name}, protocol: {protocol}{apis}, url: \"http://{address}\", api_keys: [{one}, {two}], \
             max_concurrent: {full}, on_disconnect: {on_disconnect}}}\n"
        )
    }
}

/// An alias: its routes as backend and priority, its strategy, its fallback.
type Alias = (
    &'static str,
    &'static [(&'static str, u8)],
    &'static str,
    &'static str,
);

/// Every alias has a route left whichever backend is missing, and every dialect meets backends of its own and of others.
pub(super) const ALIASES: [Alias; 5] = [
    ("chat", &[("simoak", 1), ("simpine", 1)], "weighted", "mixed"),
    ("messages", &[("simash", 1), ("simelm", 1)], "least_busy", "chat"),
    (
        "responses",
        &[("simrowan", 1), ("simoak", 2)],
        "weighted",
        "messages",
    ),
    (
        "mixed",
        &[("simoak", 1), ("simash", 1), ("simrowan", 1)],
        "random",
        "messages",
    ),
    (
        "fastest",
        &[("simpine", 1), ("simelm", 1), ("simrowan", 2)],
        "fastest",
        "mixed",
    ),
];

/// What differs from one config to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Variant {
    /// Requests that are served at once; the others wait.
    pub(super) places: u32,
    /// Requests at once at each backend.
    pub(super) full: u32,
    /// The backend that this config has not got.
    pub(super) without: Option<&'static str>,
    /// A file that cannot be taken.
    pub(super) broken: bool,
}

impl Variant {
    /// Everything there, and nobody waits.
    pub(super) const CALM: Self = Self {
        places: 1000,
        full: 1000,
        without: None,
        broken: false,
    };
}

/// Where everybody listens.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    pub(super) proxy: SocketAddr,
    pub(super) admin: SocketAddr,
    /// As in [`BACKENDS`].
    pub(super) backends: Vec<SocketAddr>,
}

/// The proxy's config. Cooldowns are short: all backends fail all the time, and each is to be asked all the time.
pub(super) fn config(addresses: &Addresses, variant: Variant) -> String {
    let Addresses { proxy, admin, .. } = addresses;
    let places = variant.places;
    let (backends, models) = (backends(addresses, variant), models(variant));
    let broken = if variant.broken { "no_such_key: 1\n" } else { "" };
    format!(
        "listen: {proxy}
admin: {{listen: \"{admin}\"}}
api_keys: {{name: soak, key: {CLIENT_KEY}}}
backends:
{backends}models:
{models}fallback:
  max_attempts: 4
  cooldown: 50ms
  cooldown_max: 200ms
  cooldowns: {{auth: 200ms, quota: 200ms, not_found: 200ms, forbidden_model: 200ms}}
  trip: {{consecutive: 5, error_rate: 0.9, min_requests: 50, window: 5s}}
  retry_budget: 1
timeout: {{request: 20s, connect: 2s, first_byte: 2s, idle: 2s, total: 60s}}
concurrency: {{max_requests: {places}, per_ip: 2000, queue_size: 1000, queue_timeout: 10s}}
rate_limit:
  global: {{rps: 100000}}
  per_model: {{mixed: {{rpm: 100000000, tpm: 1000000000000}}}}
logging: {{level: info, format: json, access: true}}
shutdown_grace: 10s
{broken}"
    )
}

fn backends(addresses: &Addresses, variant: Variant) -> String {
    let members = BACKENDS.iter().zip(&addresses.backends);
    let present = members.filter(|(member, _)| variant.without != Some(member.name));
    present
        .map(|(member, address)| member.section(*address, variant.full))
        .collect()
}

fn models(variant: Variant) -> String {
    let mut text = String::new();
    for (alias, routes, strategy, fallback) in ALIASES {
        // Writing into a string cannot fail.
        let _ = writeln!(
            text,
            "  {alias}:\n    strategy: {strategy}\n    fallback: [{fallback}]\n    routes:"
        );
        for (backend, priority) in routes {
            if variant.without != Some(*backend) {
                let _ = writeln!(
                    text,
                    "      - {{backend: {backend}, model: of-{alias}, priority: {priority}}}"
                );
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alias_has_a_route_whoever_is_missing() {
        for missing in BACKENDS {
            for (alias, routes, ..) in ALIASES {
                let left = routes.iter().filter(|(backend, _)| *backend != missing.name);
                assert!(left.count() > 0, "{alias} without {}", missing.name);
            }
        }
    }

    #[test]
    fn a_missing_backend_is_nowhere_in_its_config() {
        let address: SocketAddr = "127.0.0.1:1".parse().expect("an address");
        let addresses = Addresses {
            proxy: address,
            admin: address,
            backends: vec![address; BACKENDS.len()],
        };
        let without = |without| {
            config(
                &addresses,
                Variant {
                    without,
                    ..Variant::CALM
                },
            )
        };
        assert!(without(None).contains("simelm"));
        assert!(!without(Some("simelm")).contains("simelm"));
    }
}
