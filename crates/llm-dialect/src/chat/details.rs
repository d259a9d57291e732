//! `reasoning_details` that arrive in pieces, put together again as their host wants them back.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::canon::write;
use crate::canon::{Json, JsonStr};

/// The details of one answer.
#[derive(Debug, Default)]
pub(super) struct Details {
    all: Vec<Entry>,
    /// The array itself while it is the only one: it goes back word for word.
    only: Option<String>,
    /// Bytes of what came.
    held: usize,
}

#[derive(Debug, Default)]
struct Entry {
    kind: String,
    index: Option<u64>,
    format: Option<String>,
    id: Option<JsonStr<'static>>,
    text: Option<JsonStr<'static>>,
    summary: Option<JsonStr<'static>>,
    data: Option<JsonStr<'static>>,
    signature: Option<JsonStr<'static>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Piece<'a> {
    #[serde(rename = "type")]
    kind: Option<String>,
    index: Option<u64>,
    format: Option<String>,
    #[serde(borrow)]
    id: Option<JsonStr<'a>>,
    #[serde(borrow)]
    text: Option<JsonStr<'a>>,
    #[serde(borrow)]
    summary: Option<JsonStr<'a>>,
    #[serde(borrow)]
    data: Option<JsonStr<'a>>,
    #[serde(borrow)]
    signature: Option<JsonStr<'a>>,
}

impl Details {
    /// Takes further pieces, and says what they tell of the reasoning: some hosts tell it nowhere else.
    pub(super) fn add(&mut self, raw: Option<&RawValue>) -> Option<JsonStr<'static>> {
        let raw = raw?.get();
        let pieces: Vec<Piece<'_>> = serde_json::from_str(raw).ok()?;
        if pieces.is_empty() {
            return None;
        }
        self.only = self.all.is_empty().then(|| raw.to_owned());
        self.held += raw.len() + size_of::<Entry>() * pieces.len();
        let mut told = JsonStr::EMPTY;
        for piece in pieces {
            piece
                .text
                .iter()
                .chain(&piece.summary)
                .for_each(|text| told.push(text));
            self.take(piece);
        }
        Some(told).filter(|told| !told.is_empty())
    }

    /// Pieces of the same kind and place are one entry.
    fn take(&mut self, piece: Piece<'_>) {
        let kind = piece.kind.unwrap_or_default();
        // What has its seal is whole.
        let is_open =
            |entry: &Entry| entry.data.is_none() && (entry.signature.is_none() || piece.text.is_none());
        let continues = |entry: &Entry| entry.kind == kind && entry.index == piece.index && is_open(entry);
        if !self.all.last().is_some_and(continues) {
            self.all.push(Entry {
                kind,
                index: piece.index,
                ..Entry::default()
            });
        }
        let Some(entry) = self.all.last_mut() else { return };
        entry.format = piece.format.or(entry.format.take());
        entry.id = owned(piece.id).or(entry.id.take());
        entry.data = owned(piece.data).or(entry.data.take());
        entry.signature = owned(piece.signature).or(entry.signature.take());
        grow(&mut entry.text, piece.text);
        grow(&mut entry.summary, piece.summary);
    }

    /// About how many bytes are kept.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Whether there is anything that the text of the reasoning does not say by itself.
    pub(super) fn are_sealed(&self) -> bool {
        self.all
            .iter()
            .any(|entry| entry.data.is_some() || entry.signature.is_some())
    }

    /// All of them, as the array that goes back; nothing is left.
    pub(super) fn take_all(&mut self) -> Json<'static> {
        let mut all = std::mem::take(self);
        match all.only.take() {
            Some(raw) => Json::spelled_so(raw),
            None => all.joined(),
        }
    }

    fn joined(self) -> Json<'static> {
        let mut out = Vec::new();
        write::array(&mut out, |list| {
            for entry in self.all {
                entry.write(list);
            }
        });
        Json::spelled_so(String::from_utf8(out).unwrap_or_default())
    }
}

impl Entry {
    fn write(&self, list: &mut write::Array<'_>) {
        list.object(|it| {
            it.str("type", &self.kind);
            let texts = [
                ("text", &self.text),
                ("summary", &self.summary),
                ("data", &self.data),
                ("signature", &self.signature),
                ("id", &self.id),
            ];
            for (name, value) in texts {
                if let Some(value) = value {
                    it.text(name, value);
                }
            }
            if let Some(format) = &self.format {
                it.str("format", format);
            }
            if let Some(index) = self.index {
                it.number("index", index);
            }
        });
    }
}

fn owned(text: Option<JsonStr<'_>>) -> Option<JsonStr<'static>> {
    text.map(JsonStr::into_owned)
}

fn grow(have: &mut Option<JsonStr<'static>>, more: Option<JsonStr<'_>>) {
    let Some(more) = more else { return };
    have.get_or_insert_default().push(&more);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_an_entry_are_joined() {
        let mut details = Details::default();
        for piece in [
            r#"[{"type":"reasoning.text","text":"a","format":"f","index":0}]"#,
            r#"[{"type":"reasoning.text","text":"b\n","index":0}]"#,
            r#"[{"type":"reasoning.text","signature":"s","index":0}]"#,
            r#"[{"type":"reasoning.encrypted","data":"d","id":"rs_1","index":1}]"#,
        ] {
            details.add(Some(serde_json::from_str(piece).unwrap()));
        }
        assert!(details.are_sealed());
        assert_eq!(
            details.take_all().get(),
            r#"[{"type":"reasoning.text","text":"ab\n","signature":"s","format":"f","index":0},{"type":"reasoning.encrypted","data":"d","id":"rs_1","index":1}]"#
        );
    }

    #[test]
    fn an_array_that_comes_at_once_stays_as_it_is() {
        let mut details = Details::default();
        let raw = r#"[ {"type":"reasoning.text", "text":"a","signature":"s","extra":1.50} ]"#;
        let told = details.add(Some(serde_json::from_str(raw).unwrap()));
        assert_eq!(told.unwrap().read(), "a");
        assert_eq!(details.take_all().get(), raw);
        assert_eq!(details.take_all().get(), "[]", "nothing is left");
    }

    #[test]
    fn what_is_signed_is_not_continued() {
        let mut details = Details::default();
        for piece in [
            r#"[{"type":"reasoning.text","text":"a","signature":"s"}]"#,
            r#"[{"type":"reasoning.text","text":"b","signature":"t"}]"#,
            "[]",
        ] {
            details.add(Some(serde_json::from_str(piece).unwrap()));
        }
        assert_eq!(
            details.take_all().get(),
            r#"[{"type":"reasoning.text","text":"a","signature":"s"},{"type":"reasoning.text","text":"b","signature":"t"}]"#
        );
    }
}
