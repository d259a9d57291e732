//! The names of choices: one table each, which the reader, the schema and the reference share.

use llm_dialect::Api;
use llm_dialect::needs::Feature;

use super::prompts::template::Variable;
use super::types::{
    Auth, Bodies, HttpVersion, LogFormat, Mask, OnDisconnect, OtlpProtocol, Period, PromptPosition, Protocol,
    Rotate, Strategy, WhenAllCooling,
};
use crate::base::Class;

/// A choice that the file makes by name.
pub(crate) trait Named: Copy + Sized + 'static {
    /// Every choice under its name, in the order in which documents list them.
    fn all() -> Vec<(&'static str, Self)>;

    /// The choice of that name.
    fn from_name(name: &str) -> Option<Self> {
        Self::all()
            .into_iter()
            .find(|(known, _)| *known == name)
            .map(|(_, choice)| choice)
    }
}

/// The names alone.
pub(crate) fn names<T: Named>() -> Vec<&'static str> {
    T::all().into_iter().map(|(name, _)| name).collect()
}

macro_rules! named {
    ($($choice:ty { $($name:literal => $value:expr),* $(,)? })*) => {
        $(impl Named for $choice {
            fn all() -> Vec<(&'static str, Self)> {
                vec![$(($name, $value)),*]
            }
        })*
    };
}

named! {
    OtlpProtocol { "auto" => Self::Auto, "grpc" => Self::Grpc, "http" => Self::Http }
    Protocol { "openai" => Self::Openai, "anthropic" => Self::Anthropic }
    Auth {
        "auto" => Self::Auto,
        "bearer" => Self::Bearer,
        "x-api-key" => Self::XApiKey,
        "api-key" => Self::ApiKey,
        "none" => Self::None,
    }
    HttpVersion { "auto" => Self::Auto, "1" => Self::Http1, "2" => Self::Http2 }
    OnDisconnect { "cancel" => Self::Cancel, "drain" => Self::Drain }
    Strategy {
        "weighted" => Self::Weighted,
        "least_busy" => Self::LeastBusy,
        "fastest" => Self::Fastest,
        "random" => Self::Random,
    }
    WhenAllCooling { "probe" => Self::Probe, "fail" => Self::Fail, "always_try" => Self::AlwaysTry }
    Feature {
        "vision" => Self::Vision,
        "tools" => Self::Tools,
        "thinking" => Self::Thinking,
        "json_schema" => Self::JsonSchema,
    }
    Period { "day" => Self::Day, "month" => Self::Month }
    PromptPosition { "before" => Self::Before, "after" => Self::After, "replace" => Self::Replace }
    Variable {
        "_DATE" => Self::Date,
        "_TIME" => Self::Time,
        "_DATETIME" => Self::DateTime,
        "_MODEL" => Self::Model,
        "_BACKEND" => Self::Backend,
        "_BACKEND_MODEL" => Self::BackendModel,
        "_KEY_NAME" => Self::KeyName,
        "_CLIENT_IP" => Self::ClientIp,
        "_REQUEST_ID" => Self::RequestId,
        "_DIALECT" => Self::Dialect,
    }
    LogFormat { "auto" => Self::Auto, "pretty" => Self::Pretty, "json" => Self::Json }
    Bodies { "off" => Self::Off, "errors" => Self::Errors, "all" => Self::All }
    Mask { "standard" => Self::Standard, "strict" => Self::Strict }
    Affinity { "auto" => Self(true), "off" => Self(false) }
    Rotate { "daily" => Self::Daily, "hourly" => Self::Hourly, "never" => Self::Never }
}

/// `affinity`: whether conversations stay where their prompt cache is.
#[derive(Clone, Copy)]
pub(crate) struct Affinity(pub(crate) bool);

impl Named for Api {
    fn all() -> Vec<(&'static str, Self)> {
        Self::ALL.into_iter().map(|api| (api.name(), api)).collect()
    }
}

impl Named for Class {
    fn all() -> Vec<(&'static str, Self)> {
        Self::ALL.into_iter().map(|class| (class.name(), class)).collect()
    }
}
