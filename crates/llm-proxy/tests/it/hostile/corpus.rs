//! Spellings of requests that servers are known to read differently, alone and pipelined.

/// What a client sends at once, and what is to come of it.
pub struct Spelling {
    /// What is odd about it.
    pub name: String,
    pub raw: Vec<u8>,
    /// How many of its requests, from the first on, are beyond doubt: these alone may reach a backend.
    pub sound: usize,
    pub then: Then,
}

/// What comes of what follows the sound requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Nothing follows.
    Silence,
    /// It is refused, and no more than that is wrong with it.
    Error,
    /// It is refused, and the connection ends.
    End,
}

/// The length of each [`body`].
const LENGTH: usize = 74;

/// A body that says whose it is: the spelling (by [`corpus`]) and the word. Of each word the body has one length.
fn body(word: &str) -> String {
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"@@@ {word:<15}"}}]}}"#);
    assert_eq!(body.len(), LENGTH, "{body}");
    body
}

fn post(headers: &str, body: &str) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{headers}\r\n{body}"
    )
}

fn with_length() -> String {
    format!("content-length: {LENGTH}\r\n")
}

/// A request that nothing can be said against.
fn sound(word: &str) -> String {
    post(&with_length(), &body(word))
}

/// The same in chunks.
fn sound_in_chunks(word: &str) -> String {
    let body = body(word);
    let (first, second) = body.split_at(10);
    let chunks = format!("a\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n", second.len());
    post("transfer-encoding: chunked\r\n", &chunks)
}

/// One that must never reach a backend by itself.
fn smuggled() -> String {
    sound("smuggled")
}

/// Headers that make a head unclear, each with `{}` where the length of the body belongs.
const UNCLEAR: [(&str, &str); 33] = [
    (
        "both lengths",
        "content-length: {}\r\ntransfer-encoding: chunked\r\n",
    ),
    (
        "both, the other way round",
        "transfer-encoding: chunked\r\ncontent-length: {}\r\n",
    ),
    (
        "two lengths alike",
        "content-length: {}\r\ncontent-length: {}\r\n",
    ),
    ("two lengths", "content-length: {}\r\ncontent-length: 0\r\n"),
    (
        "two lengths, zero first",
        "content-length: 0\r\ncontent-length: {}\r\n",
    ),
    ("a list of lengths", "content-length: {}, {}\r\n"),
    ("a plus", "content-length: +{}\r\n"),
    ("a minus", "content-length: -{}\r\n"),
    ("hexadecimal", "content-length: 0x4a\r\n"),
    ("a comma", "content-length: {},\r\n"),
    (
        "an empty length",
        "content-length: \r\ntransfer-encoding: chunked\r\n",
    ),
    (
        "a length that overflows",
        "content-length: 18446744073709551690\r\n",
    ),
    ("words behind the length", "content-length: {} bytes\r\n"),
    (
        "two encodings",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
    ),
    (
        "an encoding before chunked",
        "transfer-encoding: gzip, chunked\r\n",
    ),
    (
        "an encoding behind chunked",
        "transfer-encoding: chunked, identity\r\n",
    ),
    (
        "identity",
        "transfer-encoding: identity\r\ncontent-length: {}\r\n",
    ),
    (
        "an encoding with a tail",
        "transfer-encoding: chunked;q=1\r\ncontent-length: {}\r\n",
    ),
    ("a quoted encoding", "transfer-encoding: \"chunked\"\r\n"),
    (
        "an x before chunked",
        "transfer-encoding: xchunked\r\ncontent-length: {}\r\n",
    ),
    (
        "a vertical tab",
        "transfer-encoding: \x0bchunked\r\ncontent-length: {}\r\n",
    ),
    ("a space before the colon", "content-length : {}\r\n"),
    (
        "a space before the encoding's colon",
        "transfer-encoding : chunked\r\ncontent-length: {}\r\n",
    ),
    (
        "a tab before the colon",
        "transfer-encoding\t: chunked\r\ncontent-length: {}\r\n",
    ),
    (
        "a folded encoding",
        "transfer-encoding:\r\n chunked\r\ncontent-length: {}\r\n",
    ),
    (
        "a folded header",
        "x-folded: a\r\n\ttransfer-encoding: chunked\r\ncontent-length: {}\r\n",
    ),
    (
        "a leading space",
        " transfer-encoding: chunked\r\ncontent-length: {}\r\n",
    ),
    ("a bare line feed", "content-length: {}\nx: y\r\n"),
    (
        "a bare line feed that hides an encoding",
        "x: y\ntransfer-encoding: chunked\r\ncontent-length: {}\r\n",
    ),
    (
        "a bare carriage return",
        "x: y\rtransfer-encoding: chunked\r\ncontent-length: {}\r\n",
    ),
    ("a zero byte", "x: \0y\r\ncontent-length: {}\r\n"),
    ("a zero byte in a name", "x\0: y\r\ncontent-length: {}\r\n"),
    ("two hosts", "host: y\r\ncontent-length: {}\r\n"),
];

