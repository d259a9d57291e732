//! A new binary takes over (O04): by hand-over, and by sockets that systemd has opened.

mod activation;
mod failed;
mod handover;
mod notify;
pub mod scene;
mod units;
