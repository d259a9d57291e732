//! Anthropic Messages: its requests, answers and streams, in and out of the canonical form.

mod answer_in;
mod answer_out;
mod arguments;
mod blocks_in;
mod marks;
mod request_in;
mod request_out;
mod schema;
mod stream_in;
mod stream_out;
mod thinking_out;
mod tools_out;
mod turns_out;
mod wire;

pub use answer_in::answer_in;
pub use answer_out::answer_out;
pub use arguments::object as arguments_object;
pub(crate) use request_in::ATTRIBUTION;
pub use request_in::request_in;
pub use request_out::request_out;
pub use stream_in::StreamIn;
pub use stream_out::StreamOut;
