//! A config made ready for requests: names looked up once, headers and paths built once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderName, HeaderValue};
use llm_dialect::Api;
use llm_dialect::edit::json_string;
use parking_lot::Mutex;

use super::auth::Keys;
use super::backend::{Backend, BackendKey};
use super::live::Live;
use super::rates::{Addresses, Level};
use crate::base::Secret;
use crate::base::hasher::Mixing;
use crate::base::identity::identity;
use crate::config::types::{self, Auth, ClientTls, Config, OnDisconnect, Protocol, Strategy, Timeouts};
use crate::health::RetryBudget;
use crate::limits::Buckets;
use crate::observe::AliasMeters;
use crate::observe::meters::Server;
use crate::prices::{Price, Prices};
use crate::prompts::Prompts;
use crate::routing::{Aliases, Room, Smooth};
use crate::upstream::{Address, Tls};

/// A config in force. Immutable: a request keeps the one that it started with.
#[derive(Debug)]
pub struct Snapshot {
    /// The settings.
    pub config: Config,
    /// Counts the configs of this process, from 1.
    pub generation: u64,
    /// Client keys.
    pub keys: Keys,
    /// Backends, in the file's order.
    pub backends: Vec<Arc<Backend>>,
    /// Which alias a model name means.
    pub names: Aliases,
    /// Aliases by name, globs among them.
    pub aliases: HashMap<String, Arc<Alias>, Mixing>,
    /// What models cost.
    pub prices: Prices,
    /// The prompts that are put into requests.
    pub prompts: Arc<Prompts>,
    /// Whether usage must be known of streams that did not ask for it, whoever sends them.
    pub needs_usage: bool,
    /// Whether a backend is read to its end where its client leaves.
    pub drains: bool,
    /// Whether backends speak different dialects, so that a conversation may hold another dialect's reasoning.
    pub converts: bool,
    /// The rates of everybody together.
    pub global_rates: Option<Arc<Buckets>>,
    /// The rates of each address.
    pub address_rates: Option<Arc<Addresses>>,
}

/// An alias with its routes resolved.
#[derive(Debug)]
pub struct Alias {
    /// Its name; a glob's own pattern.
    pub name: Arc<str>,
    /// What is counted of it for metrics.
    pub meters: Arc<AliasMeters>,
    /// Its routes by priority, lowest number first; only those that may be used.
    pub tiers: Vec<Tier>,
    /// The choice within a priority.
    pub strategy: Strategy,
    /// Fields that are filled in where a request has none: names and raw JSON values.
    pub defaults: Vec<(String, Bytes)>,
    /// Fields that are always set.
    pub overrides: Vec<(String, Bytes)>,
    /// Whether it may be used.
    pub enabled: bool,
    /// Whether other aliases stand in for it.
    pub has_fallbacks: bool,
    /// Whether conversations stay where they are: they are meant to, and there is somewhere else to go.
    pub affinity: bool,
    /// Its own rates.
    pub rates: Option<Arc<Buckets>>,
    /// What may be tried again; aliases that lead to the same backends share it.
    pub budget: Arc<Mutex<RetryBudget>>,
}

/// Routes of one priority.
#[derive(Debug)]
pub struct Tier {
    /// Its routes.
    pub routes: Vec<Arc<Route>>,
    /// Where the round robin stands.
    pub smooth: Arc<Mutex<Smooth>>,
}

/// A route with its backend.
#[derive(Debug)]
pub struct Route {
    /// The backend.
    pub backend: Arc<Backend>,
    /// Its model; none: the client's name goes on.
    pub model: Option<RouteModel>,
    /// Lower is tried first.
    pub priority: i32,
    /// Its share within its priority.
    pub weight: u32,
    /// What its model can hold and do.
    pub room: Room,
    /// Its clocks.
    pub timeouts: Timeouts,
    /// What its model costs, where that is the same for all requests; none: nobody knows.
    price: Option<Arc<Price>>,
}

