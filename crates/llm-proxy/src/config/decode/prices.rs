//! Prices.

use std::sync::Arc;

use crate::base::Cost;
use crate::config::fields::prices::{PRICE, PRICE_LIST, STEP};
use crate::config::tree::Node;
use crate::config::types::{ModelPrice, PriceList, Rates};
use crate::config::view::View;

/// What a file of prices says. `name` is what people call it.
pub(crate) fn price_list(root: &Node, name: &str) -> PriceList {
    let list = View::new(&PRICE_LIST, Some(root));
    let models = list.entries("models").iter();
    // For people alone; read so that it is known to be no mistake.
    let _ = list.text("source");
    PriceList {
        name: Arc::from(name),
        date: list.text("date").map(Arc::from),
        hosts: list.list("hosts", |host| Some(host.to_ascii_lowercase())),
        models: models
            .map(|entry| model(&entry.key, &View::new(&PRICE, Some(&entry.node))))
            .collect(),
    }
}

fn model(name: &str, price: &View<'_>) -> ModelPrice {
    let rates = rates(price, None);
    let step = |step: &View<'_>| Some((step.int("tokens")?, self::rates(step, Some(&rates))));
    let mut names = vec![name.to_owned()];
    names.extend(price.list("also", |name| Some(name.to_owned())));
    ModelPrice {
        names,
        rates,
        above: price.sections("above", &STEP).iter().filter_map(step).collect(),
    }
}

/// The rates that stand here; what is absent is as `below` says, else as what is next to it.
fn rates(view: &View<'_>, below: Option<&Rates>) -> Rates {
    let rate = |key, other: Cost| view.number(key).map_or(other, Cost::from_dollars);
    let or = |of: fn(&Rates) -> Cost, other: Cost| below.map_or(other, of);
    let input = rate("input", or(|rates| rates.input, Cost::ZERO));
    let cache_write = rate("cache_write", or(|rates| rates.cache_write, input));
    Rates {
        input,
        output: rate("output", or(|rates| rates.output, Cost::ZERO)),
        cached_input: rate("cached_input", or(|rates| rates.cached_input, input)),
        cache_write,
        cache_write_1h: rate("cache_write_1h", or(|rates| rates.cache_write_1h, cache_write)),
    }
}
