//! W3C Trace Context: what a `traceparent` says, and how one is written (Level 1, section 3.2, and the flag of Level 2).

use http::HeaderValue;

/// The version that we write.
const VERSION: u8 = 0;
/// A version that no header may have.
const NO_VERSION: u8 = 0xff;
/// Length of a header of version 0. Later versions may put more behind it, after a `-`.
const LENGTH: usize = 55;
/// The flag that says: whoever sent this records its spans.
const SAMPLED: u8 = 0b01;
/// The flag that says: the trace id is random (Level 2). Passed on; the rest of the flags means nothing yet.
const RANDOM: u8 = 0b10;

/// The id of a trace; never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceId(u128);

/// The id of a span; never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpanId(u64);

/// What goes from one program to the next: whose trace, below which span, and whether it is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The trace.
    pub trace: TraceId,
    /// The span that causes what follows.
    pub span: SpanId,
    /// Whether it is recorded.
    pub sampled: bool,
    /// Whether the trace's id is known to be random.
    pub random: bool,
}

impl TraceId {
    /// An id out of random bits; the one in 2^128 that are all 0 become another.
    pub fn of(random: u128) -> Self {
        Self(random.max(1))
    }

    /// Its sixteen bytes.
    pub fn bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// As headers and logs write it: 32 hex digits.
    pub fn hex(self) -> String {
        let mut text = [0; 2 * size_of::<u128>()];
        write_hex(text.get_mut(..), &self.bytes());
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl SpanId {
    /// An id out of random bits; 0 becomes another.
    pub fn of(random: u64) -> Self {
        Self(random.max(1))
    }

    /// Its eight bytes.
    pub fn bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}

impl Parent {
    /// What a header says; none where it is not as the specification wants it: then the trace begins anew.
    pub fn read(header: &[u8]) -> Option<Self> {
        let (own, more) = header.split_at_checked(LENGTH)?;
        let own = std::str::from_utf8(own).ok()?;
        let version = u8::try_from(hex(own, 0..2)?).ok()?;
        let fits = match version {
            NO_VERSION => false,
            VERSION => more.is_empty(),
            _ => more.is_empty() || more.starts_with(b"-"),
        };
        let dashes = [2, 35, 52]
            .iter()
            .all(|at| own.as_bytes().get(*at) == Some(&b'-'));
        let (trace, span) = (hex(own, 3..35)?, hex(own, 36..52)?);
        let flags = u8::try_from(hex(own, 53..55)?).ok()?;
        (fits && dashes && trace != 0 && span != 0).then_some(Self {
            trace: TraceId(trace),
            span: SpanId(u64::try_from(span).ok()?),
            sampled: flags & SAMPLED != 0,
            random: flags & RANDOM != 0,
        })
    }

    /// The header that says this.
    pub fn header(self) -> Option<HeaderValue> {
        let flags = (u8::from(self.sampled) * SAMPLED) | (u8::from(self.random) * RANDOM);
        let mut text = [b'-'; LENGTH];
        write_hex(text.get_mut(0..2), &[VERSION]);
        write_hex(text.get_mut(3..35), &self.trace.bytes());
        write_hex(text.get_mut(36..52), &self.span.bytes());
        write_hex(text.get_mut(53..55), &[flags]);
        HeaderValue::from_bytes(&text).ok()
    }
}

/// Two digits for each byte. Formatting in the general way takes as long as a twentieth of a whole request.
fn write_hex(text: Option<&mut [u8]>, bytes: &[u8]) {
    let digit = |value: u8| value + if value < 10 { b'0' } else { b'a' - 10 };
    let (pairs, _) = text.unwrap_or_default().as_chunks_mut();
    for (pair, byte) in pairs.iter_mut().zip(bytes) {
        *pair = [digit(byte >> 4), digit(byte & 0xf)];
    }
}

/// The number that these hex digits are; only lower case counts.
fn hex(text: &str, range: std::ops::Range<usize>) -> Option<u128> {
    let digits = text.get(range)?;
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if !digits.bytes().all(is_digit) {
        return None;
    }
    u128::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SANE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn o08_a_sane_header_is_read_and_written_as_it_was() {
        let parent = Parent::read(SANE.as_bytes()).unwrap();
        assert_eq!(parent.trace.hex(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(parent.span.bytes(), 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes());
        assert!(parent.sampled && !parent.random);
        assert_eq!(parent.header().unwrap(), SANE);
        for (flags, told) in [("00", "00"), ("03", "03"), ("02", "02"), ("fd", "01")] {
            let header = SANE.replace("-01", &format!("-{flags}"));
            let told = SANE.replace("-01", &format!("-{told}"));
            assert_eq!(Parent::read(header.as_bytes()).unwrap().header().unwrap(), told);
        }
    }

    #[test]
    fn o08_a_later_version_may_have_more_and_is_answered_in_ours() {
        for header in [
            SANE.replacen("00", "01", 1),
            format!("cc{}-what-ever", &SANE[2..]),
        ] {
            let parent = Parent::read(header.as_bytes()).unwrap();
            assert_eq!(parent.header().unwrap(), SANE, "{header}");
        }
    }

    #[test]
    fn o08_anything_else_begins_a_trace_anew() {
        let cut = |at: usize| SANE[..at].to_owned();
        let with = |at: usize, byte: &str| format!("{}{byte}{}", &SANE[..at], &SANE[at + 1..]);
        let zero_trace = format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32));
        let zero_span = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", "0".repeat(16));
        for header in [
            String::new(),
            cut(54),
            cut(52),
            format!("{SANE}-00"),
            format!("{SANE} "),
            format!(" {SANE}"),
            format!("01{}x", &SANE[2..]),
            SANE.replacen("00", "ff", 1),
            SANE.to_uppercase(),
            with(10, "g"),
            with(10, "+"),
            with(40, "-"),
            with(2, "_"),
            with(35, "_"),
            with(52, "_"),
            with(54, "é"),
            zero_trace,
            zero_span,
        ] {
            assert_eq!(Parent::read(header.as_bytes()), None, "{header}");
        }
        assert_eq!(Parent::read(&[0xff; LENGTH]), None, "no text at all");
    }

    #[test]
    fn an_id_is_never_0() {
        assert_eq!(TraceId::of(0).bytes()[15], 1);
        assert_eq!(SpanId::of(0).bytes()[7], 1);
        assert_eq!(SpanId::of(7).bytes()[7], 7);
    }
}
