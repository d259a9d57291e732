//! Prices of models: those that are built in, and the file of them that the config names, read and checked with it.
//!
//! `prices` at the crate's root says what a request costs by them.

use std::collections::BTreeMap;
use std::path::Path;

use super::decode;
use super::diagnostic::Diagnostic;
use super::fields::logging::PRICES;
use super::fields::prices::{PRICE, PRICE_LIST, STEP};
use super::findings::Findings;
use super::formats;
use super::tree::Node;
use super::types::{PriceList, Prices};
use super::vars::World;
use super::view::View;
use super::{shape, source, vars, yaml};

/// The largest file that is read. The built-in prices of all providers have a hundredth of that.
pub(super) const LARGEST: u64 = 1 << 20;

/// The built-in prices, one provider a file.
const BUILT_IN: [(&str, &str); 8] = [
    ("Anthropic", include_str!("table/anthropic.yaml")),
    ("DeepSeek", include_str!("table/deepseek.yaml")),
    ("Google", include_str!("table/google.yaml")),
    ("Groq", include_str!("table/groq.yaml")),
    ("Mistral", include_str!("table/mistral.yaml")),
    ("OpenAI", include_str!("table/openai.yaml")),
    ("Qwen", include_str!("table/qwen.yaml")),
    ("xAI", include_str!("table/xai.yaml")),
];

/// Reads the prices that are built in. Whoever asks often keeps what becomes of them.
pub fn built_in_prices() -> Vec<PriceList> {
    let world = World {
        dir: Path::new(""),
        env: &|_| None,
    };
    let list = |(name, text): &(&str, &str)| read_list(text, name, world, &mut Findings::new(name, text));
    BUILT_IN.iter().filter_map(list).collect()
}

/// Reads the file that the config names. What is wrong in it is returned; that it is not there was told by `meaning`.
pub(super) fn read(root: &Node, world: World<'_>) -> (Prices, Vec<Diagnostic>) {
    let section = View::top(root).section("prices", &PRICES);
    let file = section.read("file", |text| Some(formats::path(text, world.dir)));
    let Some(path) = file.as_ref().filter(|path| path.is_file()) else {
        return (Prices { file, own: None }, Vec::new());
    };
    let name = path.display().to_string();
    let (own, found) = match source::text(path, LARGEST) {
        Ok(text) => {
            let mut findings = Findings::new(&name, &text);
            let own = read_list(&text, &name, world, &mut findings);
            (own, findings.into_diagnostics())
        }
        Err(why) => {
            let mut findings = Findings::new(&name, "");
            findings.error_file(format!("cannot read the prices: {why}"));
            (None, findings.into_diagnostics())
        }
    };
    (Prices { file, own }, found)
}

fn read_list(text: &str, name: &str, world: World<'_>, findings: &mut Findings<'_>) -> Option<PriceList> {
    let mut root = yaml::read(text, "a file of prices", findings)?;
    vars::expand_node(&mut root, world, findings);
    shape::check(&root, &PRICE_LIST, findings);
    check(&root, findings);
    Some(decode::price_list(&root, name))
}

