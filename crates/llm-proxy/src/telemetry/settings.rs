//! What a config says of its collector, ready for use.

use std::time::Duration;

use http::uri::{Authority, Scheme};

use super::attributes::Attributes;
use super::collector::{Collector, Speaks};
use super::proto::{KeyValue, Resource, Scope};
use crate::config::types::{Config, HttpVersion, OtlpProtocol, OutboundProxy, Telemetry};
use crate::state::client_tls;
use crate::upstream::{Address, Pools};

/// The port of OTLP/HTTP, as it is registered.
const HTTP_PORT: u16 = 4318;

/// What a config says of its collector.
#[derive(Debug, PartialEq)]
pub struct Settings {
    address: Address,
    telemetry: Telemetry,
    authority: Authority,
    scheme: Scheme,
}

impl Settings {
    /// What that config says; none where it wants no telemetry.
    ///
    /// # Errors
    /// A sentence: a file cannot be read.
    pub fn of(config: &Config) -> Result<Option<Self>, String> {
        let Some(telemetry) = &config.telemetry else {
            return Ok(None);
        };
        let url = &telemetry.otlp;
        let authority = url.authority().cloned();
        let authority = authority.ok_or("telemetry: `otlp` has no host")?;
        let scheme = url.scheme().cloned().unwrap_or(Scheme::HTTP);
        let secure = scheme == Scheme::HTTPS;
        let tls = secure.then(|| client_tls(&telemetry.tls)).transpose();
        let address = Address {
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            tls: tls.map_err(|why| format!("telemetry: {why}"))?,
            http: match speaks(telemetry) {
                Speaks::Grpc => HttpVersion::Http2,
                Speaks::Http(_) => HttpVersion::Auto,
            },
            proxy: OutboundProxy::None,
            // It is the operator's own; agents of clouds listen at such addresses.
            allow_metadata: true,
        };
        Ok(Some(Self {
            address,
            telemetry: telemetry.clone(),
            authority,
            scheme,
        }))
    }

    /// The collector.
    pub(super) fn collector(&self, pools: &Pools) -> Collector {
        Collector {
            endpoint: pools.endpoint(self.address.clone()),
            scheme: self.scheme.clone(),
            authority: self.authority.clone(),
            speaks: speaks(&self.telemetry),
            headers: self.telemetry.headers.clone(),
        }
    }

    /// Its host and port, for the log.
    pub(super) fn shown(&self) -> &str {
        self.authority.as_str()
    }

    /// How often metrics are sent, if they are.
    pub(super) fn metrics_every(&self) -> Option<Duration> {
        self.telemetry.metrics
    }

    /// Where spans and metrics come from: this process of this program on this machine.
    pub(super) fn resource(&self, instance: &str) -> Resource {
        let mut attributes = Attributes::default();
        attributes
            .text("service.name", "llm-proxy")
            .text("service.version", env!("CARGO_PKG_VERSION"))
            .name("service.instance.id", instance)
            .text(
                "host.name",
                gethostname::gethostname().to_string_lossy().into_owned(),
            )
            .whole("process.pid", std::process::id());
        let mut own = attributes.0;
        for (key, value) in &self.telemetry.resource {
            own.retain(|other: &KeyValue| other.key != key.as_bytes());
            let mut one = Attributes::default();
            one.text(key.clone(), value.clone());
            own.append(&mut one.0);
        }
        Resource { attributes: own }
    }
}

/// Which code makes spans and metrics: this.
pub(super) fn scope() -> Scope {
    Scope {
        name: "llm-proxy".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

fn speaks(telemetry: &Telemetry) -> Speaks {
    let path = telemetry.otlp.path().trim_end_matches('/');
    let base = ["/v1/traces", "/v1/metrics"]
        .iter()
        .find_map(|own| path.strip_suffix(own));
    let http = Speaks::Http(base.unwrap_or(path).to_owned());
    match telemetry.protocol {
        OtlpProtocol::Http => http,
        OtlpProtocol::Auto if !path.is_empty() => http,
        OtlpProtocol::Auto if telemetry.otlp.port_u16() == Some(HTTP_PORT) => http,
        OtlpProtocol::Auto | OtlpProtocol::Grpc => Speaks::Grpc,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_says_how_a_collector_is_spoken_to_unless_the_config_does() {
        let http = |base: &str| Speaks::Http(base.to_owned());
        for (url, protocol, expected) in [
            ("http://127.0.0.1:4317", OtlpProtocol::Auto, Speaks::Grpc),
            ("https://otlp.example.com", OtlpProtocol::Auto, Speaks::Grpc),
            ("http://127.0.0.1:4318", OtlpProtocol::Auto, http("")),
            ("http://127.0.0.1:4317/v1/traces", OtlpProtocol::Auto, http("")),
            ("https://example.com/otlp", OtlpProtocol::Auto, http("/otlp")),
            (
                "https://example.com/otlp/v1/metrics",
                OtlpProtocol::Auto,
                http("/otlp"),
            ),
            ("http://127.0.0.1:4318", OtlpProtocol::Grpc, Speaks::Grpc),
            ("http://127.0.0.1:9999", OtlpProtocol::Http, http("")),
        ] {
            let telemetry = Telemetry {
                otlp: url.parse().unwrap(),
                protocol,
                ..Telemetry::default()
            };
            assert_eq!(speaks(&telemetry), expected, "{url}");
        }
    }
}
