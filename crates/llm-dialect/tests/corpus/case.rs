//! Recorded traffic: see the index beside the recordings.

use std::fmt::Write as _;
use std::path::PathBuf;

use bytes::Bytes;
use llm_dialect::watch::{Watch, WatchLimits};
use llm_dialect::{Api, Dialect, answer};
use serde_json::Value;

/// A recording.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) dialect: Dialect,
    /// Who answered.
    provider: String,
    status: u64,
    /// The request's body.
    pub(super) request: Option<String>,
    /// The answer, if it is JSON.
    pub(super) json: Option<String>,
    sse: Option<String>,
    /// Whether the request was cut or its media replaced: the counts are those of the original.
    pub(super) shortened: bool,
}

impl Case {
    /// Whether the backend answered as it was asked to.
    pub(super) fn is_answer(&self) -> bool {
        self.status < 300
    }

    /// The bytes of the stream, if it is one.
    pub(super) fn stream(&self) -> Option<Vec<u8>> {
        self.sse
            .clone()
            .map(String::into_bytes)
            .filter(|_| self.is_answer())
    }

    /// Recordings of hosts that break their own grammar.
    pub(super) fn is_odd(&self) -> bool {
        self.provider.ends_with("-proxy")
    }

    /// The tokens that the backend read, as it said.
    pub(super) fn input_tokens(&self) -> Option<u64> {
        let api = match self.dialect {
            Dialect::Chat => Api::Chat,
            Dialect::Messages => Api::Messages,
            Dialect::Responses => Api::Responses,
        };
        if let Some(json) = &self.json {
            return answer::inspect(api, json.as_bytes()).ok()?.input;
        }
        let mut watch = Watch::new(api, WatchLimits::new(8 << 20), false);
        watch.feed(Bytes::from(self.stream()?), &mut Vec::new());
        watch.usage().input
    }

    /// Hosts that put much of their own before a conversation, or count otherwise.
    pub(super) fn counts_oddly(&self) -> bool {
        ["xai", "venice", "deepseek", "ollama"].contains(&self.provider.as_str())
    }

    /// Whose models answered.
    pub(super) fn family(&self) -> &str {
        if self.dialect == Dialect::Messages {
            "anthropic"
        } else {
            &self.provider
        }
    }
}

/// All recordings of conversations in the three dialects.
pub(super) fn cases() -> Vec<Case> {
    let beside = || concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").into();
    let shared = std::env::var_os("LLM_PROXY_SHARED").unwrap_or_else(beside);
    let root = PathBuf::from(shared).join("fixtures");
    let mut cases = Vec::new();
    for dialect in Dialect::ALL {
        let folder = root.join(dialect.name());
        let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        cases.extend(paths.iter().filter_map(|path| read(dialect, path)));
    }
    assert!(cases.len() > 80, "the recordings are there");
    cases
}

fn read(dialect: Dialect, path: &PathBuf) -> Option<Case> {
    let text = std::fs::read_to_string(path).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    if json["dialect"].as_str()? != dialect.name() {
        return None;
    }
    let response = &json["response"];
    Some(Case {
        name: path.file_stem()?.to_str()?.to_owned(),
        dialect,
        provider: json["provider"].as_str().unwrap_or_default().to_owned(),
        status: response["status"].as_u64().unwrap_or(200),
        request: json["request"]["body"]
            .is_object()
            .then(|| json["request"]["body"].to_string()),
        json: response["json"].is_object().then(|| response["json"].to_string()),
        sse: sse(dialect, response),
        shortened: json["origin"]["shortened"]
            .as_array()
            .is_some_and(|all| !all.is_empty()),
    })
}

/// The stream as it came, or framed again where only its data were kept.
fn sse(dialect: Dialect, response: &Value) -> Option<String> {
    if let Some(text) = response["sse"].as_str() {
        return Some(text.to_owned());
    }
    let lines = response["data_lines"].as_array()?;
    let mut all = String::new();
    for line in lines.iter().filter_map(Value::as_str) {
        let event: Value = serde_json::from_str(line).unwrap_or_default();
        if let (false, Some(kind)) = (dialect == Dialect::Chat, event["type"].as_str()) {
            let _ = writeln!(all, "event: {kind}");
        }
        let _ = write!(all, "data: {line}\n\n");
    }
    Some(all)
}
