//! Two backends of one dialect, `a` before `b`, with the proxy before them: what each fault is tried on.

use llm_sim::{Seen, Sim, Speaks};
use serde_json::{Value, json};

use super::super::support::client::{chat, messages, responses};
use super::super::support::{Client, Proxy, Reply, until};

/// The key that clients present.
const CLIENT_KEY: &str = "sk-canary-client-0123456789";
/// The keys of the two backends, unless a test gives `a` others.
pub const KEY_A: &str = "sk-canary-backend-a";
const KEY_B: &str = "sk-canary-backend-b";

/// A dialect, JSON or stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// The dialect.
    pub dialect: Dialect,
    /// Whether a stream is asked for.
    pub stream: bool,
}

/// The dialects that are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Chat Completions.
    Chat,
    /// Responses.
    Responses,
    /// Anthropic Messages.
    Messages,
}

impl Case {
    /// Every dialect, as JSON and as a stream.
    pub const ALL: [Self; 6] = [
        Self::new(Dialect::Chat, false),
        Self::new(Dialect::Chat, true),
        Self::new(Dialect::Responses, false),
        Self::new(Dialect::Responses, true),
        Self::new(Dialect::Messages, false),
        Self::new(Dialect::Messages, true),
    ];
    /// Chat, as JSON and as a stream: where the dialect makes no difference.
    pub const CHAT: [Self; 2] = [Self::new(Dialect::Chat, false), Self::new(Dialect::Chat, true)];

    /// One case.
    pub const fn new(dialect: Dialect, stream: bool) -> Self {
        Self { dialect, stream }
    }

    /// The `protocol` of a backend that speaks it.
    pub fn protocol(self) -> &'static str {
        match self.dialect {
            Dialect::Messages => "anthropic",
            _ => "openai",
        }
    }

    /// Where it is asked.
    pub fn path(self) -> &'static str {
        match self.dialect {
            Dialect::Chat => "/v1/chat/completions",
            Dialect::Responses => "/v1/responses",
            Dialect::Messages => "/v1/messages",
        }
    }

    /// A small request to that model.
    pub fn body(self, model: &str) -> Value {
        match self.dialect {
            Dialect::Chat => chat(model, self.stream),
            Dialect::Responses => responses(model, self.stream),
            Dialect::Messages => messages(model, self.stream),
        }
    }

    /// An error as a backend of this dialect writes it; Anthropic has no codes.
    pub fn error(self, kind: &str, code: &str, message: &str) -> Value {
        match self.dialect {
            Dialect::Messages => {
                json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_b"})
            }
            _ => json!({"error": {"message": message, "type": kind, "param": null, "code": code}}),
        }
    }

    /// What only an answer that is there to its end contains.
    fn last_word(self) -> &'static str {
        match (self.dialect, self.stream) {
            (Dialect::Chat, false) => "\"finish_reason\":",
            (Dialect::Chat, true) => "data: [DONE]",
            (Dialect::Responses, false) => "\"status\":\"completed\"",
            (Dialect::Responses, true) => "\"type\":\"response.completed\"",
            (Dialect::Messages, false) => "\"stop_reason\":",
            (Dialect::Messages, true) => "event: message_stop",
        }
    }
}

/// What a test changes of the usual config before it starts.
pub struct Setup {
    case: Case,
    a: String,
    url: Option<String>,
    routes: [String; 2],
    top: String,
}

/// The running pieces.
pub struct Bench {
    pub case: Case,
    pub a: Sim,
    pub b: Sim,
    pub proxy: Proxy,
    _told: TellsTheCase,
}

impl Setup {
    /// The usual config.
    pub fn of(case: Case) -> Self {
        Self {
            case,
            a: format!("api_key: {KEY_A}"),
            url: None,
            routes: [String::new(), String::new()],
            top: String::new(),
        }
    }

    /// More fields of backend `a`.
    pub fn a(mut self, fields: &str) -> Self {
        self.a = format!("{}, {fields}", self.a);
        self
    }

    /// Several keys for backend `a`.
    pub fn keys_of_a(mut self, keys: &[&str]) -> Self {
        self.a = format!("api_keys: [{}]", keys.join(", "));
        self
    }

    /// Another address for backend `a` than its simulation's.
    pub fn url_of_a(mut self, url: &str) -> Self {
        self.url = Some(url.to_owned());
        self
    }

    /// How many tokens the models of `a` and `b` hold.
    pub fn contexts(mut self, a: u64, b: u64) -> Self {
        self.routes = [format!(", context: {a}"), format!(", context: {b}")];
        self
    }

    /// More sections of the config.
    pub fn top(mut self, yaml: &str) -> Self {
        self.top.push_str(yaml);
        self.top.push('\n');
        self
    }

    /// Starts all of it.
    pub async fn start(self) -> Bench {
        let (a, b) = (
            Sim::start(Speaks::All).await.unwrap(),
            Sim::start(Speaks::All).await.unwrap(),
        );
        a.canaries([CLIENT_KEY, KEY_B]);
        b.canaries([CLIENT_KEY, KEY_A]);
        let proxy = Proxy::start(&self.yaml(&a, &b)).await;
        Bench {
            case: self.case,
            a,
            b,
            proxy,
            _told: TellsTheCase(self.case),
        }
    }

