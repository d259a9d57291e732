//! Responses: its requests, answers and streams, in and out of the canonical form.

mod answer_in;
mod answer_out;
mod echo;
mod items;
mod items_in;
mod items_out;
mod places;
mod request_in;
mod request_out;
mod stream_in;
mod stream_out;
mod tools_in;
mod tools_out;
mod wire;

pub use answer_in::answer_in;
pub use answer_out::answer_out;
pub use echo::echo;
pub use request_in::request_in;
pub use request_out::request_out;
pub use stream_in::StreamIn;
pub use stream_out::StreamOut;
