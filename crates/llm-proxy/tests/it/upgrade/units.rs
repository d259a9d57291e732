//! The units of `deploy/systemd`.

use std::collections::HashMap;
use std::path::Path;

/// The values of each `Section.Key`.
fn unit(name: &str) -> HashMap<String, Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../deploy/systemd")
        .join(name);
    let text = std::fs::read_to_string(path).unwrap();
    let (mut keys, mut section) = (HashMap::<_, Vec<_>>::new(), String::new());
    for line in text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        if let Some(name) = line.strip_prefix('[') {
            name.trim_end_matches(']').clone_into(&mut section);
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("no key: {line}"));
        keys.entry(format!("{section}.{key}"))
            .or_default()
            .push(value.to_owned());
    }
    keys
}

#[test]
fn o04_the_units_say_what_an_upgrade_relies_on() {
    let service = unit("llm-proxy.service");
    for (key, value, why) in [
        (
            "Service.Type",
            "notify",
            "systemd follows MAINPID after a hand-over",
        ),
        ("Service.NotifyAccess", "main", "and believes no other process"),
        (
            "Service.ExecReload",
            "/bin/kill -HUP $MAINPID",
            "a reload is a SIGHUP",
        ),
        (
            "Service.TimeoutStopSec",
            "40",
            "above the 30 s of `shutdown_grace`",
        ),
    ] {
        assert_eq!(
            service.get(key).map(Vec::as_slice),
            Some(&[value.to_owned()][..]),
            "{key}: {why}"
        );
    }
    // A stop is a drain of every process: of the one that serves, and of what is left of those before it.
    assert_eq!(service.get("Service.KillMode"), None);
    let start = &service["Service.ExecStart"][0];
    assert!(start.starts_with('/') && start.contains("--config /"), "{start}");
    let socket = unit("llm-proxy.socket");
    assert_eq!(
        socket.get("Socket.Accept"),
        None,
        "one process takes all connections"
    );
    let listens = &socket["Socket.ListenStream"];
    let shipped = "127.0.0.1:8765";
    assert!(
        listens.iter().any(|listen| listen == shipped),
        "the default `listen`: {listens:?}"
    );
}
