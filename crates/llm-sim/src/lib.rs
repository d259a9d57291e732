//! Simulated LLM backends: strict about their own protocol, with scripted faults, timing and ends.
//!
//! One crate serves four users: `llm-proxy demo`, `llm-proxy sim`, the tests and the benchmarks. A [`Sim`]
//! listens on a real socket and speaks HTTP/1.1 over its own code, so that each byte, pause and RST is
//! ours to choose.
//!
//! ```
//! # async fn test() -> std::io::Result<()> {
//! use llm_sim::{Answer, Cut, Sim, Speaks};
//!
//! let sim = Sim::start(Speaks::Chat).await?;
//! sim.next(Answer::status(429).header("retry-after", "1"));
//! sim.next(Answer::healthy().deltas(30).after_deltas(20, Cut::Rst));
//! // ... send two requests to sim.url(), then:
//! assert_eq!(sim.wait_seen(2).await[1].path, "/v1/chat/completions");
//! assert_eq!(sim.protocol_errors(), [""; 0]);
//! # Ok(()) }
//! ```
//!
//! # What a healthy backend insists on
//! The path and method to the letter; one credential of the right kind; `content-type`; `anthropic-version`
//! where it belongs; nothing that should have ended at a proxy (cookies, `x-forwarded-*`, hop-by-hop headers,
//! somebody else's `host`); sound HTTP framing; and the dialect's rules about the body, the order of
//! tool calls and results included. What breaks a rule gets the provider's own error and is kept
//! for [`Sim::protocol_errors`]. Unknown fields pass: providers add some every week.
//!
//! # Workloads
//! While no rule is set, the model's name chooses the answer, unchecked and prepared once:
//!
//! | model | answer |
//! | --- | --- |
//! | `sim-small` | about 1 KiB of JSON |
//! | `sim-burst-N` | N deltas, the whole stream in one write |
//! | `sim-paced-N` | N deltas, a write each, as fast as the socket takes them |
//! | `sim-slow-N-MS` | N deltas, an event every MS milliseconds |
//! | `sim-fail-STATUS` | that error |
//! | `sim-hang` | none |
//! | `sim-cut-N` | N deltas, then an RST |
//! | `sim-agent`, `sim-agent/NAME` | what the conversation asks for by tools, strict as without a workload |
//!
//! The agent does what a text says: `write the word PELICAN into bird.txt`, with whatever tool for it the request
//! offers, or `call the tool NAME with {"some":"JSON"}`. Once it has results it tells them, how many bytes each image
//! has, and whether its own reasoning came back unchanged.
//!
//! A stream has its dialect's opening and closing events besides. Not streamed, the text comes as JSON.
//!
//! # What it does not do
//! TLS, HTTP/2, pipelining, decompression of requests; it never looks at more of a model's name than that.

mod agent;
mod answer;
mod api;
mod ask;
mod backend;
mod clock;
mod fault;
mod gate;
mod http;
mod json;
mod plan;
mod script;
mod seen;
mod serve;
mod sim;
mod speak;
mod strict;
mod workload;

pub use answer::{Answer, Cut, Newline};
pub use api::{Api, Speaks};
pub use gate::Gate;
pub use seen::Seen;
pub use sim::{Broken, Sim};
