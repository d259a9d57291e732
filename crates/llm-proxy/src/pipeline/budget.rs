//! The budget of a request's key: asked before anything is sent, paid when the last byte is out.

use std::time::Duration;

use llm_dialect::usage::Usage;
use llm_dialect::wire_error::ErrorKind;
use llm_dialect::{Api, estimate};

use super::ask::{Ask, Shape};
use super::failure::Failure;
use super::fit;
use super::plan::Plan;
use super::rates::USUAL_ANSWER;
use crate::base::Cost;
use crate::config::types::Period;
use crate::limits::Short;
use crate::observe::Record;
use crate::state::{Context, Held, Reserved};

/// Puts aside what a request may cost, wherever it goes. What is free, or only counts tokens, needs no budget.
///
/// # Errors
/// The budget is spent, or may be by what is in flight.
pub(super) fn reserve(ctx: &mut Context, ask: &Ask, plan: &Plan) -> Result<(), Failure> {
    let Some(budget) = ctx.client.as_ref().and_then(|client| client.budget.as_ref()) else {
        return Ok(());
    };
    let prices = plan
        .candidates
        .iter()
        .map(|candidate| candidate.price(&ctx.snapshot));
    let prices: Vec<_> = prices.collect();
    let is_free = prices
        .iter()
        .all(|price| price.as_ref().is_some_and(|price| price.is_free()));
    if is_free || ask.api == Api::CountTokens {
        return Ok(());
    }
    let input = match ask.shape {
        Shape::Json(_) => estimate::of_bytes(&ask.body),
        Shape::Form(_) => 0,
    };
    let output = longest(ask, plan);
    let most = prices
        .iter()
        .flatten()
        .map(|price| price.estimate(input, output))
        .max();
    match budget.reserve(most.unwrap_or(Cost::ZERO), input) {
        Ok(reserved) => {
            ctx.held.reserved = Some(Box::new(reserved));
            Ok(())
        }
        Err(short) => Err(refused(short, budget.allowance.per)),
    }
}

/// How long the answer may become, in tokens.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, which is what is wanted"
)]
fn longest(ask: &Ask, plan: &Plan) -> u64 {
    fit::longest_answer(ask, &plan.alias).unwrap_or(USUAL_ANSWER) as u64
}

/// Pays for a request that is over, and gives back the rest.
///
/// Where nobody tells what was used, an answer that was had is paid for at least its question.
pub(super) fn settle(held: &mut Held, record: &Record) {
    let Some(mut reserved) = held.reserved.take() else {
        return;
    };
    reserved.cost = record
        .cost
        .or_else(|| question(&reserved, record))
        .unwrap_or(Cost::ZERO);
}

fn question(reserved: &Reserved, record: &Record) -> Option<Cost> {
    let asked = Usage {
        input: Some(reserved.input),
        ..Usage::default()
    };
    record.price.as_ref()?.of(&asked)
}

#[cold]
fn refused(short: Short, per: Period) -> Failure {
    let period = match per {
        Period::Day => "day",
        Period::Month => "month",
    };
    let (kind, message, wait) = match short {
        Short::Spent(wait) => {
            let message = format!(
                "The budget of this API key for the {period} is spent; it begins anew in {}.",
                in_words(wait)
            );
            (ErrorKind::BudgetExceeded, message, wait)
        }
        Short::InFlight(wait) => {
            let message = format!(
                "What is left of the budget of this API key for the {period} may be needed by its requests in flight; \
                 try again when one of them is over."
            );
            (ErrorKind::RateLimited, message, wait)
        }
    };
    Failure::local(kind, message).after(Some(wait))
}

/// About how long that is.
fn in_words(wait: Duration) -> String {
    let hours = wait.as_secs().div_ceil(3_600);
    match (wait.as_secs().div_ceil(60), hours) {
        (0 | 1, _) => "a minute".to_owned(),
        (minutes, 0..=2) => format!("{minutes} minutes"),
        (_, hours @ ..=48) => format!("{hours} hours"),
        (_, hours) => format!("{} days", hours.div_ceil(24)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_in_words_and_never_as_shorter_than_it_is() {
        for (seconds, words) in [
            (0, "a minute"),
            (60, "a minute"),
            (61, "2 minutes"),
            (7_200, "120 minutes"),
            (7_201, "3 hours"),
            (86_400, "24 hours"),
            (172_801, "3 days"),
            (2_678_400, "31 days"),
        ] {
            assert_eq!(in_words(Duration::from_secs(seconds)), words, "{seconds}");
        }
    }
}