/// Bodies in chunks that are none, behind a sound head.
const BROKEN_CHUNKS: [(&str, &str); 11] = [
    ("a size with a plus", "+4a\r\n{}\r\n0\r\n\r\n"),
    ("a size with a prefix", "0x4a\r\n{}\r\n0\r\n\r\n"),
    ("a size with a space before it", " 4a\r\n{}\r\n0\r\n\r\n"),
    ("a size that overflows", "1000000000000004a\r\n{}\r\n0\r\n\r\n"),
    ("a size of minus", "-4a\r\n{}\r\n0\r\n\r\n"),
    ("no size", "\r\n{}\r\n0\r\n\r\n"),
    ("a line feed behind the size", "4a\n{}\r\n0\r\n\r\n"),
    ("a carriage return behind the size", "4a\r{}\r\n0\r\n\r\n"),
    ("a chunk that is longer than its size", "49\r\n{}\r\n0\r\n\r\n"),
    ("an extension with a line feed", "4a;x\ny\r\n{}\r\n0\r\n\r\n"),
    ("a trailer with a line feed", "4a\r\n{}\r\n0\r\nx: y\n\r\n"),
];

/// All of them. What is odd comes alone, and behind a sound request on the same connection; a request that must not be
/// seen follows it.
pub fn corpus() -> Vec<Spelling> {
    let mut all = harmless();
    let unclear = UNCLEAR.iter().map(|(name, headers)| {
        let headers = headers.replace("{}", &LENGTH.to_string());
        ((*name).to_owned(), post(&headers, &body("odd")))
    });
    let chunks = BROKEN_CHUNKS.iter().map(|(name, chunks)| {
        let chunks = chunks.replace("{}", &body("odd"));
        (
            (*name).to_owned(),
            post("transfer-encoding: chunked\r\n", &chunks),
        )
    });
    for (name, odd) in unclear.chain(chunks).chain(odd_lines()) {
        for (sort, before, count) in [
            ("alone", String::new(), 0),
            ("second", sound("first"), 1),
            ("third", sound_in_chunks("first") + &sound("second"), 2),
        ] {
            all.push(Spelling {
                name: format!("{name}, {sort}"),
                raw: format!("{before}{odd}{}", smuggled()).into_bytes(),
                sound: count,
                then: Then::End,
            });
        }
    }
    for (nth, spelling) in all.iter_mut().enumerate() {
        let text = String::from_utf8(std::mem::take(&mut spelling.raw)).unwrap();
        spelling.raw = text.replace("@@@", &format!("{nth:03}")).into_bytes();
    }
    all
}

