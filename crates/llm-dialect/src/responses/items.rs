//! Items of an output, as a Responses client reads them when they are whole. Streams and whole answers share them, so that
//! both say the same.

use std::borrow::Cow;

use crate::canon::seal;
use crate::canon::write::{self, Array, Object};
use crate::canon::{Citation, Json, JsonStr, Seal, Terms, WebSearch};
use crate::names::digest;

/// A whole item of the output.
#[derive(Debug)]
pub(super) enum Item {
    /// Words of the model.
    Message {
        text: JsonStr<'static>,
        citations: Vec<Citation<'static>>,
        logprobs: Option<Json<'static>>,
    },
    /// Its words of refusal.
    Refusal(JsonStr<'static>),
    /// Its reasoning.
    Reasoning {
        parts: Vec<JsonStr<'static>>,
        seal: Option<Seal<'static>>,
    },
    /// A call.
    Call(Call),
    /// A search by the provider.
    Search(WebSearch<'static>),
}

/// A call of a tool.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: JsonStr<'static>,
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    pub(super) kind: CallKind,
    pub(super) words: JsonStr<'static>,
}

/// What kind of tool a call is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallKind {
    Function,
    Custom,
    /// The client's search for tools.
    Search,
}

impl CallKind {
    /// The kind of a call, by the tool that the client knows.
    pub(super) fn of(name: &str, custom: bool, terms: &Terms) -> Self {
        let search = || terms.names.original(name).is_some_and(|original| original.search);
        if custom {
            Self::Custom
        } else if search() {
            Self::Search
        } else {
            Self::Function
        }
    }

    fn item(self) -> &'static str {
        match self {
            Self::Function => "function_call",
            Self::Custom => "custom_tool_call",
            Self::Search => "tool_search_call",
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Function => "fc_",
            Self::Custom => "ctc_",
            Self::Search => "tsc_",
        }
    }
}

impl Item {
    /// What ids of such items begin with.
    fn prefix(&self) -> &'static str {
        match self {
            Self::Message { .. } | Self::Refusal(_) => "msg_",
            Self::Reasoning { .. } => "rs_",
            Self::Call(call) => call.kind.prefix(),
            Self::Search(_) => "ws_",
        }
    }

    /// The item's id, at that place of the answer. A provider's own reasoning keeps its id.
    pub(super) fn id(&self, response: &str, index: u64) -> String {
        if let Self::Reasoning {
            seal: Some(Seal::Encrypted { id, .. }),
            ..
        } = self
            && !id.is_empty()
        {
            return id.spelling().to_owned();
        }
        made_id(self.prefix(), response, index)
    }

    /// Writes it.
    pub(super) fn write(&self, it: &mut Object<'_>, id: &str, terms: &Terms) {
        match self {
            Self::Message {
                text,
                citations,
                logprobs,
            } => {
                it.str("type", "message")
                    .str("id", id)
                    .str("status", "completed")
                    .str("role", "assistant");
                it.array("content", |parts| {
                    parts.object(|it| text_part(it, text, citations, logprobs.as_ref()));
                });
            }
            Self::Refusal(text) => {
                it.str("type", "message")
                    .str("id", id)
                    .str("status", "completed")
                    .str("role", "assistant");
                it.array("content", |parts| {
                    parts.object(|it| refusal_part(it, text));
                });
            }
            Self::Reasoning { parts, seal } => {
                it.str("type", "reasoning")
                    .str("id", id)
                    .array("summary", |list| {
                        parts
                            .iter()
                            .filter(|it| !it.is_empty())
                            .for_each(|part| summary_part(list, part));
                    });
                it.text("encrypted_content", &sealed(seal.as_ref(), parts, terms));
            }
            Self::Call(call) => call.write(it, id),
            Self::Search(search) => {
                it.str("type", "web_search_call")
                    .str("id", id)
                    .str("status", "completed");
                it.object("action", |it| action(it, search));
            }
        }
    }
}

/// An id of an item that nobody else has named.
pub(super) fn made_id(prefix: &str, response: &str, index: u64) -> String {
    format!("{prefix}{}", digest(&format!("{response}/{index}"), 32))
}

