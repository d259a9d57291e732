//! Clients that nobody should have to serve: requests that two servers would read differently, floods, bombs, slow and
//! endless ones (D of the reliability rule book). None of them splits, crashes, blocks or bloats the proxy.

mod corpus;
mod nginx;
mod recorder;
mod spellings;
