//! How much may be asked: rates of requests and tokens, who may be served at once, and what may be spent. Pure: `now` is an argument.

pub mod gcra;
mod guesses;
mod purse;
pub mod queue;
pub mod rates;
pub mod service;
pub mod table;
pub mod who;

pub use gcra::{Bucket, Quota, Standing};
pub use guesses::Guesses;
pub use purse::{Allowance, Balance, Purse, Short, Span};
pub use queue::Queue;
pub use rates::{Buckets, Quotas, Unit};
pub use table::Table;
pub use who::{KeyId, RequestClass, Who};

/// A point in time for buckets: nanoseconds since an origin that only the caller knows.
pub type Nanos = u64;
