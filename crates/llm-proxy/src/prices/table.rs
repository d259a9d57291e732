//! Which price is a model's: that of its exact name, of what is left of its name, of the longest glob.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use super::names::names;
use super::price::Price;
use crate::base::glob::Glob;
use crate::config::built_in_prices;
use crate::config::types::{self, PriceList};

/// Who sells a model's tokens: a backend.
#[derive(Clone, Copy, Debug)]
pub struct Seller<'a> {
    /// Its name in the config.
    pub backend: &'a str,
    /// The host of its URL.
    pub host: &'a str,
}

/// Every price that is known: the operator's own, then those that are built in.
#[derive(Clone, Debug, Default)]
pub struct Prices {
    own: Table,
}

impl Prices {
    /// The prices of a config, beside the built-in ones.
    pub fn new(prices: &types::Prices) -> Self {
        Self {
            own: Table::new(prices.own.as_slice()),
        }
    }

    /// What `seller` asks for `model`, else what anybody asks for it, else for its alias. None: nobody knows.
    ///
    /// `seller/model` goes before all other names. Of the rest an exact name is better than one that fits without its
    /// day or its prefix, and that better than a glob; of equals the operator's own.
    pub fn find(&self, seller: Seller<'_>, model: &str, alias: &str) -> Option<Arc<Price>> {
        let found = self.by_name(seller, model);
        found.or_else(|| (alias != model).then(|| self.by_name(seller, alias))?)
    }

    /// Whether anything that fits this glob has a price.
    pub(super) fn has_any(&self, glob: &Glob, seller: Seller<'_>) -> bool {
        let mut all = self.own.exact.iter().chain(&built_in().exact);
        all.any(|(name, held)| glob.matches(name) && held.iter().any(|held| held.is_of(seller)))
    }

    fn by_name(&self, seller: Seller<'_>, model: &str) -> Option<Arc<Price>> {
        let names = names(model);
        let exact = |name: &&str| {
            self.own
                .exact(name, seller)
                .or_else(|| built_in().exact(name, seller))
        };
        // Only the operator writes globs: what is built in has names.
        let found = self.sold_at(seller, &names);
        let found = found.or_else(|| names.iter().find_map(exact));
        found.or_else(|| self.own.glob(&names, seller, "")).cloned()
    }

    /// The price that the operator's own file has for this backend alone.
    fn sold_at(&self, seller: Seller<'_>, names: &[&str]) -> Option<&Arc<Price>> {
        if self.own.is_empty() {
            return None;
        }
        let scope = format!("{}/", seller.backend);
        let scoped: Vec<String> = names.iter().map(|name| format!("{scope}{name}")).collect();
        let scoped: Vec<&str> = scoped.iter().map(String::as_str).collect();
        let exact = scoped.iter().find_map(|name| self.own.exact(name, seller));
        exact.or_else(|| self.own.glob(&scoped, seller, &scope))
    }
}

/// The built-in prices, made ready once.
fn built_in() -> &'static Table {
    static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(&built_in_prices()));
    &TABLE
}

/// A price with whose it is.
#[derive(Clone, Debug)]
struct Held {
    /// At these hosts alone; none: anybody's.
    hosts: Arc<[String]>,
    price: Arc<Price>,
}

impl Held {
    fn is_of(&self, seller: Seller<'_>) -> bool {
        let at = |host: &String| {
            let length = seller.host.len().checked_sub(host.len());
            let parts = length.and_then(|length| seller.host.split_at_checked(length));
            parts.is_some_and(|(below, end)| {
                end.eq_ignore_ascii_case(host) && (below.is_empty() || below.ends_with('.'))
            })
        };
        self.hosts.is_empty() || self.hosts.iter().any(at)
    }
}

/// Prices by name.
#[derive(Clone, Debug, Default)]
struct Table {
    exact: HashMap<String, Vec<Held>>,
    /// The longest first.
    globs: Vec<(Glob, Held)>,
}

impl Table {
    fn new(lists: &[PriceList]) -> Self {
        let mut table = Self::default();
        for list in lists {
            let hosts: Arc<[String]> = Arc::from(list.hosts.as_slice());
            for (model, name) in list
                .models
                .iter()
                .flat_map(|model| model.names.iter().map(move |name| (model, name)))
            {
                let price = Price {
                    name: Arc::from(name.as_str()),
                    list: Arc::clone(&list.name),
                    date: list.date.clone(),
                    rates: model.rates,
                    above: model.above.clone(),
                };
                table.add(
                    name,
                    Held {
                        hosts: Arc::clone(&hosts),
                        price: Arc::new(price),
                    },
                );
            }
        }
        let length = |glob: &Glob| glob.pattern().chars().filter(|c| *c != '*').count();
        table
            .globs
            .sort_by_cached_key(|(glob, _)| (Reverse(length(glob)), glob.pattern().to_owned()));
        table
    }