/// The model of a route, with all that is made of its name.
#[derive(Debug)]
pub struct RouteModel {
    /// Its name.
    pub name: Arc<str>,
    /// The name as a raw JSON value.
    pub raw: Bytes,
    /// The name as a header's value, where it can be one.
    pub label: Option<HeaderValue>,
    /// Its identity, for all calls but the counting of tokens, and for that.
    ids: [u64; 2],
}

impl RouteModel {
    fn new(name: &str) -> Self {
        Self {
            name: Arc::from(name),
            raw: json_string(name),
            label: HeaderValue::from_str(name).ok(),
            ids: [Api::Chat, Api::CountTokens].map(|api| Route::model_id(name, api)),
        }
    }

    /// Its identity for a call, as [`Route::model_id`] has it.
    pub fn id(&self, api: Api) -> u64 {
        let [usual, counting] = self.ids;
        if api == Api::CountTokens { counting } else { usual }
    }
}

impl Snapshot {
    /// The alias that a model name means, enabled or not.
    pub fn alias(&self, model: &str) -> Option<&Arc<Alias>> {
        self.aliases.get(self.names.find(model)?)
    }

    /// What `model` costs on a route of `alias`. Only where the client chooses the model is it looked for now.
    pub fn price(&self, route: &Route, alias: &Alias, model: &str) -> Option<Arc<Price>> {
        if route.model.is_some() || *alias.name == *model {
            return route.price.clone();
        }
        self.prices.find(route.backend.seller(), model, &alias.name)
    }

    /// Whether a backend of that identity is in it, with that key if one is asked for.
    pub fn has(&self, backend: u64, key: Option<u64>) -> bool {
        let mut backends = self.backends.iter();
        backends.any(|own| {
            let holds = |key| own.keys.iter().any(|own| own.id == key);
            own.id == backend && key.is_none_or(holds)
        })
    }
}

impl Route {
    /// The identity of a model for a call: a backend without `count_tokens` must not lose its messages for that.
    pub fn model_id(model: &str, api: Api) -> u64 {
        let kind: &[u8] = if api == Api::CountTokens {
            b"count_tokens"
        } else {
            b"model"
        };
        identity(&[kind, model.as_bytes()])
    }
}

/// Makes a config ready.
///
/// # Errors
/// A sentence that names the backend which cannot be addressed. The config's checks leave none that I know of.
pub fn compile(config: Config, generation: u64, live: &Live) -> Result<Snapshot, String> {
    let backends = config
        .backends
        .iter()
        .map(|backend| compile_backend(backend, live).map(Arc::new));
    let backends: Vec<Arc<Backend>> = backends.collect::<Result<_, _>>()?;
    let by_name: HashMap<&str, &Arc<Backend>> = backends
        .iter()
        .map(|backend| (backend.config.name.as_str(), backend))
        .collect();
    let rates = config.rate_limit.as_ref();
    let prices = Prices::new(&config.prices);
    let alias = |(name, model): (&String, &types::Model)| {
        let mut alias = compile_alias((name, model), &by_name, (&config, &prices), live);
        let own = rates.and_then(|rates| rates.per_model.get(name));
        alias.rates = own.map(|rate| live.rates.shared((Level::Model, name), rate));
        (name.clone(), Arc::new(alias))
    };
    let aliases = config.models.iter().map(alias).collect();
    // The one place that decides it for all requests; what a key alone needs is the client's own.
    let needs_usage = config.ledger.is_some() || limits_tokens(&config);
    let keys = Keys::new(&config.api_keys, (&live.rates, &live.spendings));
    let global = rates.and_then(|rates| rates.global.as_ref());
    let global_rates = global.map(|rate| live.rates.shared((Level::Global, ""), rate));
    let per_ip = rates.and_then(|rates| rates.per_ip.as_ref());
    let address_rates = per_ip.map(|rate| live.rates.addresses(rate));
    let names = Aliases::new(&config.models);
    let drains = config
        .backends
        .iter()
        .any(|backend| backend.on_disconnect == OnDisconnect::Drain);
    let converts = !backends.iter().all(|backend| backend.speaks(Api::Messages));
    let prompts = Arc::new(Prompts::new(&config.system_prompts));
    Ok(Snapshot {
        config,
        generation,
        keys,
        backends,
        names,
        aliases,
        prices,
        prompts,
        needs_usage,
        drains,
        converts,
        global_rates,
        address_rates,
    })
}

