//! What a request stands on: the config compiled for quick look-ups (immutable, swapped whole), and the state that
//! outlives a reload (health, counters, connections).

mod affinity;
mod alone;
mod auth;
mod backend;
mod cache;
mod compile;
mod context;
mod early;
mod held;
mod hints;
mod lifecycle;
mod live;
mod meters;
mod pins;
mod places;
mod rates;
mod signals;
mod spending;
mod told;
mod vitals;

pub use affinity::{Affinity, Conversation, Turn};
pub use alone::{Alone, Following};
pub use auth::{Client, Keys, Refused, bearer};
pub use backend::{Backend, BackendKey};
pub use cache::{CacheCount, CacheView};
pub use compile::{Alias, Route, RouteModel, Snapshot, Tier, client_tls, compile};
pub use context::Context;
pub use early::{Early, Signs};
pub use held::{Held, Rated};
pub use hints::Hints;
pub use lifecycle::{Lifecycle, Phase};
pub use live::Live;
pub use pins::{Origin, Pin, Pins};
pub use places::{Place, Places, PlacesView};
pub use rates::{Addresses, Counted, Counter, Counting, Level, Over, Rates, give_back, take};
pub use signals::{Follower, Signals};
pub use spending::{Budget, Reserved, Spendings, Wanted};
pub use told::Told;
pub use vitals::{InFlight, Vitals};