    fn add(&mut self, name: &str, held: Held) {
        let glob = Glob::new(name);
        if glob.is_wild() {
            self.globs.push((glob, held));
        } else {
            self.exact.entry(name.to_owned()).or_default().push(held);
        }
    }

    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.globs.is_empty()
    }

    /// The price of that very name: that of the seller's host before anybody's.
    fn exact(&self, name: &str, seller: Seller<'_>) -> Option<&Arc<Price>> {
        let held = self.exact.get(name)?;
        let fits = held.iter().filter(|held| held.is_of(seller));
        fits.max_by_key(|held| !held.hosts.is_empty())
            .map(|held| &held.price)
    }

    /// The price of the longest glob that begins so and fits one of the names.
    fn glob(&self, names: &[&str], seller: Seller<'_>, beginning: &str) -> Option<&Arc<Price>> {
        let mut globs = self.globs.iter();
        let found = globs.find(|(glob, held)| {
            let begins = glob.pattern().starts_with(beginning);
            begins && held.is_of(seller) && names.iter().any(|name| glob.matches(name))
        });
        found.map(|(_, held)| &held.price)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Cost;
    use crate::config::types::{ModelPrice, Rates};

    /// A file whose `n`th price is `n` billionths of a dollar.
    fn own(names: &[&str]) -> Prices {
        let model = |(n, name): (usize, &&str)| ModelPrice {
            names: vec![(*name).to_owned()],
            rates: Rates {
                input: Cost::from_nanos(n as u64),
                ..Rates::default()
            },
            above: Vec::new(),
        };
        let list = PriceList {
            name: Arc::from("prices.yaml"),
            date: None,
            hosts: Vec::new(),
            models: names.iter().enumerate().map(model).collect(),
        };
        Prices::new(&types::Prices {
            file: None,
            own: Some(list),
        })
    }

    fn found(prices: &Prices, (backend, host): (&str, &str), model: &str, alias: &str) -> Option<String> {
        let price = prices.find(Seller { backend, host }, model, alias)?;
        Some(format!("{} of {}", price.name, price.list))
    }

    #[test]
    fn the_most_exact_name_wins_and_a_backends_own_price_before_all() {
        let prices = own(&[
            "gpt-5",
            "gpt-5-*",
            "gpt-*",
            "relay/gpt-5",
            "relay/claude-*",
            "openai/gpt-oss-20b",
            "mine",
            "*",
        ]);
        let at = |backend| (backend, "relay.example");
        #[rustfmt::skip]
        let table: [(&str, (&str, &str), &str, &str); 12] = [
            ("ours before the built-in one", at("a"), "gpt-5", "gpt-5 of prices.yaml"),
            ("without its day", at("a"), "gpt-5-2025-10-01", "gpt-5 of prices.yaml"),
            ("a built-in name before our glob", at("a"), "gpt-5-mini", "gpt-5-mini of OpenAI"),
            ("the longest glob", at("a"), "gpt-5-huge", "gpt-5-* of prices.yaml"),
            ("a shorter one", at("a"), "gpt-9", "gpt-* of prices.yaml"),
            ("the widest", at("a"), "unheard-of", "* of prices.yaml"),
            ("the price of a backend", at("relay"), "gpt-5", "relay/gpt-5 of prices.yaml"),
            ("for the name without its day too", at("relay"), "gpt-5-2025-10-01", "relay/gpt-5 of prices.yaml"),
            ("its glob before a built-in name", at("relay"), "claude-opus-4-5", "relay/claude-* of prices.yaml"),
            ("its glob by what is left of a name", at("relay"), "x/claude-opus-4-5", "relay/claude-* of prices.yaml"),
            ("a name with a slash is a name", at("a"), "openai/gpt-oss-20b", "openai/gpt-oss-20b of prices.yaml"),
            ("by a seller's prefix", at("a"), "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5 of Anthropic"),
        ];
        for (why, seller, model, expected) in table {
            assert_eq!(
                found(&prices, seller, model, "").as_deref(),
                Some(expected),
                "{why}"
            );
        }
    }

    #[test]
    fn the_alias_is_asked_for_where_nobody_knows_the_model() {
        let prices = Prices::default();
        let azure = ("azure", "x.openai.azure.com");
        assert_eq!(
            found(&prices, azure, "deployment-7", "gpt-5").as_deref(),
            Some("gpt-5 of OpenAI")
        );
        assert_eq!(
            found(&prices, azure, "gpt-4o", "gpt-5").as_deref(),
            Some("gpt-4o of OpenAI")
        );
        assert_eq!(found(&prices, azure, "deployment-7", "ours"), None);
    }

    #[test]
    fn open_models_have_a_price_at_the_hosts_whose_price_it_is() {
        let prices = Prices::default();
        for (host, expected) in [
            ("api.groq.com", Some("gpt-oss-120b of Groq")),
            ("eu.api.groq.com", Some("gpt-oss-120b of Groq")),
            ("API.Groq.com", Some("gpt-oss-120b of Groq")),
            ("api.groq.com.evil.example", None),
            ("notapi.groq.com", None),
            ("127.0.0.1", None),
        ] {
            let found = found(&prices, ("a", host), "openai/gpt-oss-120b", "fast");
            assert_eq!(found.as_deref(), expected, "{host}");
        }
    }

    #[test]
    fn the_price_of_a_host_goes_before_that_of_anybody() {
        let list = |name: &str, hosts: &[&str]| PriceList {
            name: Arc::from(name),
            date: None,
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            models: vec![ModelPrice {
                names: vec!["m".to_owned()],
                rates: Rates::default(),
                above: Vec::new(),
            }],
        };
        for lists in [
            [list("host", &["a.example"]), list("any", &[])],
            [list("any", &[]), list("host", &["a.example"])],
        ] {
            let table = Table::new(&lists);
            let at = |host| &*table.exact("m", Seller { backend: "b", host }).unwrap().list;
            assert_eq!((at("a.example"), at("b.example")), ("host", "any"));
        }
    }

    #[test]
    fn what_is_built_in_has_names_and_no_globs() {
        assert!(built_in().globs.is_empty());
        assert!(built_in().exact.len() > 80, "{}", built_in().exact.len());
    }
}
