//! A request's body on its way from the connection's bytes to the request.

use std::sync::Arc;

use crate::pipeline::{End, Inlet, RequestBody};
use crate::wire::{Content, Input};

/// How much of a body that nobody has asked for yet is read: with all of it here, it shows when the client leaves. A
/// body that comes within it comes in one piece, which nobody copies.
pub(super) const AHEAD: usize = 160 * 1024;

/// What is still to come of the body, and who takes it.
#[derive(Debug)]
pub(super) struct Body {
    content: Content,
    /// None: all of it was there from the first.
    inlet: Option<Arc<Inlet>>,
    /// Whether the client waits to be asked for it.
    expects: bool,
    /// It is not framed as it should be, or it broke off: no more of it is read, nor anything behind it.
    broken: bool,
}

impl Body {
    /// That of no request.
    pub(super) fn none() -> Self {
        Self {
            content: Content::none(),
            inlet: None,
            expects: false,
            broken: false,
        }
    }

    /// That of a request whose head was taken off `input`, and what the request gets of it.
    pub(super) fn begin(content: Content, expects: bool, input: &mut Input) -> (Self, RequestBody) {
        let mut body = Self {
            content,
            inlet: None,
            expects,
            broken: false,
        };
        let length = match content {
            Content::Length(length) => Some(length),
            _ => None,
        };
        if content == Content::Over || length.is_some_and(|length| length <= input.bytes.len() as u64) {
            let whole = body.content.take(&mut input.bytes);
            return (body, RequestBody::Whole(whole.ok().flatten().unwrap_or_default()));
        }
        let inlet = Arc::<Inlet>::default();
        body.inlet = Some(Arc::clone(&inlet));
        (body, RequestBody::Inlet(inlet, length))
    }

    /// Whether all of it has come.
    pub(super) fn is_over(&self) -> bool {
        self.content == Content::Over
    }

    /// Whether more of it may be read.
    pub(super) fn may_come(&self, input: &Input) -> bool {
        !self.is_over() && !self.broken && input.bytes.len() < AHEAD && (!self.expects || self.is_wanted())
    }

    /// Whether the client is to be asked for it now. It is asked once, and only if it waits.
    pub(super) fn must_be_asked_for(&mut self, input: &Input) -> bool {
        let asks = self.expects && self.is_wanted();
        if asks {
            self.expects = false;
        }
        asks && input.bytes.is_empty()
    }

    fn is_wanted(&self) -> bool {
        self.inlet.as_ref().is_some_and(|inlet| inlet.is_wanted())
    }

    /// Hands on what has come, if somebody waits for it. Whether there was anything, be it the end.
    pub(super) fn pass(&mut self, input: &mut Input) -> bool {
        let Some(inlet) = self.inlet.as_ref().filter(|inlet| inlet.is_wanted()) else {
            return false;
        };
        if let Some(length) = in_one_piece(self.content)
            && input.bytes.len() < length
        {
            input.expect(length);
            return false;
        }
        let (piece, end) = match self.content.take(&mut input.bytes) {
            Err(_wrong) => (None, End::Broken),
            Ok(piece) if self.content == Content::Over => (piece, End::Over),
            Ok(None) => return false,
            Ok(piece) => (piece, End::Open),
        };
        inlet.give(piece, end);
        self.broken = end == End::Broken;
        true
    }

    /// The client has closed its end. Whether somebody waits for the rest, and was told that it does not come.
    pub(super) fn break_off(&mut self) -> bool {
        let waiting = self.inlet.as_ref().filter(|inlet| inlet.is_wanted());
        if let Some(inlet) = waiting {
            inlet.give(None, End::Broken);
            self.broken = true;
        }
        self.broken
    }

    /// Throws away what has come of a body that nobody will ask for. Whether that was the rest of it.
    pub(super) fn discard(&mut self, input: &mut Input) -> bool {
        while let Ok(Some(_)) = self.content.take(&mut input.bytes) {}
        self.is_over()
    }
}

/// How long the rest is, if it is to be handed on in one piece.
fn in_one_piece(content: Content) -> Option<usize> {
    match content {
        Content::Length(left) => usize::try_from(left).ok().filter(|left| *left <= AHEAD),
        _ => None,
    }
}
