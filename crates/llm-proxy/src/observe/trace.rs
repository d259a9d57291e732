//! A request's place in a trace.

use http::Method;

use crate::base::trace::{Parent, SpanId, TraceId};

/// Whose trace a request belongs to, and what of it a span tells that the access line does not.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The trace.
    pub id: TraceId,
    /// The request's own span.
    pub span: SpanId,
    /// The client's span, if its request came with one.
    pub parent: Option<SpanId>,
    /// Whether spans are made of it.
    pub sampled: bool,
    /// Whether the trace's id is said to be random.
    random: bool,
    /// The request's method.
    pub method: Method,
    /// The path that it asked for, without names in it; none where there is nothing at it.
    pub route: Option<&'static str>,
    /// Whether it came over HTTP/2.
    pub http2: bool,
}

/// What chance says, should it be asked.
#[derive(Clone, Copy, Debug)]
pub struct Dice {
    /// For the id of a trace.
    pub trace: u128,
    /// For the id of a span.
    pub span: u64,
    /// Whether a trace that begins here is one of the share that is kept.
    pub sampled: bool,
}

impl Trace {
    /// The place of a request that came with that parent: below it, and recorded if it is; without one, at the beginning
    /// of a new trace.
    pub fn begin(parent: Option<Parent>, dice: Dice) -> Self {
        Self {
            id: parent.map_or_else(|| TraceId::of(dice.trace), |parent| parent.trace),
            span: SpanId::of(dice.span),
            parent: parent.map(|parent| parent.span),
            sampled: parent.map_or(dice.sampled, |parent| parent.sampled),
            random: parent.is_some_and(|parent| parent.random),
            method: Method::default(),
            route: None,
            http2: false,
        }
    }

    /// What a backend is told that is asked in that span.
    pub fn below(&self, span: SpanId) -> Parent {
        Parent {
            trace: self.id,
            span,
            sampled: self.sampled,
            random: self.random,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DICE: Dice = Dice {
        trace: 7,
        span: 8,
        sampled: false,
    };

    #[test]
    fn o08_a_parent_decides_and_chance_only_where_there_is_none() {
        let parent = |sampled| Parent {
            trace: TraceId::of(1),
            span: SpanId::of(2),
            sampled,
            random: true,
        };
        for (came, dice, id, sampled) in [
            (Some(parent(true)), false, 1, true),
            (Some(parent(false)), true, 1, false),
            (None, true, 7, true),
            (None, false, 7, false),
        ] {
            let dice = Dice {
                sampled: dice,
                ..DICE
            };
            let trace = Trace::begin(came, dice);
            assert_eq!((trace.id, trace.sampled), (TraceId::of(id), sampled), "{came:?}");
            assert_eq!(trace.parent, came.map(|parent| parent.span));
            let told = trace.below(SpanId::of(9));
            assert_eq!((told.trace, told.span), (trace.id, SpanId::of(9)));
            assert_eq!((told.sampled, told.random), (sampled, came.is_some()));
        }
    }
}
