//! The main listener: sockets, TLS, HTTP connections, and the layers before a request's journey.

mod bind;
mod connection;
mod forwarded;
mod guard;
mod http1;
mod inherited;
mod origin;
mod plain;
mod preface;
mod proxied;
mod refused;
mod respond;
mod stack;
mod streams;
mod target;
mod tls;
mod traced;

pub use bind::{Bound, Listeners, Socket, shown};
pub use connection::{Http, Peer, Service, serve};
pub use inherited::{Inherited, READY, Role, SERVING, handed};
pub use origin::is_foreign;
pub use proxied::introduced;
pub use refused::Refusal;
pub use respond::{Wire, refusal};
pub use stack::Entrance;
pub use tls::{Acceptor, acceptor};
