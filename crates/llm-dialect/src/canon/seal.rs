//! The envelope in which sealed reasoning travels through a client of another dialect, and who may open it.
//!
//! A client sends reasoning back with the next request, word for word. The envelope says who made it, so that it is
//! restored for its maker, and kept from everybody else: a foreign signature is refused by every provider.
//!
//! Form: `lp1.` and base64url of `{"p": family, "m": model, "k": kind, "v": payload}`.

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL;
use serde::Deserialize;

use super::block::{Reasoning, Seal};
use super::json::Json;
use super::target::Target;
use super::terms::Terms;
use super::text::JsonStr;
use super::write;
use crate::dialect::Dialect;

/// What an envelope begins with. Nothing of it needs an escape in JSON, so raw bodies can be searched for it.
pub const MARK: &str = "lp1.";

/// Reasoning that came out of an envelope.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// Who made it.
    pub family: String,
    /// By which model.
    pub model: String,
    /// Its seal, as its maker gave it.
    pub seal: Seal<'static>,
    /// Its words, where the client's dialect has no other place for them.
    pub words: Option<JsonStr<'static>>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "p")]
    family: String,
    #[serde(rename = "m", default)]
    model: String,
    #[serde(rename = "k")]
    kind: String,
    #[serde(borrow, rename = "v", default)]
    value: Option<Json<'a>>,
    #[serde(borrow, rename = "w", default)]
    words: Option<JsonStr<'a>>,
}

#[derive(Deserialize)]
struct Encrypted<'a> {
    #[serde(borrow)]
    id: JsonStr<'a>,
    #[serde(borrow)]
    data: JsonStr<'a>,
}

/// Puts a seal into an envelope, with the words that it belongs to where the client's dialect may not give them back.
pub fn wrap(seal: &Seal<'_>, words: Option<&JsonStr<'_>>, terms: &Terms) -> JsonStr<'static> {
    let mut inside = Vec::new();
    write::object(&mut inside, |all| {
        all.str("p", &terms.family).str("m", &terms.backend_model);
        match seal {
            Seal::Signature(value) => all.str("k", "signature").text("v", value),
            Seal::Redacted(value) => all.str("k", "redacted").text("v", value),
            Seal::Encrypted { id, data } => all.str("k", "encrypted").object("v", |pair| {
                pair.text("id", id).text("data", data);
            }),
            Seal::Details(raw) => all.str("k", "details").raw("v", raw.get()),
            Seal::Plain => all.str("k", "plain"),
        };
        if let Some(words) = words {
            all.text("w", words);
        }
    });
    JsonStr::spelled_so(format!("{MARK}{}", BASE64URL.encode(inside)))
}

/// Opens an envelope; nothing if the text is none of ours.
pub fn open(text: &JsonStr<'_>) -> Option<Opened> {
    let inside = BASE64URL.decode(text.spelling().strip_prefix(MARK)?).ok()?;
    let envelope: Envelope<'_> = serde_json::from_slice(&inside).ok()?;
    let value = envelope.value;
    let string = || {
        value
            .as_ref()
            .and_then(|value| JsonStr::from_raw(value.get()))
            .map(JsonStr::into_owned)
    };
    let seal = match envelope.kind.as_str() {
        "signature" => Seal::Signature(string()?),
        "redacted" => Seal::Redacted(string()?),
        "encrypted" => {
            let pair: Encrypted<'_> = value.as_ref()?.read()?;
            Seal::Encrypted {
                id: pair.id.into_owned(),
                data: pair.data.into_owned(),
            }
        }
        "details" => Seal::Details(value?.into_owned()),
        "plain" => Seal::Plain,
        _ => return None,
    };
    Some(Opened {
        family: envelope.family,
        model: envelope.model,
        seal,
        words: envelope.words.map(JsonStr::into_owned),
    })
}

/// What a target may be given of reasoning in a conversation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Admitted<'r, 'a> {
    /// All of it: it is the target's own.
    Sealed(&'r Seal<'a>),
    /// Its words, which the target wants back.
    Words,
    /// Nothing.
    Nothing,
}

/// Decides what `target` may be given of `reasoning`. Never unsigned or foreign-signed thinking to Anthropic, never
/// thinking as visible text.
pub fn admit<'r, 'a>(reasoning: &'r Reasoning<'a>, target: &Target<'_>) -> Admitted<'r, 'a> {
    let same_family = reasoning
        .family
        .as_deref()
        .is_none_or(|family| family == target.family);
    match &reasoning.seal {
        Some(seal) if same_family && suits(seal, target.dialect) => Admitted::Sealed(seal),
        _ if target.dialect == Dialect::Chat && target.traits.reasoning_text => Admitted::Words,
        _ => Admitted::Nothing,
    }
}

