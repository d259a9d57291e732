//! The two halves of a converted stream.

use std::fmt;

use super::delta::Delta;
use crate::names::Names;
use crate::watch::StreamPosition;

/// An event of a stream, without its framing.
#[derive(Clone, Copy, Debug)]
pub struct WireEvent<'a> {
    /// The value of `event`, if there is one.
    pub name: Option<&'a str>,
    /// The data.
    pub data: &'a str,
}

/// A dialect's events as deltas: a state machine without I/O.
///
/// There is no `Result`: whatever a backend sends has an answer here. What breaks the answer is [`Delta::Fault`].
pub trait Decode: fmt::Debug + Send {
    /// Takes the next event if it is like the one before but for its words, says these, and is true; else nothing has
    /// happened, and [`event`](Self::event) takes it. Both come to the same; this one is quick.
    fn again(&mut self, data: &[u8], out: &mut dyn FnMut(Delta<'_>)) -> bool;

    /// Takes the next event and says what it brought: nothing, one delta or many.
    fn event(&mut self, event: WireEvent<'_>, out: &mut dyn FnMut(Delta<'_>));

    /// The backend's bytes are over. Says [`Delta::Fault`] unless the answer had come to its end.
    fn end(&mut self, out: &mut dyn FnMut(Delta<'_>));

    /// About how many bytes of what has come it keeps for what is still to come.
    fn held(&self) -> usize;
}

/// Deltas as a dialect's events.
pub trait Encode: fmt::Debug + Send {
    /// Writes what a delta means: nothing, one event or many. After [`Delta::End`] the stream is whole. A
    /// [`Delta::Fault`] writes nothing: what the client is told of it is decided elsewhere.
    fn delta(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>);

    /// About how many bytes of what has come it keeps for what is still to come.
    fn held(&self) -> usize;

    /// Where an event that ends the stream early would go.
    fn position(&self) -> StreamPosition;
}

/// A request in a backend's dialect.
#[derive(Debug)]
pub struct Encoded {
    /// Its body.
    pub body: Vec<u8>,
    /// What its tools are called on the other side.
    pub names: Names,
    /// Whether a tool stands in for a JSON schema.
    pub json_tool: bool,
}