impl Call {
    /// Writes it as it begins.
    pub(super) fn begun(&self, it: &mut Object<'_>, id: &str) {
        it.str("type", self.kind.item())
            .str("id", id)
            .str("status", "in_progress")
            .text("call_id", &self.id);
        match self.kind {
            CallKind::Function => it.str("arguments", "").str("name", &self.name),
            CallKind::Custom => it.str("input", "").str("name", &self.name),
            CallKind::Search => it.str("execution", "client").raw("arguments", "{}"),
        };
        if let Some(namespace) = &self.namespace {
            it.str("namespace", namespace);
        }
    }

    fn write(&self, it: &mut Object<'_>, id: &str) {
        it.str("type", self.kind.item())
            .str("id", id)
            .str("status", self.status())
            .text("call_id", &self.id);
        match self.kind {
            CallKind::Function => {
                it.text("arguments", &self.arguments()).str("name", &self.name);
            }
            CallKind::Custom => {
                it.text("input", &self.words).str("name", &self.name);
            }
            CallKind::Search => {
                let plain = self.arguments().read().into_owned();
                let value =
                    Json::parse(&plain).map_or(Cow::Borrowed("{}"), |_| Cow::Borrowed(plain.as_str()));
                it.str("execution", "client").raw("arguments", &value);
            }
        }
        if let Some(namespace) = &self.namespace {
            it.str("namespace", namespace);
        }
    }

    /// A call that was cut off within its arguments cannot be made.
    fn status(&self) -> &'static str {
        let whole = self.kind != CallKind::Function || Json::parse(&self.arguments().read()).is_some();
        if whole { "completed" } else { "incomplete" }
    }

    /// What it is called with; nothing at all is an empty object.
    pub(super) fn arguments(&self) -> JsonStr<'_> {
        if self.words.is_empty() && self.kind != CallKind::Custom {
            return JsonStr::spelled_so("{}");
        }
        self.words.borrowed()
    }
}

/// The seal of reasoning: `OpenAI`'s own, else an envelope, with the words in it. Some clients send nothing else back.
fn sealed(seal: Option<&Seal<'_>>, parts: &[JsonStr<'_>], terms: &Terms) -> JsonStr<'static> {
    let words = JsonStr::joined(parts, "\n\n");
    let words = Some(&words).filter(|words| !words.is_empty());
    match seal {
        Some(Seal::Encrypted { data, .. }) => data.clone().into_owned(),
        Some(other) => seal::wrap(other, words, terms),
        None => seal::wrap(&Seal::Plain, words, terms),
    }
}

/// The part of a message that holds its text.
pub(super) fn text_part(
    it: &mut Object<'_>,
    text: &JsonStr<'_>,
    citations: &[Citation<'_>],
    logprobs: Option<&Json<'_>>,
) {
    it.str("type", "output_text").array("annotations", |list| {
        for cited in citations {
            list.object(|it| annotation(it, cited, text));
        }
    });
    it.raw("logprobs", logprobs.map_or("[]", |all| all.get()))
        .text("text", text);
}

/// The part of a message that holds a refusal.
pub(super) fn refusal_part(it: &mut Object<'_>, text: &JsonStr<'_>) {
    it.str("type", "refusal").text("refusal", text);
}

/// A source of a text, by code points of it.
pub(super) fn annotation(it: &mut Object<'_>, citation: &Citation<'_>, text: &JsonStr<'_>) {
    let (start, end) = citation
        .span
        .unwrap_or_else(|| (0, text.read().chars().count() as u64));
    it.str("type", "url_citation")
        .number("start_index", start)
        .number("end_index", end);
    it.text("url", &citation.url).text("title", &citation.title);
}

/// A part of a summary.
pub(super) fn summary_part(list: &mut Array<'_>, text: &JsonStr<'_>) {
    list.object(|it| {
        it.str("type", "summary_text").text("text", text);
    });
}

fn action(it: &mut Object<'_>, search: &WebSearch<'_>) {
    it.str("type", "search")
        .text("query", &search.query)
        .array("sources", |list| {
            for (url, _) in &search.sources {
                list.object(|it| {
                    it.str("type", "url").text("url", url);
                });
            }
        });
}

/// An item as bytes.
pub(super) fn rendered(item: &Item, id: &str, terms: &Terms) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    write::object(&mut out, |it| item.write(it, id, terms));
    out
}