/// Whether a dialect has a place for the seal as its maker gave it.
fn suits(seal: &Seal<'_>, dialect: Dialect) -> bool {
    match seal {
        Seal::Signature(_) | Seal::Redacted(_) => dialect == Dialect::Messages,
        Seal::Encrypted { .. } => dialect == Dialect::Responses,
        Seal::Details(_) => dialect == Dialect::Chat,
        // Hosts that show plain reasoning do not all want it back.
        Seal::Plain => false,
    }
}

/// Reasoning as a client of some dialect sent it back: `sealed` is what stood in the place of the seal, `native` makes
/// the seal of it where it is no envelope of ours.
pub fn restore<'a>(
    parts: Vec<JsonStr<'a>>,
    sealed: Option<JsonStr<'a>>,
    native: impl FnOnce(JsonStr<'a>) -> Seal<'a>,
) -> Reasoning<'a> {
    let Some(sealed) = sealed else {
        return Reasoning {
            parts,
            ..Reasoning::default()
        };
    };
    match open(&sealed) {
        Some(opened) => {
            let words = opened.words.filter(|_| parts.is_empty());
            Reasoning {
                parts: words.map_or(parts, |words| vec![words]),
                summary: matches!(opened.seal, Seal::Encrypted { .. }),
                seal: Some(opened.seal),
                family: Some(Cow::Owned(opened.family)),
            }
        }
        None => Reasoning {
            parts,
            summary: false,
            seal: Some(native(sealed)),
            family: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traits::Traits;

    fn terms() -> Terms {
        Terms {
            family: "openai".to_owned(),
            backend_model: "gpt-5".to_owned(),
            ..Terms::default()
        }
    }

    fn target(dialect: Dialect, family: &'static str, model: &'static str) -> Target<'static> {
        Target {
            dialect,
            model,
            family,
            openai: false,
            max_tokens: None,
            traits: Traits::of(dialect, model),
        }
    }

    #[test]
    fn every_seal_comes_out_as_it_went_in() {
        let text = || JsonStr::spelled_so(r"a\u003d==");
        let seals = [
            Seal::Signature(text()),
            Seal::Redacted(text()),
            Seal::Encrypted {
                id: JsonStr::of("rs_1"),
                data: text(),
            },
            Seal::Details(Json::spelled_so(
                r#"[{"type":"reasoning.text","text":"x", "n":1.0}]"#,
            )),
            Seal::Plain,
        ];
        for seal in seals {
            let words = JsonStr::spelled_so(r"thought\n");
            let envelope = wrap(&seal, Some(&words), &terms());
            let opened = open(&envelope).expect("it is ours");
            assert_eq!((&opened.seal, opened.family.as_str()), (&seal, "openai"));
            assert_eq!(opened.words, Some(words));
        }
    }

    #[test]
    fn what_is_not_ours_stays_closed() {
        for text in ["", "lp1.", "lp1.!!", "lp1.e30", "ErUBCkYIBBgCIkD", "lp2.e30"] {
            assert_eq!(open(&JsonStr::of(text)), None, "{text}");
        }
    }

    #[test]
    fn only_its_maker_is_given_a_seal() {
        let signed = |family: Option<&'static str>| Reasoning {
            seal: Some(Seal::Signature(JsonStr::of("s"))),
            family: family.map(Cow::Borrowed),
            ..Reasoning::default()
        };
        let claude = target(Dialect::Messages, "anthropic", "claude-sonnet-4-5");
        let gpt = target(Dialect::Responses, "openai", "gpt-5");
        let deepseek = target(Dialect::Chat, "api.deepseek.com", "deepseek-chat");
        assert!(matches!(admit(&signed(None), &claude), Admitted::Sealed(_)));
        assert!(matches!(
            admit(&signed(Some("anthropic")), &claude),
            Admitted::Sealed(_)
        ));
        assert_eq!(admit(&signed(Some("relay")), &claude), Admitted::Nothing);
        assert_eq!(admit(&signed(None), &gpt), Admitted::Nothing);
        assert_eq!(admit(&signed(None), &deepseek), Admitted::Words);
        assert_eq!(
            admit(&Reasoning::default(), &claude),
            Admitted::Nothing,
            "never unsigned"
        );
    }
}
