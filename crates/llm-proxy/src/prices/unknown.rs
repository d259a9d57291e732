//! What a config lets a key with a budget ask for although nobody knows its price: it costs the budget nothing.

use super::table::{Prices, Seller};
use crate::base::glob::Glob;
use crate::config::Config;
use crate::config::types::{ApiKey, Backend, Route};

/// So many aliases are named in a sentence.
const NAMED: usize = 5;

/// A sentence for each key with a budget that may use what has no known price.
pub fn unknown(config: &Config) -> Vec<String> {
    let prices = Prices::new(&config.prices);
    let keys = config.api_keys.iter().filter(|key| key.budget.is_some());
    keys.filter_map(|key| sentence(&prices, config, key)).collect()
}

fn sentence(prices: &Prices, config: &Config, key: &ApiKey) -> Option<String> {
    let may_use = |alias: &str| key.models.iter().any(|glob| glob.matches(alias));
    let aliases = config
        .models
        .iter()
        .filter(|(name, model)| model.enabled && may_use(name));
    let without: Vec<String> = aliases
        .filter_map(|(name, model)| {
            let mut routes = model.routes.iter().filter(|route| route.enabled);
            let route = routes.find(|route| !is_known(prices, config, route, name))?;
            Some(format!("`{name}` at `{}`", route.backend))
        })
        .collect();
    let (named, rest) = without.split_at(without.len().min(NAMED));
    let more = match rest.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!named.is_empty()).then(|| {
        format!(
            "the key `{}` has a budget and may use models whose price is not known, so that they cost it nothing: \
             {}{more}; give them a price in `prices.file`",
            key.name,
            named.join(", ")
        )
    })
}

/// Whether some request on that route has a known price.
fn is_known(prices: &Prices, config: &Config, route: &Route, alias: &str) -> bool {
    let mut backends = config.backends.iter();
    let Some(backend) = backends.find(|backend| backend.name == route.backend) else {
        return true;
    };
    let seller = seller(backend);
    let glob = Glob::new(alias);
    let model = route.model.as_deref();
    prices.find(seller, model.unwrap_or(alias), alias).is_some()
        || (model.is_none() && glob.is_wild() && prices.has_any(&glob, seller))
}

fn seller(backend: &Backend) -> Seller<'_> {
    Seller {
        backend: &backend.name,
        host: backend.url.host().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::parse;

    fn told(keys: &str, models: &str) -> Vec<String> {
        let yaml = format!(
            "backends:
  - {{name: a, protocol: openai, url: 'http://a.example'}}
  - {{name: groq, protocol: openai, url: 'https://api.groq.com/openai'}}
api_keys: [{keys}]
models: {{{models}}}
"
        );
        let loaded = parse(&yaml, "c.yaml", Path::new(""), &|_| None);
        unknown(
            &loaded
                .unwrap_or_else(|report| panic!("{}", report.render(false)))
                .config,
        )
    }

    #[test]
    fn a_key_with_a_budget_is_told_what_costs_it_nothing() {
        let key = |rest: &str| format!("{{name: team, key: 0123456789abcdef, {rest}}}");
        let budget = "budget: {usd: 1}";
        #[rustfmt::skip]
        let table: [(&str, String, &str, Option<&str>); 11] = [
            ("known", key(budget), "gpt-5: {backend: a}", None),
            ("by its alias", key(budget), "gpt-5: {backend: a, model: x}", None),
            ("unknown", key(budget), "ours: {backend: a}", Some("`ours` at `a`; give")),
            ("no budget", key("priority: 1"), "ours: {backend: a}", None),
            ("not for this key", key("models: gpt-*, budget: {usd: 1}"), "ours: {backend: a}", None),
            ("disabled", key(budget), "ours: {backend: a, enabled: false}", None),
            ("a glob with known names", key(budget), "'gpt-*': {backend: a}", None),
            ("a glob without", key(budget), "'our-*': {backend: a}", Some("`our-*` at `a`;")),
            ("its host's own", key(budget), "m: {backend: groq, model: openai/gpt-oss-120b}", None),
            ("another host's", key(budget), "m: {backend: a, model: openai/gpt-oss-120b}", Some("`m` at `a`;")),
            ("many", key(budget), "m1: {backend: a}, m2: {backend: a}, m3: {backend: a}, m4: {backend: a}, m5: {backend: a}, m6: {backend: a}", Some("`m5` at `a` and 1 more; give")),
        ];
        for (why, keys, models, names) in table {
            let told = told(&keys, models);
            assert_eq!(told.len(), usize::from(names.is_some()), "{why}: {told:?}");
            assert!(
                names.is_none_or(|names| told[0].contains(names)),
                "{why}: {told:?}"
            );
        }
    }
}
