//! Many share one proxy: rates, and who is served at once.

mod many;
mod places;
mod rates;
mod tokens;
