//! A request's head: strict to the letter of RFC 9112, so that a proxy's slip is found here.

/// A request's line and headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) method: String,
    /// Path and query as they came.
    pub(crate) target: String,
    /// HTTP/1.0 closes after each answer.
    pub(crate) is_1_0: bool,
    /// In order, names in the case in which they came.
    pub(crate) headers: Vec<(String, String)>,
}

/// How the end of a request's body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(usize),
    Chunked,
}

/// What is wrong with a head, in words for the one who reads a failed test.
pub(crate) type Wrong = &'static str;

impl Head {
    /// Reads a head up to, and without, its empty line.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Wrong> {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.split("\r\n");
        let (method, target, is_1_0) = request_line(lines.next().unwrap_or_default())?;
        let headers = lines.map(header).collect::<Result<Vec<_>, _>>()?;
        let head = Self {
            method,
            target,
            is_1_0,
            headers,
        };
        match head.count("host") {
            1 => Ok(head),
            0 => Err("no host header"),
            _ => Err("more than one host header"),
        }
    }

    /// The first header of this name, whatever its case.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        get(&self.headers, name)
    }

    fn count(&self, name: &str) -> usize {
        self.headers
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .count()
    }

    /// How the body is framed. Both ways at once, or one twice, is how requests are smuggled: an error.
    pub(crate) fn framing(&self) -> Result<Framing, Wrong> {
        match (self.count("content-length"), self.count("transfer-encoding")) {
            (0, 0) => Ok(Framing::Length(0)),
            (1, 0) => self.length().map(Framing::Length),
            (0, 1)
                if self
                    .get("transfer-encoding")
                    .is_some_and(|v| v.eq_ignore_ascii_case("chunked")) =>
            {
                Ok(Framing::Chunked)
            }
            (0, 1) => Err("a transfer-encoding other than chunked"),
            (0, _) => Err("more than one transfer-encoding"),
            (_, 0) => Err("more than one content-length"),
            _ => Err("both content-length and transfer-encoding"),
        }
    }

    fn length(&self) -> Result<usize, Wrong> {
        let value = self.get("content-length").unwrap_or_default();
        let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
        let length = digits.then(|| value.parse().ok()).flatten();
        length.ok_or("a content-length that is no number")
    }

    pub(crate) fn wants_close(&self) -> bool {
        self.is_1_0
            || self
                .get("connection")
                .is_some_and(|v| v.eq_ignore_ascii_case("close"))
    }

    pub(crate) fn expects_continue(&self) -> bool {
        self.get("expect")
            .is_some_and(|v| v.eq_ignore_ascii_case("100-continue"))
    }
}

/// The first value of a header, whatever the case of its name.
pub(crate) fn get<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

fn request_line(line: &str) -> Result<(String, String, bool), Wrong> {
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err("a request line that is not three words");
    };
    if method.is_empty() || !method.bytes().all(|b| b.is_ascii_uppercase()) {
        return Err("a method that is no upper-case word");
    }
    if !target.starts_with('/') {
        return Err("a request target that does not begin with a slash");
    }
    match version {
        "HTTP/1.1" => Ok((method.to_owned(), target.to_owned(), false)),
        "HTTP/1.0" => Ok((method.to_owned(), target.to_owned(), true)),
        _ => Err("a version that is neither HTTP/1.1 nor HTTP/1.0"),
    }
}

fn header(line: &str) -> Result<(String, String), Wrong> {
    let (name, value) = line.split_once(':').ok_or("a header line without a colon")?;
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err("a header name that is no token");
    }
    if value.bytes().any(|b| b < b' ' && b != b'\t' || b == 0x7f) {
        return Err("a control character in a header value");
    }
    Ok((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_head_is_kept_as_it_came() {
        let head =
            Head::parse(b"POST /v1/x?beta=true HTTP/1.1\r\nHost: a:1\r\nX-Odd:  v \r\nContent-Length: 3")
                .unwrap();
        assert_eq!(
            (head.method.as_str(), head.target.as_str()),
            ("POST", "/v1/x?beta=true")
        );
        assert_eq!(head.headers[1], ("X-Odd".to_owned(), "v".to_owned()));
        assert_eq!(head.framing(), Ok(Framing::Length(3)));
        assert!(!head.wants_close());
    }

    #[test]
    fn a_head_that_another_parser_might_read_otherwise_is_refused() {
        for (head, wrong) in [
            (
                "POST /a b HTTP/1.1\r\nhost: x",
                "a request line that is not three words",
            ),
            (
                "post / HTTP/1.1\r\nhost: x",
                "a method that is no upper-case word",
            ),
            (
                "GET http://x/ HTTP/1.1\r\nhost: x",
                "a request target that does not begin with a slash",
            ),
            (
                "GET / HTTP/2\r\nhost: x",
                "a version that is neither HTTP/1.1 nor HTTP/1.0",
            ),
            ("GET / HTTP/1.1\r\nx: 1", "no host header"),
            (
                "GET / HTTP/1.1\r\nhost: x\r\nHost: x",
                "more than one host header",
            ),
            (
                "GET / HTTP/1.1\r\nhost: x\r\nfolded\r\n more",
                "a header line without a colon",
            ),
            ("GET / HTTP/1.1\r\nhost : x", "a header name that is no token"),
            (
                "GET / HTTP/1.1\r\nhost: x\ny: 1",
                "a control character in a header value",
            ),
        ] {
            assert_eq!(Head::parse(head.as_bytes()).map(|_| ()), Err(wrong), "{head}");
        }
    }

    #[test]
    fn a_body_framed_in_two_ways_is_refused() {
        for (headers, framing) in [
            ("", Ok(Framing::Length(0))),
            ("\r\ncontent-length: 7", Ok(Framing::Length(7))),
            ("\r\ntransfer-encoding: chunked", Ok(Framing::Chunked)),
            (
                "\r\ncontent-length: +7",
                Err("a content-length that is no number"),
            ),
            ("\r\ncontent-length: ", Err("a content-length that is no number")),
            (
                "\r\ncontent-length: 7\r\ncontent-length: 7",
                Err("more than one content-length"),
            ),
            (
                "\r\ntransfer-encoding: gzip",
                Err("a transfer-encoding other than chunked"),
            ),
            (
                "\r\ntransfer-encoding: chunked\r\nTransfer-Encoding: chunked",
                Err("more than one transfer-encoding"),
            ),
            (
                "\r\ncontent-length: 7\r\ntransfer-encoding: chunked",
                Err("both content-length and transfer-encoding"),
            ),
        ] {
            let head = Head::parse(format!("POST / HTTP/1.1\r\nhost: x{headers}").as_bytes()).unwrap();
            assert_eq!(head.framing(), framing, "{headers}");
        }
    }
}