/// Request lines and heads that are odd as a whole.
fn odd_lines() -> Vec<(String, String)> {
    let odd = sound("odd");
    let line = "POST /v1/chat/completions HTTP/1.1\r\n";
    let instead = |other: &str| odd.replace(line, other);
    let chunked_1_0 = sound_in_chunks("odd").replace("HTTP/1.1", "HTTP/1.0");
    let extended = format!("4a;{}\r\n{}\r\n0\r\n\r\n", "x".repeat(1 << 20), body("odd"));
    [
        ("chunks in HTTP/1.0", chunked_1_0),
        ("line feeds alone", odd.replace("\r\n", "\n")),
        (
            "a line feed behind the request line",
            instead("POST /v1/chat/completions HTTP/1.1\n"),
        ),
        (
            "a request line in two",
            instead("POST /v1/chat/completions\r\n HTTP/1.1\r\n"),
        ),
        (
            "another version",
            instead("POST /v1/chat/completions HTTP/1.2\r\n"),
        ),
        ("version 2", instead("POST /v1/chat/completions HTTP/2.0\r\n")),
        ("no version", instead("POST /v1/chat/completions\r\n")),
        (
            "a tab in the request line",
            instead("POST\t/v1/chat/completions HTTP/1.1\r\n"),
        ),
        (
            "a zero byte in the target",
            instead("POST /v1/chat/completions\0 HTTP/1.1\r\n"),
        ),
        (
            "the URL of another host",
            instead("POST http://evil/v1/chat/completions HTTP/1.1\r\n"),
        ),
        ("no host", odd.replace("host: x\r\n", "")),
        ("an empty line that is bare", odd.replace("\r\n\r\n", "\r\n\n")),
        (
            "a mebibyte of extensions",
            post("transfer-encoding: chunked\r\n", &extended),
        ),
    ]
    .map(|(name, odd)| (name.to_owned(), odd))
    .to_vec()
}

/// Spellings that are unusual and clear: all is answered, nothing else is found in them.
fn harmless() -> Vec<Spelling> {
    let in_its_body = post(
        &format!("content-length: {}\r\n", LENGTH + smuggled().len()),
        &(body("first") + &smuggled()),
    );
    let spaced = format!("Content-Length:   {LENGTH}  \r\n");
    let upper = sound_in_chunks("first").replace("transfer-encoding: chunked", "TRANSFER-ENCODING: CHUNKED");
    let extended = format!("4a;name=\"a value\"\r\n{}\r\n00000 ;x\r\n\r\n", body("first"));
    let trailed = format!(
        "4a\r\n{}\r\n0\r\nx-api-key: y\r\ncontent-length: 3\r\n\r\n",
        body("first")
    );
    let in_chunks = |chunks: &str| post("transfer-encoding: chunked\r\n", chunks);
    let upgrade = |to: &str| {
        post(
            &format!("connection: upgrade\r\nupgrade: {to}\r\n{}", with_length()),
            &body("first"),
        )
    };
    let absolute = sound("first").replace("POST /", "POST http://x/");
    let second = sound("second");
    [
        ("two requests", sound("first") + &second, 2),
        (
            "empty lines before them",
            format!("\r\n\r\n{}\r\n{second}", sound("first")),
            2,
        ),
        ("a request in a body", in_its_body, 0),
        (
            "spaces around the length",
            post(&spaced, &body("first")) + &second,
            2,
        ),
        ("shouted headers", upper + &second, 2),
        ("extensions of chunks", in_chunks(&extended) + &second, 2),
        ("trailers", in_chunks(&trailed) + &second, 2),
        ("an offer of HTTP/2", upgrade("h2c") + &second, 2),
        ("an offer of a web socket", upgrade("websocket") + &second, 2),
        ("its own host in the URL", absolute + &second, 2),
    ]
    .map(|(name, raw, sound)| Spelling {
        name: name.to_owned(),
        raw: raw.into_bytes(),
        sound,
        then: if sound == 0 { Then::Error } else { Then::Silence },
    })
    .into()
}
