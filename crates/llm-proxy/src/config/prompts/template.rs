//! The text of a prompt: literal parts and variables (contract, section 6), parsed once.
//!
//! `${_NAME}` is one of ours, `${VAR}` and `${VAR:-default}` are the environment's, `$${` is a literal `${`. What cannot
//! change while the program runs becomes literal here: the environment and the host. What stands for a variable is
//! never read again as a template, here or later, so no value can bring in another.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::host;
use crate::config::diagnostic::SHOWN;
use crate::config::names::Named;
use crate::config::vars;

/// A prompt's text, ready to be filled in.
#[derive(Clone, PartialEq, Eq)]
pub struct Template(Arc<[Piece]>);

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// It goes in as it is.
    Literal(Arc<str>),
    /// Something else each time.
    Variable(Variable),
}

/// What is only known when a request is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// The day.
    Date,
    /// The time of day.
    Time,
    /// Both, with the offset from UTC.
    DateTime,
    /// The model that the client asked for.
    Model,
    /// The backend's name.
    Backend,
    /// The model that the backend is asked for.
    BackendModel,
    /// The name of the client's key.
    KeyName,
    /// The client's address.
    ClientIp,
    /// The request's id.
    RequestId,
    /// The client's dialect.
    Dialect,
}

/// How often a variable has another value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Volatility {
    /// It is the same in each request of a conversation.
    Stable,
    /// Once a day.
    Daily,
    /// A conversation that moves to another backend or network has another one.
    Moving,
    /// With every request.
    Always,
}

impl Variable {
    /// How often it has another value.
    pub fn volatility(self) -> Volatility {
        match self {
            Self::Model | Self::KeyName | Self::Dialect => Volatility::Stable,
            Self::Date => Volatility::Daily,
            Self::Backend | Self::BackendModel | Self::ClientIp => Volatility::Moving,
            Self::Time | Self::DateTime | Self::RequestId => Volatility::Always,
        }
    }
}

impl Template {
    /// Its parts, in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }
}

/// Never the text: it may hold what the environment keeps.
impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({} pieces)", self.0.len())
    }
}

/// A text that is in order, and where its variables stand.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) template: Template,
    pub(crate) uses: Vec<(Variable, Range<usize>)>,
}

/// A reference that is not in order.
#[derive(Debug)]
pub(crate) struct Wrong {
    /// Its place in the text, in bytes.
    pub(crate) place: Range<usize>,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    /// The name of ours that is not among [`names`].
    pub(crate) unknown: Option<String>,
}

/// All names of ours.
pub(crate) fn names() -> Vec<&'static str> {
    let ours = Variable::all().into_iter().map(|(name, _)| name);
    host::NAMES.into_iter().chain(ours).collect()
}

