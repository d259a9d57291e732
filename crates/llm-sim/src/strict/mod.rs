//! Whether a request is one that the real provider would take: its head here and in [`credentials`], its body
//! in a file for each dialect. Errors come in the provider's own words and shape.
//!
//! Unknown fields are let through, as tests of a pass-through need them; fields of *another* dialect are
//! not, since they are what a sloppy conversion leaves behind.

mod chat;
mod credentials;
mod field;
mod lesser;
mod messages;
mod responses;

use serde_json::Value;

use crate::api::{Api, Envelope};
use crate::fault::Fault;
use crate::seen::Seen;
use field::At;

/// What a backend has been told to insist on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    /// The backend's own port, which `host` must name; none: any host will do.
    pub(crate) port: Option<u16>,
    /// None: any key will do.
    pub(crate) keys: Vec<String>,
    pub(crate) canaries: Vec<String>,
}

/// Headers that end at a proxy, or that tell of its clients.
const FOREIGN: [&str; 11] = [
    "cookie",
    "forwarded",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
];

/// Checks a request to an endpoint.
pub(crate) fn check(seen: &Seen, api: Api, rules: &Rules) -> Result<(), Fault> {
    head(seen, rules)?;
    secrets(seen, rules)?;
    credentials::check(seen, api, rules)?;
    if api == Api::Models {
        return Ok(());
    }
    if api.envelope() == Envelope::Anthropic && seen.header("anthropic-version").is_none() {
        return Err(Fault::new(400, "anthropic-version: header is required"));
    }
    media(seen, api)?;
    if api == Api::Transcriptions {
        return lesser::form(seen);
    }
    let value: Value = serde_json::from_slice(&seen.body).map_err(|e| {
        Fault::new(
            400,
            format!("We could not parse the JSON body of your request: {e}"),
        )
    })?;
    body(&At::root(&value), api).map_err(|wrong| wrong.fault(api.envelope()))
}

fn body(body: &At<'_>, api: Api) -> Result<(), field::Wrong> {
    body.object()?;
    body.need("model")?.text()?;
    match api {
        Api::Chat => chat::check(body),
        Api::Responses => responses::check(body),
        Api::Messages => messages::check(body),
        Api::CountTokens => messages::check_count(body),
        _ => lesser::check(body, api),
    }
}

fn head(seen: &Seen, rules: &Rules) -> Result<(), Fault> {
    if let Some((name, _)) = seen.headers.iter().find(|(name, _)| is_foreign(name)) {
        return Err(Fault::new(400, format!("the header {name} is not for a backend")));
    }
    let connection = seen.header("connection").unwrap_or("close");
    if !["close", "keep-alive"]
        .iter()
        .any(|known| connection.eq_ignore_ascii_case(known))
    {
        return Err(Fault::new(
            400,
            format!("the header connection: {connection} is not for a backend"),
        ));
    }
    let host = seen.header("host").unwrap_or_default();
    let port = host.rsplit_once(':').map_or("80", |(_, port)| port).parse().ok();
    if rules.port.is_some() && port != rules.port {
        return Err(Fault::new(400, format!("the host {host} is not this backend")));
    }
    Ok(())
}

fn is_foreign(name: &str) -> bool {
    FOREIGN.iter().any(|foreign| name.eq_ignore_ascii_case(foreign))
}

fn secrets(seen: &Seen, rules: &Rules) -> Result<(), Fault> {
    let body = String::from_utf8_lossy(&seen.body);
    let leaks = |canary: &&String| {
        body.contains(canary.as_str())
            || seen
                .headers
                .iter()
                .any(|(_, value)| value.contains(canary.as_str()))
    };
    match rules.canaries.iter().find(leaks) {
        // Which one it was stays unsaid: this text travels back through the proxy.
        Some(_) => Err(Fault::new(400, "a secret of somebody else is in the request")),
        None => Ok(()),
    }
}

fn media(seen: &Seen, api: Api) -> Result<(), Fault> {
    if seen
        .header("content-encoding")
        .is_some_and(|encoding| encoding != "identity")
    {
        return Err(Fault::new(415, "Compressed request bodies are not supported."));
    }
    let wanted = if api == Api::Transcriptions {
        "multipart/form-data"
    } else {
        "application/json"
    };
    let given = seen.header("content-type").unwrap_or_default();
    if given
        .get(..wanted.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(wanted))
    {
        return Ok(());
    }
    Err(Fault::new(
        400,
        format!("content-type must be {wanted}, not '{given}'"),
    ))
}
