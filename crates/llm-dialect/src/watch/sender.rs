//! Sends the bytes of events on without copying them.

use std::ops::Range;

use bytes::Bytes;

use crate::sse::RawEvent;

/// Joins the events of one chunk to as few slices of it as possible.
pub(super) struct Sender<'a> {
    chunk: Bytes,
    out: &'a mut Vec<Bytes>,
    run: Range<usize>,
}

impl<'a> Sender<'a> {
    pub(super) fn new(chunk: Bytes, out: &'a mut Vec<Bytes>) -> Self {
        Self {
            chunk,
            out,
            run: 0..0,
        }
    }

    pub(super) fn push(&mut self, event: &RawEvent<'_>) {
        match &event.span {
            Some(span) if span.start == self.run.end => self.run.end = span.end,
            Some(span) => {
                self.flush();
                self.run = span.clone();
            }
            None => {
                self.flush();
                self.out.push(event.bytes());
            }
        }
    }

    pub(super) fn flush(&mut self) {
        if !self.run.is_empty() {
            self.out.push(self.chunk.slice(self.run.clone()));
        }
        self.run = self.run.end..self.run.end;
    }
}
