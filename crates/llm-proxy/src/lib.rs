//! llm-proxy: one program between every AI client and every LLM backend.
//!
//! `ARCHITECTURE.md` is the map. Layers depend one way, from `cli` down to `base`.

pub mod admin;
pub mod app;
pub mod base;
pub mod cli;
pub mod config;
pub mod health;
pub mod limits;
pub mod observe;
pub mod pipeline;
pub mod prices;
pub mod prompts;
pub mod routing;
pub mod server;
pub mod state;
pub mod telemetry;
pub mod upstream;
mod wire;
