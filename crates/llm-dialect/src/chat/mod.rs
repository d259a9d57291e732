//! Chat Completions: its requests, answers and streams, in and out of the canonical form.

mod answer_in;
mod answer_out;
mod arguments;
mod asked;
mod calls;
mod details;
mod marks;
mod mere_words;
mod parts_in;
mod parts_out;
mod plan;
mod reasoning;
mod request_in;
mod request_out;
mod stream_in;
mod stream_out;
mod surrogates;
mod told;
mod tools_in;
mod tools_out;
mod turns_in;
mod turns_out;
mod wire;
mod wire_answer;

pub use answer_in::answer_in;
pub use answer_out::answer_out;
pub use request_in::request_in;
pub use request_out::request_out;
pub use stream_in::StreamIn;
pub use stream_out::StreamOut;
