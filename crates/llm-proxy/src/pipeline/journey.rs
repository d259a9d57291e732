//! Steps 5 to 9 of a request's journey (contract, section 3). Steps 1 to 4 are in `server::stack`.

use http::Response;
use llm_dialect::Api;

use super::body::AnswerBody;
use super::failure::Failure;
use super::incoming::RequestBody;
use super::{answer, ask, attempts, budget, early, estimate, plan, prompts, rates};
use crate::state::Context;

/// Takes a request to the backend that answers it. Dropping the future cancels whatever is being done for it, in any
/// phase: a connection in the making is given up, an open one is closed, a probe is handed back without a verdict.
///
/// # Errors
/// What the client is told instead of an answer. Nothing has been sent yet.
pub async fn journey(
    ctx: &mut Context,
    call: Call,
    body: RequestBody,
) -> Result<Response<AnswerBody>, Failure> {
    let mut ask = ask::read(ctx, call, body).await?; // 5: the body, bounded; its envelope
    let plan = plan::draw(ctx, &ask)?; // 7: candidates in order, by pure decisions
    budget::reserve(ctx, &ask, &plan)?; // 5: what its key may spend
    rates::reserve(ctx, &ask, &plan.alias)?; // 5: the rates of its key and of the alias, which is sure by now
    prompts::put(ctx, &mut ask, &plan)?; // 6: the operator's texts, the same for all of a conversation
    early::allow(ctx, &ask); // signs of life may go out while an answer is looked for
    match attempts::first_to_speak(ctx, &ask, plan).await {
        Ok(won) => Ok(answer::deliver(ctx, won)), // 9: its last byte takes the record along
        Err(failure) => estimate::instead(ctx, &ask, failure), // no backend could count the tokens
    }
}

/// Which call the path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// The path says it; with what follows the call's own path (`/generations`).
    Named(Api, String),
    /// `POST /`: the body's shape decides, unless the headers did.
    ByShape,
}
