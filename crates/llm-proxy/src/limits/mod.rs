//! How much may be asked: rates of requests and tokens, and who may be served at once. Pure: `now` is an argument.

pub mod queue;
pub mod service;
pub mod who;
