//! What the answer to a converted request has to keep to.

use crate::names::Names;

/// Kept from a request until its answer is encoded.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// The model as the client asked for it: that is what the answer names.
    pub model: String,
    /// Whether the client asked for a stream.
    pub stream: bool,
    /// Whether a chat client wants the closing chunk with the token counts.
    pub include_usage: bool,
    /// How tools are called by the client and by the backend.
    pub names: Names,
    /// Whether the backend was given a tool in place of a JSON schema; its arguments are the answer.
    pub json_tool: bool,
    /// Members of a Responses request that its answer repeats: `"name":value` in order, joined by commas.
    pub echo: String,
    /// About how many tokens the model reads, for a stream whose dialect says so before any backend has counted.
    pub input_tokens: u64,
    /// Whose models the backend serves, for the envelope of sealed reasoning.
    pub family: String,
    /// The backend's name of the model, likewise.
    pub backend_model: String,
    /// The time in Unix seconds, where the backend names none.
    pub now: u64,
    /// What ids are made from where the backend gives none.
    pub request_id: String,
}
