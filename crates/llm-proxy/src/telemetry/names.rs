//! What the conventions call things: providers and operations (OpenTelemetry's semantic conventions for generative AI,
//! registry of `gen_ai.provider.name` and `gen_ai.operation.name`).

use llm_dialect::Api;

use crate::config::types::Protocol;
use crate::observe::meters::Server;

/// Providers by the domain that their own servers are in. All speak the dialects of `OpenAI` or Anthropic.
const PROVIDERS: [(&str, &str); 16] = [
    ("openai.azure.com", "azure.ai.openai"),
    ("cognitiveservices.azure.com", "azure.ai.openai"),
    ("services.ai.azure.com", "azure.ai.inference"),
    ("amazonaws.com", "aws.bedrock"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("cohere.com", "cohere"),
    ("cohere.ai", "cohere"),
    ("deepseek.com", "deepseek"),
    ("groq.com", "groq"),
    ("ibm.com", "ibm.watsonx.ai"),
    ("mistral.ai", "mistral_ai"),
    ("moonshot.ai", "moonshot_ai"),
    ("moonshot.cn", "moonshot_ai"),
    ("perplexity.ai", "perplexity"),
    ("x.ai", "x_ai"),
];

/// Who is behind a server, by our best knowledge; else the provider whose dialect it speaks.
pub(super) fn provider(server: &Server) -> &'static str {
    let host = server.host.as_bytes();
    let is_in = |domain: &str| {
        let at = host.len().checked_sub(domain.len());
        let split = at.and_then(|at| host.split_at_checked(at));
        split.is_some_and(|(sub, end)| {
            end.eq_ignore_ascii_case(domain.as_bytes()) && (sub.is_empty() || sub.ends_with(b"."))
        })
    };
    let known = PROVIDERS.iter().find(|(domain, _)| is_in(domain));
    known.map_or(
        match server.protocol {
            Protocol::Openai => "openai",
            Protocol::Anthropic => "anthropic",
        },
        |(_, provider)| provider,
    )
}

/// What a call does.
pub(super) fn operation(api: Api) -> &'static str {
    match api {
        Api::Chat | Api::Responses | Api::Messages => "chat",
        Api::Embeddings => "embeddings",
        Api::Completions => "text_completion",
        // No convention has a word for these.
        Api::CountTokens | Api::Moderations | Api::Images | Api::Audio | Api::Rerank => api.name(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_known_by_its_domain_and_else_by_the_dialect() {
        for (host, protocol, expected) in [
            ("api.openai.com", Protocol::Openai, "openai"),
            ("team.openai.azure.com", Protocol::Openai, "azure.ai.openai"),
            ("API.DeepSeek.com", Protocol::Anthropic, "deepseek"),
            ("api.x.ai", Protocol::Openai, "x_ai"),
            ("x.ai", Protocol::Openai, "x_ai"),
            ("relax.ai", Protocol::Openai, "openai"),
            ("127.0.0.1", Protocol::Anthropic, "anthropic"),
        ] {
            let server = Server {
                host: host.into(),
                port: 443,
                protocol,
            };
            assert_eq!(provider(&server), expected, "{host}");
        }
    }
}
