//! P12: what needs no change is not changed, not by a byte: requests and answers of the client's own dialect.

use llm_sim::{Answer, Sim, Speaks};

use crate::support::{Proxy, Tongue};

/// A proxy with the alias `m` of this meaning before one backend.
async fn with_alias(tongue: Tongue, alias: &str) -> (Sim, Proxy) {
    let sim = Sim::start(Speaks::All).await.unwrap();
    let (protocol, url) = (tongue.protocol(), sim.url());
    let proxy = Proxy::start(&format!(
        "backends: [{{name: a, protocol: {protocol}, url: {url}, api_key: sk-canary-backend-a}}]
models: {{m: {alias}}}
"
    ))
    .await;
    (sim, proxy)
}

/// A request as nobody's library writes it: unknown fields, keys in no order, numbers spelt in many ways, escapes,
/// white space. `model` stands in the middle.
fn odd(tongue: Tongue) -> String {
    let conversation = match tongue {
        Tongue::Chat => {
            r#""messages" :[ {"x_extra":{"b":1,"a":[ ]},"role":"user","content":"H\u00e9llo \ud83d\ude00 \/ caf\u00E9"} ]"#
        }
        Tongue::Messages => {
            r#""max_tokens" : 0100e1,"messages" :[ {"role":"user","content":[{"text":"H\u00e9llo \ud83d\ude00 \/","type":"text","cache_control":{"type":"ephemeral"}}]} ]"#
        }
        Tongue::Responses => r#""input" : "H\u00e9llo \ud83d\ude00 \/ caf\u00E9""#,
    };
    let conversation = conversation.replace("0100e1", "100");
    format!(
        " {{\r\n\t\"zeta\" : 1e2, \"temperature\":0.50,\"x_big\": 123456789012345678901234567890 ,\n\"model\" : \"m\" ,{conversation},\"x_numbers\":[1.0,-0,1E+2,0.1000, null ],\"x_model\":{{\"model\":\"m\"}},\"stream\": false }}\n"
    )
}

/// What the backend was sent, byte for byte, for that body.
async fn sent(tongue: Tongue, sim: &Sim, proxy: &Proxy, body: &str) -> String {
    let reply = proxy.client().send("POST", tongue.path(), body.as_bytes()).await;
    reply.expect(200);
    let seen = sim.seen().pop().unwrap();
    assert_eq!(sim.protocol_errors(), [""; 0]);
    assert_eq!(
        seen.header("content-length"),
        Some(seen.body.len().to_string().as_str())
    );
    String::from_utf8(seen.body.to_vec()).unwrap()
}

#[tokio::test]
async fn p12_a_request_goes_on_byte_for_byte() {
    for tongue in Tongue::ALL {
        let (sim, proxy) = with_alias(tongue, "{backend: a}").await;
        let body = odd(tongue);
        assert_eq!(sent(tongue, &sim, &proxy, &body).await, body, "{tongue:?}");
        proxy.finish().await;
    }
}

#[tokio::test]
async fn p12_of_a_request_only_the_models_name_is_changed() {
    for tongue in Tongue::ALL {
        let (sim, proxy) = with_alias(tongue, "{routes: [{backend: a, model: 'real \"one\"'}]}").await;
        let body = odd(tongue);
        let expected = body.replacen("\"model\" : \"m\"", r#""model" : "real \"one\"""#, 1);
        assert_eq!(sent(tongue, &sim, &proxy, &body).await, expected, "{tongue:?}");
        proxy.finish().await;
    }
}

#[tokio::test]
async fn p12_overrides_and_defaults_change_their_own_bytes_alone() {
    for tongue in Tongue::ALL {
        let alias =
            "{backend: a, overrides: {temperature: 0, x_set: [1]}, defaults: {zeta: 9, x_default: \"text\"}}";
        let (sim, proxy) = with_alias(tongue, alias).await;
        let body = odd(tongue);
        // In place where the member is there, before the closing brace where it is not; a default gives way.
        let expected = body.replace("\"temperature\":0.50", "\"temperature\":0").replace(
            "\"stream\": false }",
            "\"stream\": false,\"x_default\":\"text\",\"x_set\":[1] }",
        );
        assert_eq!(sent(tongue, &sim, &proxy, &body).await, expected, "{tongue:?}");
        proxy.finish().await;
    }
}

#[tokio::test]
async fn p12_an_answer_comes_back_byte_for_byte() {
    for tongue in Tongue::ALL {
        let (sim, proxy) = with_alias(tongue, "{routes: [{backend: a, model: real}]}").await;
        let answer = match tongue {
            Tongue::Chat => {
                " {\"x\":1.0E2,\"choices\" : [{\"message\":{\"content\":\"\\u00e9 \\/\",\"role\":\"assistant\"},\"finish_reason\":\"stop\"}],\"model\":\"real\",\n\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"x\":[ ]} }\r\n"
            }
            Tongue::Messages => {
                " {\"x\":1.0E2,\"content\" : [{\"type\":\"text\",\"text\":\"\\u00e9 \\/\"}],\"type\":\"message\",\"role\":\"assistant\",\"stop_reason\":\"end_turn\",\"model\":\"real\",\n\"usage\":{\"input_tokens\":3,\"output_tokens\":4,\"x\":[ ]} }\r\n"
            }
            Tongue::Responses => {
                " {\"x\":1.0E2,\"output\" : [{\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"\\u00e9 \\/\"}]}],\"object\":\"response\",\"id\":\"resp_1\",\"status\":\"completed\",\"model\":\"real\",\n\"usage\":{\"input_tokens\":3,\"output_tokens\":4,\"x\":[ ]} }\r\n"
            }
        };
        sim.next(Answer::status(200).raw_body(answer, "application/json; charset=utf-8"));
        let request = tongue.request("m", false);
        let reply = proxy.client().post(tongue.path(), &request).await.expect(200);
        assert_eq!(reply.text(), answer, "{tongue:?}");
        assert_eq!(reply.header("content-type"), "application/json; charset=utf-8");
        let record = &proxy.recorded(1).await[0];
        assert_eq!(
            (&record["input_tokens"], &record["output_tokens"]),
            (&3.into(), &4.into())
        );
        proxy.finish().await;
    }
}

#[tokio::test]
async fn p12_each_attempt_begins_with_the_clients_own_bytes() {
    for tongue in Tongue::ALL {
        let (a, b) = (
            Sim::start(Speaks::All).await.unwrap(),
            Sim::start(Speaks::All).await.unwrap(),
        );
        let protocol = tongue.protocol();
        let proxy = Proxy::start(&format!(
            "backends:
  - {{name: a, protocol: {protocol}, url: {}, api_key: sk-canary-backend-a}}
  - {{name: b, protocol: {protocol}, url: {}, api_key: sk-canary-backend-b}}
models: {{m: {{routes: [{{backend: a, model: of-a, priority: 1}}, {{backend: b, priority: 2}}]}}}}
",
            a.url(),
            b.url()
        ))
        .await;
        a.always(Answer::status(500));
        let body = odd(tongue);
        assert_eq!(
            sent(tongue, &b, &proxy, &body).await,
            body,
            "{tongue:?}: nothing of a's"
        );
        let to_a = String::from_utf8(a.seen()[0].body.to_vec()).unwrap();
        assert_eq!(
            to_a,
            body.replacen("\"model\" : \"m\"", "\"model\" : \"of-a\"", 1)
        );
        proxy.finish().await;
    }
}
