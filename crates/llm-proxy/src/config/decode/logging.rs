//! Logs, and the ledger.

use std::path::Path;

use crate::config::database;
use crate::config::fields::logging::{FILE, LEDGER, LOGGING};
use crate::config::formats;
use crate::config::types::{Bodies, Ledger, LogFile, LogFormat, Logging, Mask, Rotate};
use crate::config::view::View;

pub(super) fn logging(top: &View<'_>, dir: &Path) -> Logging {
    let logging = top.section("logging", &LOGGING);
    Logging {
        level: logging.text("level").unwrap_or_default(),
        format: logging.named("format").unwrap_or(LogFormat::Auto),
        file: logging
            .maybe_section("file", &FILE)
            .and_then(|file| self::file(&file, dir)),
        bodies_dir: logging
            .section("file", &FILE)
            .read("dir", |text| Some(formats::path(text, dir)))
            .unwrap_or_default()
            .join("bodies"),
        access: logging.truth("access"),
        bodies: logging.named("bodies").unwrap_or(Bodies::Off),
        mask: logging.named("mask").unwrap_or(Mask::Standard),
    }
}

fn file(file: &View<'_>, dir: &Path) -> Option<LogFile> {
    Some(LogFile {
        dir: file.read("dir", |text| Some(formats::path(text, dir)))?,
        rotate: file.named("rotate").unwrap_or(Rotate::Daily),
        max_size: file.read("max_size", crate::config::scalars::size),
        max_files: file.int("max_files").unwrap_or(1),
        compress: file.truth("compress"),
    })
}

pub(super) fn ledger(top: &View<'_>, dir: &Path) -> Option<Ledger> {
    let ledger = top.section("ledger", &LEDGER);
    let retention = ledger.maybe_duration("retention");
    let at = ledger.read("url", |text| database::ledger(text, dir))?;
    Some(Ledger { at, retention })
}
