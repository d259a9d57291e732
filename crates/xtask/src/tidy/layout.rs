//! The list of functions that the release binary is laid out by has to be made anew before it is out of date.

use std::collections::HashSet;

use super::Finding;
use super::source::Source;

/// Where the list is.
pub(super) const LIST: &str = "crates/llm-proxy/layout.ld";

/// Our crates as they begin a compiler's name.
const OURS: &[&str] = &["_ZN9llm_proxy", "_ZN11llm_dialect"];

/// How many functions there are for one that may be gone.
const ONE_IN: usize = 5;

/// Most of our functions that `list` names are still in `sources`: names that are gone have no effect.
pub(super) fn fresh(list: &Source, sources: &[Source]) -> Option<Finding> {
    let there: HashSet<&str> = sources
        .iter()
        .flat_map(|source| functions(&source.code))
        .collect();
    let listed: Vec<&str> = list.text.lines().filter_map(ours).collect();
    let gone = listed.iter().filter(|name| !there.contains(*name)).count();
    (gone * ONE_IN > listed.len()).then(|| {
        let what = format!(
            "{gone} of {} functions are gone: run scripts/layout",
            listed.len()
        );
        Finding::new(list, 1, what)
    })
}

/// The names that are declared in this code.
fn functions(code: &str) -> impl Iterator<Item = &str> {
    code.split("fn ")
        .skip(1)
        .filter_map(|rest| rest.split(['(', '<']).next())
}

/// The function of ours that a line of the list names; none for those of traits, which have many.
fn ours(line: &str) -> Option<&str> {
    let mut rest = OURS.iter().find_map(|ours| Some(line.split_once(ours)?.1))?;
    let mut last = None;
    while let Some(digits) = rest
        .find(|c: char| !c.is_ascii_digit())
        .filter(|digits| *digits > 0)
    {
        let (length, name) = rest.split_at_checked(digits)?;
        let Some((name, next)) = name.split_at_checked(length.parse().ok()?) else {
            break;
        };
        last = Some(name).filter(|name| !name.contains('$')).or(last);
        rest = next;
    }
    last
}

#[cfg(test)]
mod tests {
    use super::super::source::source;
    use super::*;

    const CLOSURE: &str =
        "    *(.text._ZN9llm_proxy8pipeline7journey7journey28_$u7b$$u7b$closure$u7d$$u7d$17h*E)";

    #[test]
    fn a_line_names_its_function() {
        for (line, name) in [
            (CLOSURE, Some("journey")),
            (
                "    *(.text.unlikely._ZN11llm_dialect4scan6Cursor3key17h*E)",
                Some("key"),
            ),
            ("    *(.text.mi_free)", None),
            (
                "    *(.text._ZN4core3ptr54drop_in_place$LT$llm_proxy..observe..access..Entry$GT$17h*E)",
                None,
            ),
            ("SECTIONS", None),
        ] {
            assert_eq!(ours(line), name, "{line}");
        }
    }

    #[test]
    fn a_list_that_names_too_much_of_yesterday_is_stale() {
        let list = source(LIST, &format!("{CLOSURE}\n").repeat(6));
        let of = |code: &str| [source("crates/llm-proxy/src/pipeline/journey.rs", code)];
        assert!(fresh(&list, &of("async fn journey(a: u8) {}")).is_none());
        assert!(fresh(&list, &of("async fn journey<A>(a: A) {}")).is_none());
        assert!(fresh(&list, &of("async fn voyage() {}")).is_some());
    }
}
