//! A request's way from its headers to its last byte. `journey` is the place to begin reading.

pub mod admission;
mod affinity;
mod answer;
mod apart;
mod ask;
mod attempt;
mod attempts;
mod body;
mod budget;
mod clocks;
mod commit;
mod cross;
mod deadline;
mod decode;
pub mod early;
mod estimate;
mod failure;
mod fit;
mod headers;
pub mod journey;
mod outgoing;
mod pace;
mod plan;
mod prompts;
pub mod rates;
mod reader;
mod relay;
mod scrub;
mod standing;
mod stream;
mod verdict;
mod walk;

pub use body::AnswerBody;
pub use failure::{Failure, Says};
pub use plan::{Candidate, candidates};
pub use reader::Reader;
