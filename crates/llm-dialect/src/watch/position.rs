//! How far a stream has come: what an error that ends it has to continue.

/// The place in a stream at which further events would go. Only Responses streams have such a thing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamPosition {
    /// The `sequence_number` of the next event.
    pub sequence_number: u64,
    /// The id of the response, once the backend has named it.
    pub response_id: Option<String>,
    /// The model that the response names; empty if it named none.
    pub model: String,
    /// When the response began, in Unix seconds; 0 if it did not say.
    pub created_at: u64,
}
