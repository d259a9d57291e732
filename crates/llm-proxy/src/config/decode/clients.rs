//! TLS, the admin listener, API keys.

use std::path::Path;

use super::bounds;
use crate::base::Secret;
use crate::base::glob::Glob;
use crate::config::fields::clients::{ADMIN, BUDGET, TLS};
use crate::config::formats;
use crate::config::types::{Admin, ApiKey, Budget, Period, ServerTls};
use crate::config::view::View;

pub(super) fn tls(top: &View<'_>, dir: &Path) -> Option<ServerTls> {
    let tls = top.maybe_section("tls", &TLS)?;
    let path = |key| tls.read(key, |text| Some(formats::path(text, dir)));
    Some(ServerTls {
        cert: path("cert")?,
        key: path("key")?,
    })
}

pub(super) fn admin(top: &View<'_>) -> Admin {
    let admin = top.section("admin", &ADMIN);
    let off = admin.text("listen").is_some_and(|text| text == "off");
    Admin {
        listen: if off {
            None
        } else {
            admin.read("listen", formats::address)
        },
        key: admin.read("key", |text| (!text.is_empty()).then(|| Secret::new(text))),
    }
}

pub(super) fn api_key(item: &View<'_>) -> ApiKey {
    let key = item.read("key", |text| Some(Secret::new(text)));
    let digest = key
        .as_ref()
        .map(Secret::digest)
        .or_else(|| item.read("key_sha256", formats::sha256));
    ApiKey {
        name: item.text("name").unwrap_or_default(),
        digest: digest.unwrap_or_default(),
        key,
        models: globs(item, "models"),
        enabled: item.truth("enabled"),
        expires: item.read("expires", formats::moment),
        rate_limit: bounds::rate(item, "rate_limit"),
        max_concurrent: item.int("max_concurrent"),
        priority: item.int("priority").unwrap_or_default(),
        budget: item
            .maybe_section("budget", &BUDGET)
            .and_then(|budget| self::budget(&budget)),
    }
}

fn budget(budget: &View<'_>) -> Option<Budget> {
    Some(Budget {
        usd: budget.number("usd")?,
        per: budget.named("per").unwrap_or(Period::Day),
    })
}

/// A list of globs.
pub(super) fn globs(view: &View<'_>, key: &str) -> Vec<Glob> {
    view.list(key, |text| Some(Glob::new(text)))
}
