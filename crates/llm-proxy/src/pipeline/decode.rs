//! Compressed bodies, in both directions, bounded in what they may unfold to.

use std::io::Read;

use bytes::Bytes;
use http::HeaderValue;

/// Why a body cannot be unfolded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Undecodable {
    /// An encoding that we do not read.
    Unknown,
    /// It unfolds to more than is allowed.
    TooLarge,
    /// It is not of that encoding.
    Broken,
}

/// Unfolds a body of that `content-encoding` (`gzip`, `zstd` or `identity`) to at most `max` bytes.
pub(super) fn decode(encoding: &HeaderValue, body: Bytes, max: usize) -> Result<Bytes, Undecodable> {
    let name = encoding
        .to_str()
        .map_err(|_why| Undecodable::Unknown)?
        .trim()
        .to_ascii_lowercase();
    match name.as_str() {
        "" | "identity" => Ok(body),
        "gzip" | "x-gzip" => bounded(flate2::read::MultiGzDecoder::new(&*body), max),
        "zstd" => bounded(
            zstd::stream::read::Decoder::new(&*body).map_err(|_why| Undecodable::Broken)?,
            max,
        ),
        _ => Err(Undecodable::Unknown),
    }
}

fn bounded(reader: impl Read, max: usize) -> Result<Bytes, Undecodable> {
    let mut out = Vec::new();
    let limit = max as u64 + 1;
    reader
        .take(limit)
        .read_to_end(&mut out)
        .map_err(|_why| Undecodable::Broken)?;
    if out.len() > max {
        return Err(Undecodable::TooLarge);
    }
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(data: &[u8]) -> Bytes {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap().into()
    }

    #[test]
    fn gzip_and_zstd_unfold_and_bombs_are_stopped_at_the_limit() {
        let text = vec![b'a'; 1_000_000];
        let gzip_header = HeaderValue::from_static("gzip");
        assert_eq!(decode(&gzip_header, gzip(b"hello"), 5).unwrap(), "hello");
        assert_eq!(
            decode(&gzip_header, gzip(&text), 999_999),
            Err(Undecodable::TooLarge)
        );
        let zstd_body = Bytes::from(zstd::encode_all(&*text, 0).unwrap());
        let zstd_header = HeaderValue::from_static("zstd");
        assert_eq!(
            decode(&zstd_header, zstd_body.clone(), 1_000_000).unwrap().len(),
            1_000_000
        );
        assert_eq!(decode(&zstd_header, zstd_body, 10), Err(Undecodable::TooLarge));
        assert_eq!(
            decode(&gzip_header, Bytes::from_static(b"not gzip"), 99),
            Err(Undecodable::Broken)
        );
        assert_eq!(
            decode(&HeaderValue::from_static("br"), Bytes::new(), 99),
            Err(Undecodable::Unknown)
        );
    }
}
