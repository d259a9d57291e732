//! The headers of a head, of a request or of a response.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use httparse::Header;

/// The headers that were parsed of a head, with values that are slices of `copy`, a copy of its bytes, which began at
/// `start`. Each is shown to `note` on its way.
///
/// # Errors
/// One of them is no header.
pub(crate) fn headers(
    parsed: &[Header<'_>],
    (copy, start): (&Bytes, usize),
    mut note: impl FnMut(&HeaderName, &[u8]),
) -> Result<HeaderMap, http::Error> {
    let mut headers = HeaderMap::with_capacity(parsed.len());
    for header in parsed {
        let name = HeaderName::from_bytes(header.name.as_bytes())?;
        let value = HeaderValue::from_maybe_shared(slice(header.value, (copy, start)))?;
        note(&name, value.as_bytes());
        headers.append(name, value);
    }
    Ok(headers)
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
