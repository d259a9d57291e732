//! The price of a model, and what tokens cost by it.

use std::fmt;
use std::sync::Arc;

use llm_dialect::usage::Usage;

use crate::base::Cost;
use crate::config::types::Rates;

/// Prices are those of so many tokens.
const MILLION: u64 = 1_000_000;
/// What is added so that dividing rounds to the nearest.
const HALF: u64 = MILLION / 2;

/// What the tokens of a model cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// The name in the table that it was found by.
    pub name: Arc<str>,
    /// Whose table that is.
    pub list: Arc<str>,
    /// When it was so; none where the table does not say.
    pub date: Option<Arc<str>>,
    /// What a million tokens cost.
    pub rates: Rates,
    /// What they cost where the prompt has more tokens than so many, the least number first.
    pub above: Vec<(u64, Rates)>,
}

impl Price {
    /// What an answer cost. None where it is not known what was used: nobody can say then.
    ///
    /// What is not said of it, such as the output of an embedding, was not used. Reasoning is output.
    pub fn of(&self, usage: &Usage) -> Option<Cost> {
        if usage.input.is_none() && usage.output.is_none() {
            return None;
        }
        let input = usage.input.unwrap_or(0);
        let read = usage.cache_read.unwrap_or(0).min(input);
        let written = usage.cache_write.unwrap_or(0).min(input - read);
        let for_an_hour = usage.cache_write_1h.unwrap_or(0).min(written);
        let rates = self.rates(input);
        Some(sum([
            (input - read - written, rates.input),
            (read, rates.cached_input),
            (written - for_an_hour, rates.cache_write),
            (for_an_hour, rates.cache_write_1h),
            (usage.output.unwrap_or(0), rates.output),
        ]))
    }

    /// What about so much input and output will cost, if none of it comes from a cache.
    pub fn estimate(&self, input: u64, output: u64) -> Cost {
        let usage = Usage {
            input: Some(input),
            output: Some(output),
            ..Usage::default()
        };
        self.of(&usage).unwrap_or_default()
    }

    /// Whether nothing of it costs anything.
    pub fn is_free(&self) -> bool {
        let free = |rates: &Rates| *rates == Rates::default();
        free(&self.rates) && self.above.iter().all(|(_, rates)| free(rates))
    }

    /// The rates for a prompt of so many tokens.
    fn rates(&self, input: u64) -> &Rates {
        let above = self.above.iter().rev().find(|(tokens, _)| input > *tokens);
        above.map_or(&self.rates, |(_, rates)| rates)
    }
}

/// What so many tokens at such prices come to, rounded once.
fn sum<const N: usize>(parts: [(u64, Cost); N]) -> Cost {
    let exact = |(tokens, rate): (u64, Cost)| u128::from(tokens) * u128::from(rate.nanos());
    let all = parts
        .into_iter()
        .map(exact)
        .fold(HALF.into(), u128::saturating_add);
    // Nearly always it fits into 64 bits, which divide in a tenth of the time.
    let nanos = u64::try_from(all).map_or_else(
        |_| u64::try_from(all / u128::from(MILLION)).unwrap_or(u64::MAX),
        |all| all / MILLION,
    );
    Cost::from_nanos(nanos)
}

