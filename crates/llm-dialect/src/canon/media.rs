//! Pictures and files as data URLs, and back.

use std::borrow::Cow;

use super::block::Source;
use super::text::JsonStr;

impl<'a> Source<'a> {
    /// What a URL says: the bytes themselves, or where they are.
    pub fn from_url(url: JsonStr<'a>) -> Self {
        let Some((media_type, data)) = data_url(url.spelling()) else {
            return Self::Url(url);
        };
        Self::Data {
            media_type: Cow::Owned(plain_type(media_type)),
            data: JsonStr::spelled_so(data.to_owned()),
        }
    }

    /// A URL that says the same; nothing for an id, which means something to its provider alone.
    pub fn to_url(&self) -> Option<JsonStr<'_>> {
        match self {
            Self::Data { media_type, data } => {
                let url = format!("data:{media_type};base64,{}", data.spelling());
                Some(JsonStr::spelled_so(url))
            }
            Self::Url(url) => Some(url.borrowed()),
            Self::File(_) => None,
        }
    }
}

/// The media type and the base64 of a data URL. Neither needs an escape in JSON but for slashes, which some senders spell
/// `\/`.
fn data_url(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("data:")?;
    let (head, data) = rest.split_once(',')?;
    Some((head.strip_suffix(";base64")?, data))
}

/// A media type in lower case, without parameters and escapes; the one that is often misspelled put right.
fn plain_type(media_type: &str) -> String {
    let bare = media_type.split(';').next().unwrap_or_default().replace('\\', "");
    match bare.to_ascii_lowercase().as_str() {
        "image/jpg" => "image/jpeg".to_owned(),
        plain => plain.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_url_is_taken_apart_and_put_together() {
        for (url, back) in [
            ("data:image/png;base64,AAAA", "data:image/png;base64,AAAA"),
            ("data:image/JPG;base64,AAAA", "data:image/jpeg;base64,AAAA"),
            (r"data:image\/png;base64,AA\/A", r"data:image/png;base64,AA\/A"),
            ("https://a.example/x.png", "https://a.example/x.png"),
            ("data:text/plain,hello", "data:text/plain,hello"),
        ] {
            let source = Source::from_url(JsonStr::spelled_so(url));
            assert_eq!(source.to_url().unwrap().spelling(), back);
        }
    }
}
