//! What prompts may say of the machine: it stays the same while the program runs.

use std::env::consts;

use jiff::tz::TimeZone;

/// The variables of the host.
pub(super) const NAMES: [&str; 8] = [
    "_OS",
    "_ARCH",
    "_HOSTNAME",
    "_USER",
    "_HOME",
    "_SHELL",
    "_LANG",
    "_TIMEZONE",
];

/// The value of one of [`NAMES`]: nothing where the machine does not say; none for another name.
pub(super) fn value(name: &str, env: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let first = |names: &[&str]| names.iter().find_map(|name| env(name)).unwrap_or_default();
    Some(match name {
        "_OS" => consts::OS.to_owned(),
        "_ARCH" => consts::ARCH.to_owned(),
        "_HOSTNAME" => gethostname::gethostname().to_string_lossy().into_owned(),
        "_USER" => first(&["USER", "LOGNAME"]),
        "_HOME" => first(&["HOME"]),
        "_SHELL" => first(&["SHELL"]),
        "_LANG" => first(&["LC_ALL", "LANG"]),
        "_TIMEZONE" => TimeZone::system().iana_name().unwrap_or("UTC").to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_has_a_value_for_each_name_and_for_no_other() {
        let env = |name: &str| (name == "LOGNAME").then(|| "ann".to_owned());
        assert_eq!(value("_USER", &env).as_deref(), Some("ann"));
        assert_eq!(value("_SHELL", &env).as_deref(), Some(""));
        for name in ["_OS", "_ARCH", "_HOSTNAME", "_TIMEZONE"] {
            assert_ne!(value(name, &env).unwrap(), "", "{name}");
        }
        assert!(NAMES.iter().all(|name| value(name, &env).is_some()));
        assert_eq!(value("_PATH", &env), None);
    }
}
