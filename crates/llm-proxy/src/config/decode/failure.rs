//! Falling back and detection.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::Class;
use crate::config::fields::failure::{DETECTION, ERROR_MAP, FALLBACK, TRIP};
use crate::config::types::{Detection, ErrorMap, Fallback, Trip, WhenAllCooling};
use crate::config::view::View;
use crate::config::{formats, scalars};

/// First cooldowns of their own that are built in (contract, section 4).
const COOLDOWNS: [(Class, Duration); 3] = [
    (Class::Auth, Duration::from_mins(10)),
    (Class::Quota, Duration::from_mins(30)),
    (Class::NotFound, Duration::from_mins(10)),
];

pub(super) fn fallback(top: &View<'_>) -> Fallback {
    let fallback = top.section("fallback", &FALLBACK);
    Fallback {
        max_attempts: fallback.int("max_attempts").unwrap_or(1),
        cooldown: fallback.duration("cooldown"),
        cooldown_max: fallback.duration("cooldown_max"),
        cooldowns: cooldowns(&fallback),
        trip: trip(&fallback.section("trip", &TRIP)),
        retry_budget: fallback.number("retry_budget").unwrap_or_default(),
        slow_failure_cutoff: fallback.duration("slow_failure_cutoff"),
        when_all_cooling: fallback
            .named("when_all_cooling")
            .unwrap_or(WhenAllCooling::Probe),
    }
}

fn cooldowns(fallback: &View<'_>) -> BTreeMap<Class, Duration> {
    let set = fallback.entries("cooldowns").iter().filter_map(|entry| {
        Some((
            Class::from_name(&entry.key)?,
            scalars::duration(entry.node.text()?)?,
        ))
    });
    COOLDOWNS.into_iter().chain(set).collect()
}

fn trip(trip: &View<'_>) -> Trip {
    Trip {
        consecutive: trip.int("consecutive").unwrap_or(1),
        error_rate: trip.number("error_rate").unwrap_or_default(),
        min_requests: trip.int("min_requests").unwrap_or(1),
        window: trip.duration("window"),
    }
}

pub(super) fn detection(top: &View<'_>) -> Detection {
    let detection = top.section("detection", &DETECTION);
    Detection {
        error_codes: detection.list("error_codes", formats::status),
        error_patterns: detection.list("error_patterns", formats::pattern),
        error_map: detection
            .sections("error_map", &ERROR_MAP)
            .iter()
            .filter_map(error_map)
            .collect(),
    }
}

fn error_map(item: &View<'_>) -> Option<ErrorMap> {
    Some(ErrorMap {
        backend: item.text("backend"),
        status: item.read("status", formats::status),
        pattern: item.read("pattern", formats::pattern),
        class: item.read("class", Class::from_name)?,
    })
}
