//! llm-proxy: one program between every AI client and every LLM backend.
//!
//! `ARCHITECTURE.md` is the map. Layers depend one way, from `cli` down to `base`.

pub mod base;
pub mod cli;
pub mod config;
