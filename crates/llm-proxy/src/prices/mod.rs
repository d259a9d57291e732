//! What a request costs: the price of a model, found by its names, and what its tokens come to.
//!
//! The prices themselves are data: `config::prices` reads those that are built in and the operator's own.

mod names;
mod price;
mod table;
mod unknown;

pub use price::Price;
pub use table::{Prices, Seller};
pub use unknown::unknown;
