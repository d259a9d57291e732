//! The headers of a head, of a request or of a response.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use httparse::Header;

/// Hands the headers that were parsed of a head to `put`, in order, with values that are slices of `copy`, a copy of its
/// bytes, which began at `start`.
///
/// # Errors
/// One of them is no header.
pub(crate) fn headers(
    parsed: &[Header<'_>],
    (copy, start): (&Bytes, usize),
    mut put: impl FnMut(HeaderName, HeaderValue),
) -> Result<(), http::Error> {
    for header in parsed {
        let name = HeaderName::from_bytes(header.name.as_bytes())?;
        let value = HeaderValue::from_maybe_shared(slice(header.value, (copy, start)))?;
        put(name, value);
    }
    Ok(())
}

/// That part of the copy which `part` is of the original.
pub(crate) fn slice(part: &[u8], (copy, start): (&Bytes, usize)) -> Bytes {
    let at = part.as_ptr().addr().saturating_sub(start).min(copy.len());
    copy.slice(at..(at + part.len()).min(copy.len()))
}

/// The options that one `connection` header names, or the codings of a `transfer-encoding`.
pub(crate) fn options(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// The number that a `content-length` says: digits and nothing else, not even a sign.
pub(crate) fn digits(value: &[u8]) -> Option<u64> {
    let first = value.first().map(|_| 0);
    value.iter().fold(first, |number: Option<u64>, byte| {
        let digit = char::from(*byte).to_digit(10)?;
        number?.checked_mul(10)?.checked_add(digit.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_digits_and_fits() {
        for (text, number) in [
            ("0", Some(0)),
            ("007", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("99999999999999999999", None),
            ("", None),
            ("+5", None),
            ("-5", None),
            (" 5", None),
            ("5,5", None),
            ("5x", None),
            ("\u{663}", None),
        ] {
            assert_eq!(digits(text.as_bytes()), number, "{text:?}");
        }
    }
}
