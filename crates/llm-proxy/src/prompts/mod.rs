//! Which system prompts count for a request, what they say, and that a conversation keeps what it was told first.
//!
//! ```text
//! config --> Prompts --for_request--> prompts of this alias and key, in order
//!                                         --render--> texts --> Memo: by conversation, for as long as it lives
//! ```
//!
//! Pure: the time, the values of variables and the request's bytes are arguments. How texts are put into a body is the
//! dialects' matter.

pub mod conversation;
pub mod memo;
pub mod render;
pub mod select;

pub use conversation::{ConversationId, Whose};
pub use memo::Memo;
pub use render::{Rendered, Values, render};
pub use select::{Prompt, Prompts};
