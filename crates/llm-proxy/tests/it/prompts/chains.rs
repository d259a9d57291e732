//! Two proxies in a row with the same prompts (reliability.md, V11).

use llm_sim::{Sim, Speaks};
use serde_json::{Value, json};

use super::{KEY, api, bodies, told, with_system};
use crate::support::{Proxy, Tongue};

const PROMPTS: &str = "system_prompts: [{text: OURS}, {text: END, position: after}]\n";

/// A proxy before that address, with a backend of each dialect named after its call, these models and the prompts.
async fn proxy_before(url: &str, models: &str, more: &str) -> Proxy {
    let backends = Tongue::ALL.map(|tongue| {
        let (name, protocol) = (api(tongue), tongue.protocol());
        format!("  - {{name: {name}, protocol: {protocol}, url: {url}, api_key: {KEY}, apis: [{name}]}}\n")
    });
    let backends = backends.concat();
    Proxy::start(&format!("backends:\n{backends}models:\n{models}{PROMPTS}{more}")).await
}

/// Two in a row. The model `A-B` goes from the first to the second in the dialect A, and on to the backend in B.
async fn two_in_a_row() -> (Sim, Proxy, Proxy) {
    let sim = Sim::start(Speaks::All).await.unwrap();
    let to = |name: &str| format!("  {name}: {{backend: {name}, model: real}}\n");
    let models = Tongue::ALL.map(|tongue| to(api(tongue))).concat();
    let keys = format!("api_keys: [{{name: outer, key: {KEY}}}]\n");
    let inner = proxy_before(&sim.url(), &models, &keys).await;
    let pairs = Tongue::ALL
        .into_iter()
        .flat_map(|a| Tongue::ALL.map(|b| (api(a), api(b))));
    let models: Vec<String> = pairs
        .map(|(a, b)| format!("  {a}-{b}: {{backend: {a}, model: {b}}}\n"))
        .collect();
    let outer = proxy_before(&format!("http://{}", inner.address()), &models.concat(), "").await;
    (sim, outer, inner)
}

/// Requests of a client whose own texts are `CLIENT` and, where a dialect has a second place for instructions, `MORE`.
fn requests(tongue: Tongue, model: &str, stream: bool) -> Vec<Value> {
    let whole = with_system(tongue, model, stream);
    let mut more = whole.clone();
    let item = json!({"role": "developer", "content": "MORE"});
    match tongue {
        Tongue::Chat => more["messages"].as_array_mut().unwrap().insert(1, item),
        Tongue::Messages => {
            more["system"] = json!([{"type": "text", "text": "CLIENT"}, {"type": "text", "text": "MORE"}]);
        }
        Tongue::Responses => {
            let words = json!({"role": "user", "content": "hi"});
            more["input"] = json!([item, words]);
        }
    }
    vec![tongue.request(model, stream), whole, more]
}

#[tokio::test]
async fn v11_two_proxies_in_a_row_put_a_prompt_in_once_wherever_it_is_converted() {
    let (sim, outer, inner) = two_in_a_row().await;
    for client in Tongue::ALL {
        for between in Tongue::ALL {
            for end in Tongue::ALL {
                let model = format!("{}-{}", api(between), api(end));
                for request in requests(client, &model, false) {
                    outer.client().post(client.path(), &request).await.expect(200);
                    inner.sent(1);
                    let body = bodies(&sim).pop().unwrap();
                    let texts = told(end, &body).join("|").replace("\n\n", "|");
                    let (ours, last) = (texts.matches("OURS").count(), texts.matches("END").count());
                    assert_eq!(
                        (ours, last),
                        (1, 1),
                        "{client:?}, {between:?}, {end:?}: {texts}, of {request}"
                    );
                    assert!(
                        texts.starts_with("OURS"),
                        "{client:?}, {between:?}, {end:?}: {texts}"
                    );
                    for own in ["CLIENT", "MORE"] {
                        let (sent, got) = (request.to_string(), body.to_string());
                        assert_eq!(
                            sent.matches(own).count(),
                            got.matches(own).count(),
                            "{own}: {texts}"
                        );
                    }
                }
            }
        }
    }
    assert_eq!(sim.protocol_errors(), [""; 0]);
    outer.finish().await;
    inner.finish().await;
}

#[tokio::test]
async fn v11_two_proxies_in_a_row_give_what_one_gives() {
    let (sim, outer, inner) = two_in_a_row().await;
    for tongue in Tongue::ALL {
        let model = format!("{0}-{0}", api(tongue));
        for stream in [false, true] {
            for (request, of_one) in
                requests(tongue, &model, stream)
                    .into_iter()
                    .zip(requests(tongue, api(tongue), stream))
            {
                outer.client().post(tongue.path(), &request).await.expect(200);
                let one = inner.client().header("x-api-key", KEY);
                one.post(tongue.path(), &of_one).await.expect(200);
                inner.sent(1);
                let seen = sim.seen();
                let [.., both, one] = &seen[..] else {
                    panic!("{seen:?}")
                };
                assert_eq!(both.body, one.body, "{tongue:?}");
            }
        }
    }
    outer.finish().await;
    inner.finish().await;
}
