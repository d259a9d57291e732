//! Prices of models.

use std::path::PathBuf;
use std::sync::Arc;

use crate::base::Cost;

/// Where prices come from, beside the built-in ones.
#[derive(Clone, Debug, Default)]
pub struct Prices {
    /// The file; none: only those that are built in.
    pub file: Option<PathBuf>,
    /// What it says.
    pub own: Option<PriceList>,
}

/// Prices of one source.
#[derive(Clone, Debug)]
pub struct PriceList {
    /// What people call it: the provider, or the file's name.
    pub name: Arc<str>,
    /// When they were that, as the file writes it.
    pub date: Option<Arc<str>>,
    /// The hosts whose prices they are; none: anybody's.
    pub hosts: Vec<String>,
    /// The prices.
    pub models: Vec<ModelPrice>,
}

/// The price of one model.
#[derive(Clone, Debug)]
pub struct ModelPrice {
    /// Its names, perhaps globs.
    pub names: Vec<String>,
    /// What tokens cost.
    pub rates: Rates,
    /// What they cost where the prompt has more tokens than so many, the least number first.
    pub above: Vec<(u64, Rates)>,
}

/// What a million tokens cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Input that comes from no cache and goes into none.
    pub input: Cost,
    /// Output, reasoning included.
    pub output: Cost,
    /// Input from the prompt cache.
    pub cached_input: Cost,
    /// Input into the prompt cache.
    pub cache_write: Cost,
    /// Input into the prompt cache, to be kept for an hour.
    pub cache_write_1h: Cost,
}
