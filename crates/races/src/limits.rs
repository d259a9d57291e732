//! The buckets, for loom; the queue and the purse, which know of no thread, as they are built.

pub use gcra::{Bucket, Quota, Standing};
pub use llm_proxy::limits::{Allowance, Balance, Nanos, Purse, Short, Span, queue, who};
pub use rates::{Buckets, Quotas, Unit};
pub use table::Table;

#[path = "../../llm-proxy/src/limits/gcra.rs"]
pub mod gcra;
#[path = "../../llm-proxy/src/limits/rates.rs"]
pub mod rates;
#[path = "../../llm-proxy/src/limits/table.rs"]
pub mod table;