/// Takes a text apart; or everything that is wrong with it, up to as much as anybody is shown.
pub(crate) fn parse(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Parsed, Vec<Wrong>> {
    let mut parts = Parts::default();
    let (mut wrong, mut at) = (Vec::new(), 0);
    while let Some((head, open)) = next(text, at) {
        if let Some(literal) = head.strip_suffix('$') {
            parts.literal(literal);
            parts.literal("${");
            at = open + 2;
            continue;
        }
        parts.literal(head);
        let (inner, end) = inner(text, open);
        match inner.map(|inner| value(inner, env)) {
            Some(Ok(part)) => parts.push(part, open..end),
            Some(Err(told)) => wrong.push(told.at(open..end)),
            None => wrong.push(Told::new("`${` has no `}` in its line", Some(LITERAL)).at(open..end)),
        }
        at = end;
        if wrong.len() >= SHOWN {
            break;
        }
    }
    parts.literal(text.get(at..).unwrap_or_default());
    if wrong.is_empty() {
        Ok(parts.done())
    } else {
        Err(wrong)
    }
}

const LITERAL: &str = "write `$${` for a literal `${`";

/// The next `${` from `at` on: the text before it, and its place.
fn next(text: &str, at: usize) -> Option<(&str, usize)> {
    let (head, _) = text.get(at..)?.split_once("${")?;
    Some((head, at + head.len()))
}

/// What stands between the braces that open at `open`, none if they do not close in that line; and where they end.
fn inner(text: &str, open: usize) -> (Option<&str>, usize) {
    let from = open + 2;
    let line = text.get(from..).unwrap_or_default();
    let line = line.split('\n').next().unwrap_or_default();
    match line.split_once('}') {
        Some((inner, _)) => (Some(inner), from + inner.len() + 1),
        None => (None, from),
    }
}

/// What stands for a reference.
enum Part {
    Text(String),
    Variable(Variable),
}

/// What is wrong with a reference, before it is known where it is.
struct Told {
    message: String,
    help: Option<String>,
    unknown: Option<String>,
}

impl Told {
    fn new(message: impl Into<String>, help: Option<&str>) -> Self {
        Self {
            message: message.into(),
            help: help.map(str::to_owned),
            unknown: None,
        }
    }

    fn at(self, place: Range<usize>) -> Wrong {
        Wrong {
            place,
            message: self.message,
            help: self.help,
            unknown: self.unknown,
        }
    }
}

fn value(inner: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Part, Told> {
    if inner.starts_with('_') {
        return own(inner, env);
    }
    vars::variable(inner, env).map(Part::Text).map_err(|wrong| Told {
        message: wrong.message,
        help: wrong.help,
        unknown: None,
    })
}

/// A variable of ours.
fn own(inner: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Part, Told> {
    if let Some((name, _)) = inner.split_once(":-").filter(|(name, _)| names().contains(name)) {
        let message = format!("`${{{name}}}` always has a value, so it takes no default");
        return Err(Told::new(message, None));
    }
    if let Some(variable) = Variable::from_name(inner) {
        return Ok(Part::Variable(variable));
    }
    host::value(inner, env).map(Part::Text).ok_or_else(|| Told {
        unknown: Some(inner.to_owned()),
        ..Told::new(format!("there is no variable `${{{inner}}}`"), None)
    })
}

/// The parts so far; literals that follow each other are one.
#[derive(Default)]
struct Parts {
    pieces: Vec<Piece>,
    literal: String,
    uses: Vec<(Variable, Range<usize>)>,
}

impl Parts {
    fn literal(&mut self, text: &str) {
        self.literal.push_str(text);
    }

    fn push(&mut self, part: Part, place: Range<usize>) {
        match part {
            Part::Text(text) => self.literal(&text),
            Part::Variable(variable) => {
                self.flush();
                self.pieces.push(Piece::Variable(variable));
                self.uses.push((variable, place));
            }
        }
    }

    fn flush(&mut self) {
        if !self.literal.is_empty() {
            let literal = std::mem::take(&mut self.literal);
            self.pieces.push(Piece::Literal(Arc::from(literal)));
        }
    }

    fn done(mut self) -> Parsed {
        self.flush();
        Parsed {
            template: Template(Arc::from(self.pieces)),
            uses: self.uses,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "SET" => Some("value".to_owned()),
            "NESTED" => Some("${_TIME} ${SET}".to_owned()),
            "EMPTY" => Some(String::new()),
            "HOME" => Some("/home/ann".to_owned()),
            _ => None,
        }
    }

    /// The parts of a text, variables in angle brackets.
    fn shown(text: &str) -> Result<String, String> {
        let parsed = parse(text, &env).map_err(|wrong| {
            let all = wrong
                .iter()
                .map(|one| format!("{}..{} {}", one.place.start, one.place.end, one.message));
            all.collect::<Vec<String>>().join("; ")
        })?;
        let pieces = parsed.template.pieces().iter().map(|piece| match piece {
            Piece::Literal(text) => text.to_string(),
            Piece::Variable(variable) => format!("<{variable:?}>"),
        });
        Ok(pieces.collect())
    }

    #[test]
    fn a_text_becomes_literals_and_variables() {
        for (text, expected) in [
            ("", ""),
            ("plain $5 {x} }", "plain $5 {x} }"),
            (
                "It is ${_DATE}, ${_TIME}; ${_DATETIME}.",
                "It is <Date>, <Time>; <DateTime>.",
            ),
            (
                "${_MODEL}${_BACKEND}${_BACKEND_MODEL}${_KEY_NAME}",
                "<Model><Backend><BackendModel><KeyName>",
            ),
            (
                "${_CLIENT_IP}${_REQUEST_ID}${_DIALECT}",
                "<ClientIp><RequestId><Dialect>",
            ),
            ("${SET} ${NONE:-a b} ${EMPTY:-c} [${EMPTY}]", "value a b c []"),
            ("at ${_HOME}", "at /home/ann"),
            ("$${_DATE} and $${", "${_DATE} and ${"),
            ("a $$${SET}", "a $${SET}"),
            ("${NESTED}", "${_TIME} ${SET}"),
            ("grüße\r\n${_DATE}\r\n", "grüße\r\n<Date>\r\n"),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_all_of_it() {
        for (text, expected) in [
            ("é ${_DAT} x", "3..10 there is no variable `${_DAT}`"),
            ("${_}", "0..4 there is no variable `${_}`"),
            (
                "${_DATE:-x}",
                "0..11 `${_DATE}` always has a value, so it takes no default",
            ),
            ("a ${b\n}", "2..4 `${` has no `}` in its line"),
            ("${", "0..2 `${` has no `}` in its line"),
            ("${a-b}", "0..6 `${a-b}` does not name a variable"),
            (
                "${file:/etc/passwd}",
                "0..19 `${file:/etc/passwd}` does not name a variable",
            ),
            (
                "${GONE} ${_GONE}",
                "0..7 the environment variable `GONE` is not set; 8..16 there is no variable `${_GONE}`",
            ),
        ] {
            assert_eq!(shown(text), Err(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_text_of_nothing_but_mistakes_is_told_of_up_to_a_hundred() {
        let wrong = parse(&"${_X}".repeat(50_000), &env).unwrap_err();
        assert_eq!(wrong.len(), SHOWN);
    }

    #[test]
    fn a_text_is_not_shown_by_debug() {
        let parsed = parse("${SET}", &env).unwrap();
        assert!(!format!("{parsed:?}").contains("value"));
    }

    #[test]
    fn every_name_of_ours_has_a_value_or_is_a_variable() {
        let names = names();
        assert_eq!(names.len(), 18);
        for name in names {
            assert!(parse(&format!("${{{name}}}"), &env).is_ok(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn literal_text_survives(text in "[a${}_:\\-\\n é]{0,40}") {
            let escaped = text.replace("${", "$${");
            prop_assert_eq!(shown(&escaped), Ok(text));
        }

        #[test]
        fn no_text_makes_it_panic_and_places_are_within_it(text in "([a${}_:\\-\\n é]|_DATE|SET){0,40}") {
            match parse(&text, &env) {
                Ok(parsed) => for (_, place) in parsed.uses {
                    let there = text.get(place).is_some_and(|at| at.starts_with("${_") && at.ends_with('}'));
                    prop_assert!(there);
                },
                Err(wrong) => for one in wrong {
                    let there = text.get(one.place).is_some_and(|at| at.starts_with("${"));
                    prop_assert!(there);
                },
            }
        }

        #[test]
        fn no_value_of_the_environment_brings_in_a_variable(value in ".{0,40}") {
            let parsed = parse("[${X}]", &|_| Some(value.clone())).unwrap();
            let expected = [Piece::Literal(Arc::from(format!("[{value}]")))];
            prop_assert_eq!(parsed.template.pieces(), expected.as_slice());
        }
    }
}
