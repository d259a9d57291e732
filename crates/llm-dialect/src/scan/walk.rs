//! The way through a JSON text, token by token.

use super::plain::plain_run;
use super::string::{escape, sound};
use super::{DEEPEST, MOST_MEMBERS, Member, Object, Rest, ScanError, Span};

/// The scan cannot go on: it knows why. An error of no size lets each step answer in registers.
pub(super) struct Stopped;

pub(super) type Step<T = ()> = Result<T, Stopped>;

/// What is known of a JSON text on the way through it, and the containers that are open.
pub(super) struct Scan<'a> {
    bytes: &'a [u8],
    /// Whether all of it is known to be UTF-8. Until a byte has come that is not ASCII, nobody need know.
    is_utf8: bool,
    /// Whether all of it is known to be sound, from a scan before this one.
    is_sound: bool,
    /// Whether a string has held an escape since somebody began to ask.
    has_escapes: bool,
    /// One bit for each open container, the innermost lowest: set for an object.
    objects: u128,
    depth: usize,
    max_depth: usize,
    /// Why the scan has stopped.
    error: Option<ScanError>,
}

impl<'a> Scan<'a> {
    pub(super) fn new(bytes: &'a [u8], max_depth: usize) -> Self {
        Self {
            bytes,
            is_utf8: false,
            is_sound: false,
            has_escapes: false,
            objects: 0,
            depth: 0,
            max_depth: max_depth.min(DEEPEST),
            error: None,
        }
    }

    /// Of a text that has been scanned before.
    pub(super) fn of_sound(bytes: &'a [u8]) -> Self {
        Self {
            is_utf8: true,
            is_sound: true,
            ..Self::new(bytes, DEEPEST)
        }
    }