fn limits_tokens(config: &Config) -> bool {
    config.rate_limit.as_ref().is_some_and(|rates| {
        let levels = rates.global.iter().chain(&rates.per_ip);
        levels
            .chain(rates.per_model.values())
            .any(|rate| rate.tpm.is_some())
    })
}

fn compile_alias(
    (name, model): (&str, &types::Model),
    backends: &HashMap<&str, &Arc<Backend>>,
    (config, prices): (&Config, &Prices),
    live: &Live,
) -> Alias {
    let mut tiers: BTreeMap<i32, Vec<Arc<Route>>> = BTreeMap::new();
    for route in model.routes.iter().filter(|route| route.enabled) {
        let Some(backend) = backends
            .get(route.backend.as_str())
            .filter(|backend| backend.config.enabled)
        else {
            continue;
        };
        let compiled = Route {
            backend: Arc::clone(backend),
            model: route.model.as_deref().map(RouteModel::new),
            priority: route.priority,
            weight: route.weight,
            room: Room {
                context: route.context,
                max_tokens: route.max_tokens,
                lacks: route.lacks.clone(),
            },
            timeouts: config.timeout.with(backend.config.timeout).with(model.timeout),
            price: prices.find(backend.seller(), route.model.as_deref().unwrap_or(name), name),
        };
        tiers.entry(route.priority).or_default().push(Arc::new(compiled));
    }
    let tier = |(priority, routes): (i32, Vec<Arc<Route>>)| Tier {
        smooth: live.smooth(name, priority, shape(&routes)),
        routes,
    };
    let group = group(tiers.values().flatten());
    let tiers: Vec<Tier> = tiers.into_iter().map(tier).collect();
    Alias {
        name: Arc::from(name),
        meters: live.meters.alias(name),
        affinity: model.affinity && (has_choice(&tiers) || !model.fallback.is_empty()),
        tiers,
        strategy: model.strategy,
        defaults: raw(&model.defaults),
        overrides: raw(&model.overrides),
        enabled: model.enabled,
        has_fallbacks: !model.fallback.is_empty(),
        rates: None,
        budget: live.budget(group, config.fallback.retry_budget),
    }
}

/// Whether a request has more than one key to go to.
fn has_choice(tiers: &[Tier]) -> bool {
    let routes = tiers.iter().flat_map(|tier| &tier.routes);
    routes.map(|route| route.backend.keys.len()).sum::<usize>() > 1
}

/// The backends of these routes as one: a storm against them is one storm, whatever it asks for.
fn group<'a>(routes: impl Iterator<Item = &'a Arc<Route>>) -> u64 {
    let backends: BTreeSet<u64> = routes.map(|route| route.backend.id).collect();
    let all: Vec<u8> = backends.into_iter().flat_map(u64::to_le_bytes).collect();
    identity(&[b"group", &all])
}

/// What a round robin counts for: these routes in this order.
fn shape(routes: &[Arc<Route>]) -> u64 {
    let of = |route: &Arc<Route>| {
        let model = route.model.as_ref().map_or("", |model| &*model.name);
        identity(&[&route.backend.id.to_le_bytes(), model.as_bytes()]).to_le_bytes()
    };
    let all: Vec<u8> = routes.iter().flat_map(of).collect();
    identity(&[&all])
}

