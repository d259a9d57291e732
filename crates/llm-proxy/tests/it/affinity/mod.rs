//! Affinity: a conversation stays where its prompt cache is, and moves when it has to.

mod bound;
mod moves;
mod names;
mod setting;
mod stays;
mod worth;