    /// Passes over the value of any kind that stands here.
    pub(super) fn value(&mut self, mut rest: Rest<'a>) -> Step<Rest<'a>> {
        let outside = self.depth;
        loop {
            let mut complete = self.begin(&mut rest)?;
            while complete && self.depth > outside {
                complete = self.separator(&mut rest)?;
            }
            if complete {
                return Ok(rest);
            }
            if self.is_in_object() {
                rest = self.key(rest)?;
                self.colon(&mut rest)?;
            }
            rest.space();
        }
    }

    /// Begins the value that stands here. True: it is complete; false: a container was opened, and its
    /// first value comes next.
    #[inline]
    fn begin(&mut self, rest: &mut Rest<'a>) -> Step<bool> {
        match rest.peek() {
            Some(b'"') => {
                rest.take(b'"');
                *rest = self.string(*rest)?;
                Ok(true)
            }
            Some(b'{') => self.open(rest, true, b'}'),
            Some(b'[') => self.open(rest, false, b']'),
            Some(b'-' | b'0'..=b'9') => self.number(rest).map(|()| true),
            Some(b't') => self.literal(rest, b"true"),
            Some(b'f') => self.literal(rest, b"false"),
            Some(b'n') => self.literal(rest, b"null"),
            _ => Err(self.wrong(*rest, "a value should stand here")),
        }
    }

    /// Enters a container, and leaves it again when it is empty (true).
    #[inline]
    fn open(&mut self, rest: &mut Rest<'a>, object: bool, close: u8) -> Step<bool> {
        self.push(rest, object)?;
        let empty = rest.token(close);
        if empty {
            self.pop();
        }
        Ok(empty)
    }

    /// What follows a value within a container. False: a comma, so another value comes next; true: the end
    /// of the container, which completes a value of the one around it.
    #[inline]
    fn separator(&mut self, rest: &mut Rest<'a>) -> Step<bool> {
        if rest.token(b',') {
            return Ok(false);
        }
        let object = self.is_in_object();
        if rest.take(if object { b'}' } else { b']' }) {
            self.pop();
            return Ok(true);
        }
        Err(self.wrong(
            *rest,
            if object {
                "a comma or a closing brace should stand here"
            } else {
                "a comma or a closing bracket should stand here"
            },
        ))
    }

    fn is_in_object(&self) -> bool {
        self.objects & 1 == 1
    }

    #[inline]
    fn push(&mut self, rest: &mut Rest<'a>, object: bool) -> Step {
        if self.depth >= self.max_depth {
            return Err(self.stop(ScanError::TooDeep { max: self.max_depth }));
        }
        rest.take(if object { b'{' } else { b'[' });
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(object);
        Ok(())
    }

    #[inline]
    fn pop(&mut self) {
        self.depth -= 1;
        self.objects >>= 1;
    }

    /// The layout of the object that begins here.
    pub(super) fn object(&mut self, rest: Rest<'a>) -> Step<(Rest<'a>, Object)> {
        let mut members = Vec::with_capacity(16);
        let (behind, _) = self.members(rest, |member| members.push(member))?;
        let close = self.at(behind) - 1;
        Ok((behind, Object { members, close }))
    }

    /// Shows the members of the object that begins here, up to its closing brace, and counts them.
    pub(super) fn members(
        &mut self,
        mut rest: Rest<'a>,
        mut each: impl FnMut(Member),
    ) -> Step<(Rest<'a>, usize)> {
        self.push(&mut rest, true)?;
        let mut count = 0;
        while !rest.token(b'}') {
            if count == MOST_MEMBERS {
                return Err(self.stop(ScanError::TooManyMembers));
            }
            if count > 0 && !rest.take(b',') {
                return Err(self.wrong(rest, "a comma or a closing brace should stand here"));
            }
            each(self.member(&mut rest)?);
            count += 1;
        }
        self.pop();
        Ok((rest, count))
    }

    #[inline]
    fn member(&mut self, rest: &mut Rest<'a>) -> Step<Member> {
        rest.space();
        let start = *rest;
        self.has_escapes = false;
        *rest = self.key(start)?;
        let (key, escaped) = (self.span(start, *rest), self.has_escapes);
        self.colon(rest)?;
        rest.space();
        let start = *rest;
        *rest = self.value(start)?;
        let value = self.span(start, *rest);
        Ok(Member { key, value, escaped })
    }

    /// A key; says what follows it.
    fn key(&mut self, mut rest: Rest<'a>) -> Step<Rest<'a>> {
        if rest.token(b'"') {
            self.string(rest)
        } else {
            Err(self.wrong(rest, "a key in double quotes should stand here"))
        }
    }

    #[inline]
    fn colon(&mut self, rest: &mut Rest<'a>) -> Step {
        if rest.token(b':') {
            Ok(())
        } else {
            Err(self.wrong(*rest, "a colon should stand here"))
        }
    }

    /// The string whose opening quote came before; says what follows it.
    #[inline]
    fn string(&mut self, mut rest: Rest<'a>) -> Step<Rest<'a>> {
        match rest.short_string() {
            Some(_) => Ok(rest),
            None => self.rest_of_string(rest),
        }
    }

    /// The same for any string. Out of the way: most strings are short.
    #[inline(never)]
    fn rest_of_string(&mut self, mut rest: Rest<'a>) -> Step<Rest<'a>> {
        if self.is_sound
            && let Some(length) = sound(rest.0)
        {
            let (inside, from_quote) = rest.0.split_at_checked(length).unwrap_or_default();
            self.has_escapes |= memchr::memchr(b'\\', inside).is_some();
            return Ok(Rest(from_quote.get(1..).unwrap_or_default()));
        }
        loop {
            let plain = if self.is_utf8 {
                plain_run::<false>(rest.0)
            } else {
                plain_run::<true>(rest.0)
            };
            rest = Rest(rest.0.get(plain..).unwrap_or_default());
            match rest.0 {
                [b'"', behind @ ..] => return Ok(Rest(behind)),
                [b'\\', escaped @ ..] => rest = self.escape(rest, escaped)?,
                [byte, ..] if !byte.is_ascii() => self.utf8()?,
                [_, ..] => return Err(self.wrong(rest, "a string holds a bare control character")),
                [] => return Err(self.wrong(rest, "a string has no end")),
            }
        }
    }

    /// A byte that is not ASCII stands here: from now on such bytes are plain, if the whole text is UTF-8.
    fn utf8(&mut self) -> Step {
        match not_utf8(self.bytes) {
            None => {
                self.is_utf8 = true;
                Ok(())
            }
            Some(error) => Err(self.stop(error)),
        }
    }

    /// What follows the escape that stands here; `escaped` follows its backslash.
    fn escape(&mut self, rest: Rest<'a>, escaped: &[u8]) -> Step<Rest<'a>> {
        self.has_escapes = true;
        let behind = escape(escaped).and_then(|length| rest.0.get(length..));
        behind
            .map(Rest)
            .ok_or_else(|| self.wrong(rest, "a string holds an escape that JSON does not know"))
    }

    fn number(&mut self, rest: &mut Rest<'a>) -> Step {
        rest.take(b'-');
        if !rest.take(b'0') {
            self.digits(rest)?;
        }
        if rest.take(b'.') {
            self.digits(rest)?;
        }
        if rest.take(b'e') || rest.take(b'E') {
            let _ = rest.take(b'+') || rest.take(b'-');
            self.digits(rest)?;
        }
        Ok(())
    }

    /// One or more digits.
    #[inline]
    fn digits(&mut self, rest: &mut Rest<'a>) -> Step {
        match rest.digits() {
            [] => Err(self.wrong(*rest, "a digit should stand here")),
            _ => Ok(()),
        }
    }

    fn literal(&mut self, rest: &mut Rest<'a>, word: &'static [u8]) -> Step<bool> {
        match rest.0.strip_prefix(word) {
            Some(behind) => {
                *rest = Rest(behind);
                Ok(true)
            }
            None => Err(self.wrong(*rest, "a value should stand here")),
        }
    }

    /// Nothing but space may follow the document.
    pub(super) fn finish(&mut self, mut rest: Rest<'a>) -> Step {
        rest.space();
        match rest.0 {
            [] => Ok(()),
            _ => Err(self.wrong(rest, "nothing may follow the end of the value")),
        }
    }

    /// Where `rest` begins.
    fn at(&self, rest: Rest<'a>) -> usize {
        self.bytes.len() - rest.0.len()
    }

    /// What has been read between the two.
    pub(super) fn span(&self, from: Rest<'a>, to: Rest<'a>) -> Span {
        Span {
            start: self.at(from),
            end: self.at(to),
        }
    }

    #[cold]
    fn wrong(&mut self, rest: Rest<'a>, what: &'static str) -> Stopped {
        self.stop(ScanError::Syntax {
            at: self.at(rest),
            what,
        })
    }

    #[cold]
    fn stop(&mut self, error: ScanError) -> Stopped {
        self.error = Some(error);
        Stopped
    }

    /// Why the scan has stopped. Bytes that are not UTF-8 are told before anything else, wherever they stand.
    #[cold]
    pub(super) fn why(&self) -> ScanError {
        let unknown = ScanError::Syntax {
            at: self.bytes.len(),
            what: "a value should stand here",
        };
        not_utf8(self.bytes).or(self.error).unwrap_or(unknown)
    }
}

/// Out of the way, but not cold: prompts of other scripts come by here, and what is cold is compiled to be small.
#[inline(never)]
fn not_utf8(bytes: &[u8]) -> Option<ScanError> {
    let error = std::str::from_utf8(bytes).err()?;
    Some(ScanError::NotUtf8 {
        at: error.valid_up_to(),
    })
}