/// Values as the JSON that is spliced into bodies.
fn raw(fields: &[(String, serde_json::Value)]) -> Vec<(String, Bytes)> {
    fields
        .iter()
        .map(|(name, value)| (name.clone(), Bytes::from(value.to_string())))
        .collect()
}

fn compile_backend(config: &types::Backend, live: &Live) -> Result<Backend, String> {
    let unusable = |what: &str| format!("backend `{}`: {what}", config.name);
    let authority = config
        .url
        .authority()
        .cloned()
        .ok_or_else(|| unusable("its url has no host"))?;
    let scheme = config.url.scheme().cloned().unwrap_or(Scheme::HTTPS);
    let id = identity(&[
        b"backend",
        config.name.as_bytes(),
        config.url.to_string().as_bytes(),
    ]);
    let endpoint = live
        .pools
        .endpoint(address(config, &scheme, &authority).map_err(|why| unusable(&why))?);
    let server = Server {
        host: authority.host().trim_matches(['[', ']']).into(),
        port: port(&scheme, &authority),
        protocol: config.protocol,
    };
    let header = |text: &str| {
        HeaderValue::from_bytes(text.as_bytes()).map_err(|_why| unusable("its name is not a header value"))
    };
    Ok(Backend {
        config: config.clone(),
        name: Arc::from(config.name.as_str()),
        label: header(&config.name)?,
        id,
        endpoint,
        keys: keys(config, id).ok_or_else(|| unusable("a key of it is not a header value"))?,
        vitals: live.vitals(id),
        meters: live.meters.backend(id, &config.name, server),
        host: header(authority.as_str())?,
        scheme,
        targets: targets(config).ok_or_else(|| unusable("its url and paths make no valid path"))?,
        secrets: config.secrets(),
        family: family(config.protocol, authority.host()),
        is_openai: config.protocol == Protocol::Openai && is_openai(authority.host()),
        authority,
    })
}

/// Whose models a backend serves. Hosts that speak Anthropic's dialect resell its models, whose signatures they pass on.
fn family(protocol: Protocol, host: &str) -> Arc<str> {
    match protocol {
        Protocol::Anthropic => Arc::from("anthropic"),
        Protocol::Openai if is_openai(host) => Arc::from("openai"),
        Protocol::Openai => Arc::from(host),
    }
}

