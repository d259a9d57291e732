//! The names under which a model's price is looked for. All of them are pieces of the one that it has.

/// Regions of Amazon Bedrock, and makers of models as it and others write them before a name.
const PREFIXES: [&str; 24] = [
    "us",
    "us-gov",
    "eu",
    "apac",
    "jp",
    "au",
    "ca",
    "sa",
    "global",
    "anthropic",
    "openai",
    "google",
    "meta",
    "mistral",
    "mistralai",
    "deepseek",
    "qwen",
    "xai",
    "amazon",
    "cohere",
    "ai21",
    "minimax",
    "moonshot",
    "moonshotai",
];

/// A model's name, then what is left of it without what stands for a version, a day or a seller: the most exact first.
pub(super) fn names(model: &str) -> Vec<&str> {
    let mut names = Vec::with_capacity(4);
    for whole in [model, bare(model)] {
        add(&mut names, whole);
        let unversioned = without_version(whole);
        add(&mut names, unversioned);
        add(&mut names, without_day(unversioned));
    }
    names
}

fn add<'m>(names: &mut Vec<&'m str>, name: &'m str) {
    if !name.is_empty() && !names.contains(&name) {
        names.push(name);
    }
}

/// Without what sellers write before it: `openrouter/anthropic/`, `us.anthropic.`.
fn bare(model: &str) -> &str {
    let mut rest = model.rsplit('/').next().unwrap_or(model);
    while let Some((first, after)) = rest.split_once('.') {
        if !PREFIXES.contains(&first) {
            break;
        }
        rest = after;
    }
    rest
}

/// Without Bedrock's `-v1:0`.
fn without_version(name: &str) -> &str {
    let Some((head, version)) = name.rsplit_once("-v") else {
        return name;
    };
    let mut parts = version.split(':');
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_version = parts.clone().count() == 2 && parts.all(number);
    if is_version { head } else { name }
}

/// Without `-2025-10-01`, `-20250929`, `@20250929`, `-latest`, `@latest`, `@default`.
fn without_day(name: &str) -> &str {
    for word in ["-latest", "@latest", "@default"] {
        if let Some(head) = name.strip_suffix(word) {
            return head;
        }
    }
    let dated = |shape: &str| {
        let (head, day) = name.split_at_checked(name.len().checked_sub(shape.len())?)?;
        let mut pairs = day.bytes().zip(shape.bytes());
        let fits = pairs.all(|(byte, shape)| {
            if shape == b'0' {
                byte.is_ascii_digit()
            } else {
                byte == shape
            }
        });
        fits.then_some(head)
    };
    let shapes = ["-0000-00-00", "-00000000", "@00000000"];
    shapes.into_iter().find_map(dated).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_model_is_looked_for_by_what_is_left_of_its_name() {
        for (model, expected) in [
            ("gpt-5", &["gpt-5"][..]),
            ("gpt-5-2025-10-01", &["gpt-5-2025-10-01", "gpt-5"]),
            ("gpt-5-chat-latest", &["gpt-5-chat-latest", "gpt-5-chat"]),
            ("gpt-5.1", &["gpt-5.1"]),
            (
                "claude-sonnet-4-5-20250929",
                &["claude-sonnet-4-5-20250929", "claude-sonnet-4-5"],
            ),
            (
                "claude-sonnet-4-5@20250929",
                &["claude-sonnet-4-5@20250929", "claude-sonnet-4-5"],
            ),
            (
                "anthropic/claude-opus-4-5",
                &["anthropic/claude-opus-4-5", "claude-opus-4-5"],
            ),
            (
                "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
                &[
                    "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
                    "us.anthropic.claude-sonnet-4-5-20250929",
                    "us.anthropic.claude-sonnet-4-5",
                    "claude-sonnet-4-5-20250929-v1:0",
                    "claude-sonnet-4-5-20250929",
                    "claude-sonnet-4-5",
                ],
            ),
            ("openrouter/openai/gpt-5", &["openrouter/openai/gpt-5", "gpt-5"]),
            (
                "models/gemini-2.5-pro",
                &["models/gemini-2.5-pro", "gemini-2.5-pro"],
            ),
            ("deepseek-v4-pro", &["deepseek-v4-pro"]),
            // Free, which is another price.
            (
                "openai/gpt-oss-20b:free",
                &["openai/gpt-oss-20b:free", "gpt-oss-20b:free"],
            ),
            ("x/", &["x/"]),
            ("", &[]),
        ] {
            assert_eq!(names(model), expected, "{model}");
        }
    }

    proptest! {
        #[test]
        fn every_name_is_a_piece_of_the_model(model in "([a-z0-9./@:é-]|-v1:0|-20250929|-latest|anthropic\\.){0,12}") {
            for name in names(&model) {
                prop_assert!(model.contains(name));
            }
        }
    }
}
