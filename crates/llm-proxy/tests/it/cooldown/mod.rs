//! Cooldown, recovery and routing: C01 to C22 of the rule book, and what the contract's sections 4 and 5 add to them.

mod aliases;
mod exhausted;
mod full;
mod keys;
mod policy;
mod probes;
mod scopes;
mod setting;
mod strategies;
mod trips;