fn is_openai(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let homes = ["openai.com", "openai.azure.com", "cognitiveservices.azure.com"];
    homes.iter().any(|home| {
        host.strip_suffix(home)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

fn port(scheme: &Scheme, authority: &Authority) -> u16 {
    let usual = if *scheme == Scheme::HTTPS { 443 } else { 80 };
    authority.port_u16().unwrap_or(usual)
}

fn address(config: &types::Backend, scheme: &Scheme, authority: &Authority) -> Result<Address, String> {
    let secure = *scheme == Scheme::HTTPS;
    Ok(Address {
        host: authority.host().trim_matches(['[', ']']).to_owned(),
        port: port(scheme, authority),
        tls: secure.then(|| client_tls(&config.tls)).transpose()?,
        http: config.http,
        proxy: config.http_proxy.clone(),
        allow_metadata: config.allow_metadata,
    })
}

/// Reads the file of authorities at each reload: it may have been replaced under the same name.
/// TLS towards a server, with its file read.
///
/// # Errors
/// A sentence: the file cannot be read.
pub fn client_tls(config: &ClientTls) -> Result<Tls, String> {
    let read =
        |path: &PathBuf| std::fs::read(path).map_err(|error| format!("its `tls.ca` cannot be read: {error}"));
    Ok(Tls {
        ca: config.ca.as_ref().map(read).transpose()?.map(Arc::from),
        insecure: config.insecure,
    })
}

fn keys(config: &types::Backend, backend: u64) -> Option<Vec<BackendKey>> {
    if config.api_keys.is_empty() || config.auth == Auth::None {
        let id = identity(&[b"key", &backend.to_le_bytes()]);
        return Some(vec![BackendKey {
            name: Arc::from(config.name.as_str()),
            id,
            header: None,
        }]);
    }
    let numbered = config.api_keys.iter().enumerate();
    numbered
        .map(|(n, key)| compile_key(config, backend, n, key))
        .collect()
}

fn compile_key(config: &types::Backend, backend: u64, n: usize, key: &Secret) -> Option<BackendKey> {
    let bearer = || format!("Bearer {}", key.expose());
    let (name, value) = match (config.auth, config.protocol) {
        (Auth::XApiKey, _) | (Auth::Auto, Protocol::Anthropic) => ("x-api-key", key.expose().to_owned()),
        (Auth::ApiKey, _) => ("api-key", key.expose().to_owned()),
        _ => ("authorization", bearer()),
    };
    let mut value = HeaderValue::from_str(&value).ok()?;
    value.set_sensitive(true);
    Some(BackendKey {
        name: Arc::from(format!("{}#{}", config.name, n + 1)),
        id: identity(&[b"key", &backend.to_le_bytes(), &key.digest()]),
        header: Some((HeaderName::from_static(name), value)),
    })
}

/// Where each call goes: `url`, `/v1` unless the URL names a version itself, and the call's own path; or `url` and the
/// path that `paths` names.
fn targets(config: &types::Backend) -> Option<BTreeMap<Api, PathAndQuery>> {
    let base = config.url.path().trim_end_matches('/');
    let version = if ends_in_version(base) { "" } else { "/v1" };
    let query = query(&config.query);
    let target = |api: &Api| {
        let path = match config.paths.get(api) {
            Some(own) => format!("{base}/{}{query}", own.trim_start_matches('/')),
            None => format!("{base}{version}{}{query}", api.path()),
        };
        Some((*api, PathAndQuery::try_from(path).ok()?))
    };
    config.apis.iter().map(target).collect()
}

/// Whether a path's last segment is a version, such as `/v1` or `/v4`.
fn ends_in_version(path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or_default();
    last.strip_prefix('v')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn query(pairs: &[(String, String)]) -> String {
    let mut query = String::new();
    for (name, value) in pairs {
        query.push(if query.is_empty() { '?' } else { '&' });
        let _ = write!(query, "{}={}", escaped(name), escaped(value));
    }
    query
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;
    use crate::observe::Logs;
    use crate::observe::access::Access;

    fn parsed(models: &str) -> Config {
        let yaml = format!(
            "backends:
  - {{name: a, protocol: openai, url: 'http://a.example'}}
  - {{name: b, protocol: openai, url: 'http://b.example'}}
models: {{{models}}}
"
        );
        let parsed = config::parse(&yaml, "config.yaml", Path::new(""), &|_| None);
        parsed
            .unwrap_or_else(|report| panic!("{}", report.render(false)))
            .config
    }

    #[test]
    fn f44_aliases_of_the_same_backends_share_a_retry_budget_across_reloads() {
        let models = "both: {routes: [{backend: a}, {backend: b, model: x}]}, \
                      turned: {routes: [{backend: b, priority: 1}, {backend: a, priority: 2}]}, \
                      one: {backend: a}";
        let config = parsed(models);
        let live = Live::new(Access::new(Logs::nowhere()), &config);
        let before = compile(config, 1, &live).unwrap();
        let after = compile(parsed(models), 2, &live).unwrap();
        let budget = |snapshot: &Snapshot, alias: &str| Arc::clone(&snapshot.aliases[alias].budget);
        let both = budget(&before, "both");
        assert!(
            Arc::ptr_eq(&both, &budget(&before, "turned")),
            "the same backends in another order"
        );
        assert!(
            !Arc::ptr_eq(&both, &budget(&before, "one")),
            "others have their own"
        );
        assert!(
            Arc::ptr_eq(&both, &budget(&after, "both")),
            "a reload keeps what was spent"
        );
    }
}
