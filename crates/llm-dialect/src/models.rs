//! The bodies of `GET /v1/models` and `GET /v1/models/{id}`.
//!
//! An alias is a name in a config file, so it has no birthday of its own. Clients demand one all the same, and
//! get the same for every alias.

use serde::Serialize;

use crate::dialect::Dialect;

/// The creation time given for each model: 2026-01-01, in seconds of the Unix epoch.
const CREATED: u64 = 1_767_225_600;

/// The same instant as RFC 3339 has it.
const CREATED_AT: &str = "2026-01-01T00:00:00Z";

/// How many models Anthropic lists on a page when `limit` is not given.
const DEFAULT_LIMIT: usize = 20;

/// The most models on one of its pages.
const MOST_ON_A_PAGE: usize = 1000;

/// All models in one list. Chat and Responses clients share one shape.
pub fn list(dialect: Dialect, ids: &[&str]) -> Vec<u8> {
    match dialect {
        Dialect::Chat | Dialect::Responses => json(&OpenAiList {
            object: "list",
            data: ids.iter().map(|id| OpenAiModel::new(id)).collect(),
        }),
        Dialect::Messages => page(ids, false),
    }
}

/// One model.
pub fn one(dialect: Dialect, id: &str) -> Vec<u8> {
    match dialect {
        Dialect::Chat | Dialect::Responses => json(&OpenAiModel::new(id)),
        Dialect::Messages => json(&AnthropicModel::new(id)),
    }
}

/// A page of the list as Messages clients ask for it by `limit` (1 to 1000, 20 by default, others are brought
/// into that range), `after_id` and `before_id`. Both bounds are exclusive; with `before` alone the page is the
/// one just before it. An id that is not there bounds to nothing: the page is empty.
pub fn list_page(ids: &[&str], limit: Option<usize>, after: Option<&str>, before: Option<&str>) -> Vec<u8> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MOST_ON_A_PAGE);
    let place = |wanted: &str| ids.iter().position(|id| *id == wanted);
    let start = after.map_or(0, |id| place(id).map_or(ids.len(), |at| at + 1));
    let end = before.map_or(ids.len(), |id| place(id).unwrap_or(0));
    let range = ids.get(start..end).unwrap_or_default();
    let surplus = range.len().saturating_sub(limit);
    let shown = if after.is_none() && before.is_some() {
        range.get(surplus..)
    } else {
        range.get(..range.len() - surplus)
    };
    page(shown.unwrap_or_default(), surplus > 0)
}

#[derive(Serialize)]
struct OpenAiList<'a> {
    object: &'static str,
    data: Vec<OpenAiModel<'a>>,
}

#[derive(Serialize)]
struct OpenAiModel<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
}

impl<'a> OpenAiModel<'a> {
    fn new(id: &'a str) -> Self {
        Self {
            id,
            object: "model",
            created: CREATED,
            owned_by: "llm-proxy",
        }
    }
}

#[derive(Serialize)]
struct AnthropicPage<'a> {
    data: Vec<AnthropicModel<'a>>,
    has_more: bool,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
}

#[derive(Serialize)]
struct AnthropicModel<'a> {
    r#type: &'static str,
    id: &'a str,
    display_name: &'a str,
    created_at: &'static str,
}

impl<'a> AnthropicModel<'a> {
    fn new(id: &'a str) -> Self {
        Self {
            r#type: "model",
            id,
            display_name: id,
            created_at: CREATED_AT,
        }
    }
}

fn page(ids: &[&str], has_more: bool) -> Vec<u8> {
    json(&AnthropicPage {
        data: ids.iter().map(|id| AnthropicModel::new(id)).collect(),
        has_more,
        first_id: ids.first().copied(),
        last_id: ids.last().copied(),
    })
}

/// Structs of strings and numbers always serialise; an error is not possible.
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{list, list_page, one};
    use crate::dialect::Dialect;

    fn parsed(body: Vec<u8>) -> Value {
        serde_json::from_slice(&body).unwrap()
    }

    #[test]
    fn openai_clients_get_an_openai_list() {
        let model =
            json!({"id": "a/b", "object": "model", "created": 1_767_225_600, "owned_by": "llm-proxy"});
        for dialect in [Dialect::Chat, Dialect::Responses] {
            assert_eq!(
                parsed(list(dialect, &["a/b"])),
                json!({"object": "list", "data": [model]})
            );
            assert_eq!(parsed(one(dialect, "a/b")), model);
            assert_eq!(parsed(list(dialect, &[])), json!({"object": "list", "data": []}));
        }
    }

    #[test]
    fn anthropic_clients_get_an_anthropic_list() {
        let model =
            |id| json!({"type": "model", "id": id, "display_name": id, "created_at": "2026-01-01T00:00:00Z"});
        assert_eq!(
            parsed(list(Dialect::Messages, &["a", "b"])),
            json!({"data": [model("a"), model("b")], "has_more": false, "first_id": "a", "last_id": "b"})
        );
        assert_eq!(parsed(one(Dialect::Messages, "b")), model("b"));
        assert_eq!(
            parsed(list(Dialect::Messages, &[])),
            json!({"data": [], "has_more": false, "first_id": null, "last_id": null})
        );
    }

    #[test]
    fn a_page_follows_its_bounds() {
        let ids = ["a", "b", "c", "d", "e"];
        for (limit, after, before, want, has_more) in [
            (None, None, None, "abcde", false),
            (Some(2), None, None, "ab", true),
            (Some(2), Some("b"), None, "cd", true),
            (Some(2), Some("c"), None, "de", false),
            (Some(2), Some("e"), None, "", false),
            (Some(2), None, Some("d"), "bc", true),
            (Some(9), None, Some("d"), "abc", false),
            (Some(2), None, Some("a"), "", false),
            (Some(1), Some("a"), Some("d"), "b", true),
            (Some(9), Some("d"), Some("b"), "", false),
            (Some(9), Some("x"), None, "", false),
            (Some(9), None, Some("x"), "", false),
            (Some(0), None, None, "a", true),
            (Some(usize::MAX), None, None, "abcde", false),
        ] {
            let page = parsed(list_page(&ids, limit, after, before));
            let shown: String = page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|m| m["id"].as_str().unwrap())
                .collect();
            assert_eq!(
                (shown.as_str(), &page["has_more"]),
                (want, &json!(has_more)),
                "{limit:?} {after:?} {before:?}"
            );
        }
    }

    #[test]
    fn a_page_is_of_twenty_unless_said_otherwise() {
        let ids: Vec<String> = (0..1200).map(|n| format!("m{n}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let size = |limit| {
            parsed(list_page(&ids, limit, None, None))["data"]
                .as_array()
                .unwrap()
                .len()
        };
        assert_eq!(size(None), 20);
        assert_eq!(size(Some(5000)), 1000);
    }
}