/// In a line: `$3 in, $15 out a million tokens (Anthropic, 2026-10-24: claude-sonnet-4-5)`.
impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_free() {
            f.write_str("free")?;
        } else {
            let Rates {
                input,
                output,
                cached_input,
                ..
            } = &self.rates;
            write!(
                f,
                "${input} in, ${cached_input} cached, ${output} out a million tokens"
            )?;
        }
        for (tokens, Rates { input, output, .. }) in &self.above {
            write!(f, "; above {tokens} in: ${input} in, ${output} out")?;
        }
        let date = self
            .date
            .as_deref()
            .map(|date| format!(", {date}"))
            .unwrap_or_default();
        write!(f, " ({}{date}: `{}`)", self.list, self.name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rates(each: [f64; 5]) -> Rates {
        let [input, output, cached_input, cache_write, cache_write_1h] = each.map(Cost::from_dollars);
        Rates {
            input,
            output,
            cached_input,
            cache_write,
            cache_write_1h,
        }
    }

    fn price(each: [f64; 5], above: &[(u64, [f64; 5])]) -> Price {
        Price {
            name: Arc::from("m"),
            list: Arc::from("Maker"),
            date: Some(Arc::from("2026-10-24")),
            rates: rates(each),
            above: above
                .iter()
                .map(|(tokens, each)| (*tokens, rates(*each)))
                .collect(),
        }
    }

    fn usage(counts: [u64; 5]) -> Usage {
        let [input, output, cache_read, cache_write, cache_write_1h] = counts.map(Some);
        Usage {
            input,
            output,
            cache_read,
            cache_write,
            cache_write_1h,
            // Part of the output: it costs nothing of its own.
            reasoning: output,
        }
    }

    #[test]
    fn every_kind_of_token_costs_what_is_said_of_it() {
        let price = price(
            [3.0, 15.0, 0.3, 3.75, 6.0],
            &[(200_000, [6.0, 22.5, 0.6, 7.5, 12.0])],
        );
        for (what, counts, expected) in [
            ("nothing", [0; 5], "0"),
            ("input", [1_000_000, 0, 0, 0, 0], "6"),
            (
                "up to the step all of it is at the lower price",
                [200_000, 1_000, 0, 0, 0],
                "0.615",
            ),
            (
                "and above it all of it at the higher one",
                [200_001, 1_000, 0, 0, 0],
                "1.222506",
            ),
            ("output", [0, 1_000, 0, 0, 0], "0.015"),
            (
                "what is cached is a part of the input",
                [1_000, 0, 600, 0, 0],
                "0.00138",
            ),
            ("what is written too", [1_000, 0, 0, 400, 0], "0.0033"),
            (
                "and of that what is kept for an hour",
                [1_000, 0, 0, 400, 100],
                "0.003525",
            ),
            ("all together", [100_000, 2_000, 60_000, 30_000, 10_000], "0.213"),
            ("more cached than there is", [10, 0, 100, 100, 100], "0.000003"),
        ] {
            let cost = price.of(&usage(counts));
            assert_eq!(
                cost.map(|cost| cost.to_string()).as_deref(),
                Some(expected),
                "{what}"
            );
        }
    }

    #[test]
    fn a_fraction_of_a_billionth_is_rounded_once_and_not_token_by_token() {
        let price = price([0.003_625; 5], &[]);
        assert_eq!(
            price.of(&usage([1, 0, 0, 0, 0])),
            Some(Cost::from_nanos(4)),
            "3.625"
        );
        assert_eq!(
            price.of(&usage([1_000, 1_000, 500, 0, 0])),
            Some(Cost::from_nanos(7_250))
        );
    }

    #[test]
    fn who_knows_no_usage_knows_no_cost() {
        let price = price([3.0; 5], &[]);
        assert_eq!(price.of(&Usage::default()), None);
        let embedding = Usage {
            input: Some(1_000),
            ..Usage::default()
        };
        assert_eq!(price.of(&embedding), Some(Cost::from_dollars(0.003)));
    }

    #[test]
    fn a_price_of_zeros_is_free_and_says_so() {
        assert!(price([0.0; 5], &[]).is_free());
        assert!(!price([0.0, 0.0, 0.0, 0.0, 1.0], &[]).is_free());
        assert!(!price([0.0; 5], &[(1, [1.0; 5])]).is_free());
        assert_eq!(price([0.0; 5], &[]).to_string(), "free (Maker, 2026-10-24: `m`)");
        assert_eq!(
            price(
                [3.0, 15.0, 0.3, 3.75, 6.0],
                &[(200_000, [6.0, 22.5, 0.6, 7.5, 12.0])]
            )
            .to_string(),
            "$3 in, $0.3 cached, $15 out a million tokens; above 200000 in: $6 in, $22.5 out (Maker, 2026-10-24: `m`)"
        );
    }

    fn any_price() -> impl Strategy<Value = Price> {
        let each = || prop::array::uniform5(0.0..1_000.0_f64);
        (each(), prop::option::of((1..2_000_000_u64, each()))).prop_map(|(each, step)| {
            // A step costs no less.
            let step = step.map(|(at, more)| (at, std::array::from_fn(|n| each[n] + more[n])));
            price(each, &step.into_iter().collect::<Vec<_>>())
        })
    }

    proptest! {
        #[test]
        fn no_usage_makes_it_panic_and_none_costs_more_than_all_at_the_dearest_rate(
            price in any_price(),
            counts in prop::array::uniform5(any::<u64>()),
        ) {
            let cost = price.of(&usage(counts)).unwrap();
            let all = price.above.iter().map(|(_, rates)| rates).chain([&price.rates]);
            let each = all.flat_map(|rates| [rates.input, rates.output, rates.cached_input, rates.cache_write, rates.cache_write_1h]);
            let dearest = each.max().unwrap();
            prop_assert!(cost <= sum([(counts[0], dearest), (counts[1], dearest)]));
        }

        #[test]
        fn more_tokens_never_cost_less(
            price in any_price(),
            counts in prop::array::uniform5(0..3_000_000_u64),
            more in prop::array::uniform2(0..3_000_000_u64),
        ) {
            let before = price.of(&usage(counts)).unwrap();
            let [input, output, ..] = counts;
            let mut after = counts;
            after[0] = input + more[0];
            after[1] = output + more[1];
            // What is read from the cache stays what it was.
            after[2] = counts[2].min(input);
            after[3] = counts[3].min(input - after[2]);
            after[4] = counts[4].min(after[3]);
            prop_assert!(price.of(&usage(after)).unwrap() >= before);
        }

        #[test]
        fn below_a_step_the_cost_of_two_answers_is_the_sum_of_their_costs(
            each in prop::array::uniform5(0.0..1_000.0_f64),
            (a, b) in (prop::array::uniform2(0..1_000_000_u64), prop::array::uniform2(0..1_000_000_u64)),
        ) {
            let price = price(each, &[]);
            let of = |[input, output]: [u64; 2]| price.of(&usage([input, output, 0, 0, 0])).unwrap().nanos();
            let together = of([a[0] + b[0], a[1] + b[1]]);
            prop_assert!(together.abs_diff(of(a) + of(b)) <= 1, "but for the rounding");
        }
    }
}