/// What the values mean together: each name is there once, and steps go up.
fn check(root: &Node, findings: &mut Findings<'_>) {
    let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in View::new(&PRICE_LIST, Some(root)).entries("models") {
        let price = View::new(&PRICE, Some(&entry.node));
        let also = price.items("also").iter();
        let also = also.filter_map(|node| Some((node.text()?, node.span)));
        for (name, span) in also.chain([(entry.key.as_str(), entry.key_span)]) {
            if let Some(line) = lines.insert(name, span.line) {
                findings.error(span, format!("the price of `{name}` is on line {line} too"));
            }
        }
        let mut least = 0;
        for step in price.sections("above", &STEP) {
            let tokens = step.int::<u64>("tokens").unwrap_or(u64::MAX);
            if tokens <= least {
                findings.error(
                    step.span("tokens"),
                    "`tokens` must be above those of the step before",
                );
            }
            least = tokens;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> (Option<PriceList>, Vec<String>) {
        let mut findings = Findings::new("p.yaml", text);
        let world = World {
            dir: Path::new(""),
            env: &|name| (name == "FREE").then(|| "0".to_owned()),
        };
        let list = read_list(text, "p.yaml", world, &mut findings);
        let found = findings.into_diagnostics();
        (list, found.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_built_in_prices_are_sound_and_each_says_when_and_where_they_were_so() {
        for (name, text) in BUILT_IN {
            let (list, found) = told(text);
            assert_eq!(found, [""; 0], "{name}");
            let list = list.unwrap();
            assert!(
                list.date.is_some() && text.contains("\nsource: https://"),
                "{name}"
            );
            assert!(!list.models.is_empty(), "{name}");
            for model in &list.models {
                let mut rates = vec![model.rates];
                rates.extend(model.above.iter().map(|(_, rates)| *rates));
                for pair in rates.windows(2) {
                    assert!(
                        pair[0].input <= pair[1].input && pair[0].output <= pair[1].output,
                        "{name}: {model:?}"
                    );
                }
                assert!(
                    rates.iter().all(|rates| rates.cached_input <= rates.input),
                    "{name}: {model:?}"
                );
            }
        }
        assert_eq!(built_in_prices().len(), BUILT_IN.len());
    }

    #[test]
    fn no_model_has_two_prices_of_one_host() {
        let (lists, mut seen) = (built_in_prices(), BTreeMap::new());
        for list in &lists {
            for name in list.models.iter().flat_map(|model| &model.names) {
                let before = seen.insert((name, &list.hosts), &list.name);
                assert_eq!(before, None, "{name} is in {} too", list.name);
            }
        }
    }

    #[test]
    fn what_is_absent_is_as_what_is_next_to_it_and_a_step_as_what_is_below_it() {
        let (list, found) = told(
            "models: {m: {input: 2, output: '${FREE}', cache_write: 3, above: {tokens: 10, input: 4}}, n: {input: 1, output: 5}}",
        );
        assert_eq!(found, [""; 0]);
        let models = list.unwrap().models;
        let dollars = |rates: &super::super::types::Rates| {
            [
                rates.input,
                rates.output,
                rates.cached_input,
                rates.cache_write,
                rates.cache_write_1h,
            ]
            .map(|cost| cost.to_string())
            .join(" ")
        };
        assert_eq!(dollars(&models[0].rates), "2 0 2 3 3");
        assert_eq!(models[0].above.len(), 1);
        assert_eq!(dollars(&models[0].above[0].1), "4 0 2 3 3");
        assert_eq!(dollars(&models[1].rates), "1 5 1 1 1");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, expected) in [
            (
                "models: {m: {input: 1, outptu: 2}}",
                &[
                    "p.yaml:1:13: the key `output` is missing in `m`",
                    "p.yaml:1:24: unknown key `outptu`; did you mean `output`?",
                ][..],
            ),
            (
                "models: {m: {input: -1, output: 2}}",
                &["p.yaml:1:21: `input` must be a number from 0, not `-1`"],
            ),
            (
                "models:\n  m: {input: 1, output: 2}\n  n: {input: 1, output: 2, also: m}",
                &["p.yaml:3:34: the price of `m` is on line 2 too"],
            ),
            (
                "models: {m: {input: 1, output: 2, above: [{tokens: 9}, {tokens: 9}]}}",
                &["p.yaml:1:65: `tokens` must be above those of the step before"],
            ),
            ("", &[]),
            (
                "models: {m: 3}",
                &["p.yaml:1:13: `m` must be a map of keys such as `input`, `output`, `cached_input`"],
            ),
            (
                "date: 2026-13-01\nmodels: {}",
                &["p.yaml:1:7: `date` must be a date such as `2026-12-31`, not `2026-13-01`"],
            ),
            (
                "gpt-5",
                &["p.yaml:1:1: a file of prices is a map of keys and values"],
            ),
        ] {
            assert_eq!(told(text).1, expected, "{text}");
        }
    }
}
