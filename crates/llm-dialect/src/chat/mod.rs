//! Chat Completions: its requests, answers and streams, in and out of the canonical form.
