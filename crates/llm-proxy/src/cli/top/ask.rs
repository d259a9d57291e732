//! Questions to the admin listener: three GETs, over one connection each.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::board::Answers;
use crate::base::Secret;

/// How long one answer may take: the listener is near, and its answers are small.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer that is read, in bytes: the metrics of a few thousand backends.
const LONGEST: u64 = 16 * 1024 * 1024;
/// The longest head of an answer, in header lines.
const HEADERS: usize = 64;
/// How many requests are shown at most, on the largest screen.
const REQUESTS: &str = "/api/requests?limit=200";

/// An admin listener.
#[derive(Clone, Debug)]
pub(super) struct Admin {
    /// Its host and port.
    authority: String,
    key: Option<Secret>,
}

impl Admin {
    /// The one that a config speaks of; a wildcard address is asked on this machine.
    pub(super) fn at(listen: SocketAddr, key: Option<Secret>) -> Self {
        let ip = match listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        let authority = SocketAddr::new(ip, listen.port()).to_string();
        Self { authority, key }
    }

    /// The one of a URL: `http://host:port`, where `http://` may be left out.
    ///
    /// # Errors
    /// It is none; a sentence.
    pub(super) fn of_url(url: &str, key: Option<Secret>) -> Result<Self, String> {
        let rest = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
        let is_host = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
        let port = rest
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse::<u16>().ok());
        if port.is_none() || !rest.chars().all(is_host) {
            return Err(format!(
                "`{url}` is no address of an admin listener: it looks like http://127.0.0.1:8766"
            ));
        }
        Ok(Self {
            authority: rest.to_owned(),
            key,
        })
    }

    /// Where it is, for a person.
    pub(super) fn address(&self) -> String {
        format!("http://{}", self.authority)
    }

    /// Everything that a frame needs.
    ///
    /// # Errors
    /// A part of a sentence: why there is no answer.
    pub(super) fn answers(&self) -> Result<Answers, String> {
        let json = |path: &str| {
            let text = self.get(path)?;
            serde_json::from_str(&text).map_err(|_why| format!("{path} is no JSON, so this is no llm-proxy"))
        };
        Ok(Answers {
            status: json("/api/status")?,
            requests: json(REQUESTS)?,
            metrics: self.get("/metrics")?,
        })
    }

    fn get(&self, path: &str) -> Result<String, String> {
        let answer = self.exchange(path).map_err(|error| error.to_string())?;
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut head = httparse::Response::new(&mut headers);
        let parsed = head.parse(&answer);
        let (Ok(httparse::Status::Complete(length)), Some(status)) = (parsed, head.code) else {
            return Err("this is no answer of HTTP".to_owned());
        };
        match status {
            200 => {}
            401 if self.key.is_some() => return Err("the admin key is not the right one".to_owned()),
            401 => return Err("it wants a key: name the config with -c, or set ADMIN_KEY".to_owned()),
            421 => return Err("it does not go by this name: use its address".to_owned()),
            status => return Err(format!("{path} is answered with {status}")),
        }
        let body = answer.get(length..).unwrap_or_default();
        Ok(String::from_utf8_lossy(body).into_owned())
    }

    fn exchange(&self, path: &str) -> std::io::Result<Vec<u8>> {
        let mut last = std::io::Error::other("the name has no address");
        for address in self.authority.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(stream) => return self.ask(stream, path),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn ask(&self, mut stream: TcpStream, path: &str) -> std::io::Result<Vec<u8>> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let key = self.key.as_ref();
        let key = key.map(|key| format!("authorization: Bearer {}\r\n", key.expose()));
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\n{}connection: close\r\n\r\n",
            self.authority,
            key.unwrap_or_default()
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.take(LONGEST).read_to_end(&mut answer)?;
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_from_what_is_none() {
        for (url, address) in [
            ("http://127.0.0.1:8766", Some("http://127.0.0.1:8766")),
            ("http://localhost:8766/", Some("http://localhost:8766")),
            ("[::1]:1", Some("http://[::1]:1")),
            ("https://a:1", None),
            ("http://127.0.0.1", None),
            ("http://a:1/x", None),
            ("http://user@a:1", None),
            ("http://a:1\r\nx", None),
        ] {
            let admin = Admin::of_url(url, None).ok().map(|admin| admin.address());
            assert_eq!(admin.as_deref(), address, "{url}");
        }
        for (listen, address) in [
            ("0.0.0.0:7", "http://127.0.0.1:7"),
            ("[::]:7", "http://[::1]:7"),
            ("192.0.2.1:7", "http://192.0.2.1:7"),
        ] {
            assert_eq!(Admin::at(listen.parse().unwrap(), None).address(), address);
        }
    }
}
