//! How much is allowed: decisions about rates, with the time as an argument.

mod guesses;

pub use guesses::Guesses;
