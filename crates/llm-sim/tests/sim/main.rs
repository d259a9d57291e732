//! The simulated backends over real sockets, asked by a client that sees every byte.

#[cfg(test)]
mod agent;
#[cfg(test)]
mod client;
#[cfg(test)]
mod dialects;
#[cfg(test)]
mod endings;
#[cfg(test)]
mod judged;
#[cfg(test)]
mod lesser;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod recorded;
#[cfg(test)]
mod shape;
#[cfg(test)]
mod strictness;
