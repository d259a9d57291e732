//! Clients that nobody should have to serve: requests that two servers would read differently, floods, bombs, slow and
//! endless ones (D of the reliability rule book). None of them splits, crashes, blocks or bloats the proxy.

mod bodies;
mod connections;
mod corpus;
mod early;
mod frames;
mod heads;
mod http2;
mod mutants;
mod nginx;
mod recorder;
mod relay;
mod spellings;
