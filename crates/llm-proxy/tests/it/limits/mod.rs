//! Many share one proxy: rates, and who is served at once.

mod rates;
mod tokens;