    /// Models `m*` go to `a`, then to `b`; models `only*` to `a` alone.
    fn yaml(&self, a: &Sim, b: &Sim) -> String {
        let url = self.url.clone().unwrap_or_else(|| a.url());
        let protocol = self.case.protocol();
        let [route_a, route_b] = &self.routes;
        format!(
            "api_keys: [{{name: team, key: {CLIENT_KEY}}}]
backends:
  - {{name: a, protocol: {protocol}, url: \"{url}\", {}}}
  - {{name: b, protocol: {protocol}, url: \"{}\", api_key: {KEY_B}}}
models:
  \"m*\": {{routes: [{{backend: a, priority: 1{route_a}}}, {{backend: b, priority: 2{route_b}}}]}}
  \"only*\": {{routes: [{{backend: a{route_a}}}]}}
{}",
            self.a,
            b.url(),
            self.top
        )
    }
}

impl Bench {
    /// The usual one.
    pub async fn start(case: Case) -> Self {
        Setup::of(case).start().await
    }

    /// A client with its key.
    pub fn client(&self) -> Client {
        self.proxy
            .client()
            .header("authorization", &format!("Bearer {CLIENT_KEY}"))
    }

    /// Asks that model.
    pub async fn ask(&self, model: &str) -> Reply {
        self.client().post(self.case.path(), &self.case.body(model)).await
    }

    /// Asks that model; a whole answer of `a` must come.
    pub async fn a_answers(&self, model: &str) -> Reply {
        self.from("a", model).await
    }

    /// Asks that model; a whole answer of `b` must come.
    pub async fn b_answers(&self, model: &str) -> Reply {
        self.from("b", model).await
    }

    async fn from(&self, backend: &str, model: &str) -> Reply {
        let reply = self.ask(model).await.expect(200);
        assert_eq!(reply.header("x-llm-proxy-backend"), backend, "{model}");
        assert!(reply.whole, "the answer is whole");
        assert!(reply.text().contains(self.case.last_word()), "{}", reply.text());
        reply
    }

    /// Asks that model; an error of this status must come, with the code of OpenAI's dialects or Anthropic's type.
    pub async fn refused(&self, model: &str, status: u16, code: &str, anthropic: &str) -> Reply {
        let reply = self.ask(model).await;
        let status = match (self.case.dialect, status) {
            (Dialect::Messages, 503) if anthropic == "overloaded_error" && code == "overloaded" => 529,
            _ => status,
        };
        let reply = reply.expect(status);
        let body = reply.json();
        match self.case.dialect {
            Dialect::Messages => assert_eq!(body["error"]["type"], anthropic, "{body}"),
            _ => assert_eq!(body["error"]["code"], code, "{body}"),
        }
        reply
    }

    /// The classes of the attempts of the request with that number, from 0, with their backends.
    pub async fn attempts(&self, request: usize) -> Vec<(String, String)> {
        let records = self.proxy.recorded(request + 1).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let attempts = records[request]["attempts"].as_array().unwrap();
        attempts
            .iter()
            .map(|attempt| (text(&attempt["backend"]), text(&attempt["class"])))
            .collect()
    }

    /// Asserts that the request with that number was lost by `a` with that class and won by `b`.
    pub async fn fell_back(&self, request: usize, class: &str) {
        let expected = [("a", class), ("b", "ok")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(self.attempts(request).await, expected, "request {request}");
    }

    /// Waits for the log line that says that something of that model began to cool.
    pub async fn cooled(&self, model: &str) -> Value {
        until(&format!("{model} to begin to cool"), async || {
            self.coolings().into_iter().find(|line| line["model"] == model)
        })
        .await
    }

    /// All such lines so far.
    pub fn coolings(&self) -> Vec<Value> {
        let log = self.proxy.log();
        let lines = log.iter().filter_map(|line| serde_json::from_str(line).ok());
        lines
            .filter(|line: &Value| line["msg"].as_str().is_some_and(|msg| msg.starts_with("cooling")))
            .collect()
    }

    /// What the status page says of the cooldowns of `a`.
    pub async fn cooldowns_of_a(&self) -> Vec<Value> {
        self.proxy.backend("a").await["cooldowns"]
            .as_array()
            .unwrap()
            .clone()
    }

    /// What holds after every case, the backends' view of it included.
    pub async fn finish(self) {
        assert_eq!(self.a.protocol_errors(), [""; 0], "a");
        assert_eq!(self.b.protocol_errors(), [""; 0], "b");
        self.proxy.finish().await;
    }
}

/// The backend's key in a request, in whichever header it stands.
pub fn key_of(seen: &Seen) -> String {
    let bearer = seen
        .header("authorization")
        .and_then(|value| value.strip_prefix("Bearer "));
    bearer
        .or_else(|| seen.header("x-api-key"))
        .unwrap_or_default()
        .to_owned()
}

/// Says, where a test fails, in which of its cases it did.
struct TellsTheCase(Case);

impl Drop for TellsTheCase {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in the case {:?}", self.0);
        }
    }
}
