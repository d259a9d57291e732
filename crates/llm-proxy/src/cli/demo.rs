//! `llm-proxy demo` and `llm-proxy sim`: the product without a key, a config or a network.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use llm_sim::{Answer, Sim, Speaks};

use super::serve;
use crate::app::{self, Fatal, Options, Source};
use crate::config::types::Listen;
use crate::server::Inherited;

/// Slow enough to watch a stream arrive, quick enough not to bore.
const TYPING: Duration = Duration::from_millis(40);
/// What the simulated models say.
const CHAT_SAYS: &str =
    "Hello from a simulated OpenAI backend. The first backend of this model failed, and you did not notice.";
const MESSAGES_SAYS: &str = "Hello from a simulated Anthropic backend. The first backend of this model failed, and you did not notice.";

/// Runs only the simulated backends.
pub(super) fn sim(listen: SocketAddr) -> ExitCode {
    serve::run(
        async move {
            let cannot = |error| Fatal::Runtime(format!("cannot simulate on {listen}: {error}"));
            let sim = Sim::start_on(listen, Speaks::All).await.map_err(cannot)?;
            sim.forget().any_host();
            say(&format!(
                "simulated backends on {} (chat, responses, messages); Ctrl-C ends them",
                sim.url()
            ));
            std::future::pending().await
        },
        false,
    )
}

/// Runs the proxy with three simulated backends behind it, one of them broken on purpose.
pub(super) fn demo(port: u16) -> ExitCode {
    let inherited = Inherited::from_environment();
    serve::run(
        async move {
            let cannot =
                |error: io::Error| Fatal::Runtime(format!("cannot start the simulated backends: {error}"));
            let backends = Backends::start().await.map_err(cannot)?;
            let source = Source::Text(backends.config(port)?);
            app::run(Options {
                source,
                inherited,
                ready: welcome,
            })
            .await
        },
        false,
    )
}

/// The simulated backends of the demo.
struct Backends {
    openai: Sim,
    anthropic: Sim,
    broken: Sim,
}

impl Backends {
    async fn start() -> io::Result<Self> {
        let openai = Sim::start(Speaks::All).await?;
        openai.always(Answer::healthy().text(CHAT_SAYS).delay(TYPING));
        let anthropic = Sim::start(Speaks::Messages).await?;
        anthropic.always(Answer::healthy().text(MESSAGES_SAYS).delay(TYPING));
        let broken = Sim::start(Speaks::All).await?;
        broken.always(Answer::status(503));
        // A demo may run for days, and nobody asks what its backends have seen.
        for sim in [&openai, &anthropic, &broken] {
            sim.forget();
        }
        Ok(Self {
            openai,
            anthropic,
            broken,
        })
    }

    fn config(&self, port: u16) -> Result<String, Fatal> {
        let admin = port
            .checked_add(1)
            .ok_or_else(|| Fatal::Runtime("the port leaves no room for the admin listener".to_owned()))?;
        let [openai, anthropic, broken] = [&self.openai, &self.anthropic, &self.broken].map(Sim::url);
        Ok(format!(
            "# The config of `llm-proxy demo`.
listen: 127.0.0.1:{port}
admin: {{listen: 127.0.0.1:{admin}}}
backends:
  - {{name: broken, protocol: openai, url: {broken}, api_key: sk-simulated-broken}}
  - {{name: openai, protocol: openai, url: {openai}, api_key: sk-simulated-openai}}
  - {{name: anthropic, protocol: anthropic, url: {anthropic}, api_key: sk-simulated-anthropic}}
models:
  demo:
    routes:
      - {{backend: broken, priority: 1}}
      - {{backend: openai, priority: 2}}
      - {{backend: anthropic, priority: 2}}
  \"gpt-*\":
    routes: [{{backend: broken, priority: 1}}, {{backend: openai, priority: 2}}]
  \"claude-*\":
    routes: [{{backend: broken, priority: 1}}, {{backend: anthropic, priority: 2}}]
# Short, so that the failing backend is asked again while you watch.
fallback: {{cooldown: 5s, cooldown_max: 5s}}
",
        ))
    }
}

/// What a newcomer can paste, once everything listens.
fn welcome(listen: &[Listen], admin: Option<&Listen>) {
    let Some(Listen::Tcp(proxy)) = listen.first() else {
        return;
    };
    let status = match admin {
        Some(Listen::Tcp(admin)) => format!("http://{admin}/"),
        _ => "off".to_owned(),
    };
    say(&format!(
        r#"
llm-proxy demo: three simulated backends, one of them broken on purpose, and the proxy before them.

  proxy      http://{proxy}      (no key needed)
  dashboard  {status}

Paste one of these into another terminal, and watch this one: the broken backend fails first, the next one answers.
Any client reaches any backend: what one asks in its dialect is put into the other's.

  curl -N http://{proxy}/v1/chat/completions -H 'content-type: application/json' \
    -d '{{"model":"demo","stream":true,"messages":[{{"role":"user","content":"Hello"}}]}}'

  curl -N http://{proxy}/v1/messages -H 'content-type: application/json' -H 'anthropic-version: 2023-06-01' \
    -d '{{"model":"demo","max_tokens":100,"stream":true,"messages":[{{"role":"user","content":"Hello"}}]}}'

  python3 -c 'from openai import OpenAI
for chunk in OpenAI(base_url="http://{proxy}/v1", api_key="none").chat.completions.create(
        model="demo", stream=True, messages=[{{"role": "user", "content": "Hello"}}]):
    print((chunk.choices[0].delta.content or "") if chunk.choices else "", end="", flush=True)'

  ANTHROPIC_BASE_URL=http://{proxy} ANTHROPIC_AUTH_TOKEN=none claude -p "Hello" --model claude-demo

  ANTHROPIC_BASE_URL=http://{proxy} ANTHROPIC_AUTH_TOKEN=none claude -p "Hello" --model gpt-demo      # on the OpenAI backend

Ctrl-C ends the demo.
"#
    ));
}

/// Text for the person at the terminal. A closed pipe is nobody's loss.
fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}
