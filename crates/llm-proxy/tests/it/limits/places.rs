//! Requests at once, and the queue for the rest, as clients and backends meet them.

use std::time::Duration;

use futures_util::future::join_all;
use llm_sim::{Answer, Cut, Sim, Speaks};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::{Client, Proxy, Rig, Streaming, Tongue, promptly, until};

const LOW: &str = "sk-canary-client-low-0123456789";
const HIGH: &str = "sk-canary-client-high-0123456789";

/// A stream that never ends by itself.
fn endless() -> Answer {
    Answer::healthy().after_deltas(1, Cut::Stall)
}

/// The status for "too busy".
fn overloaded(tongue: Tongue) -> u16 {
    if tongue == Tongue::Messages { 529 } else { 503 }
}

/// `concurrency` of the status.
async fn places(proxy: &Proxy) -> Value {
    proxy.status().await["concurrency"].clone()
}

/// Waits until so many are in service, and so many wait.
async fn settled(proxy: &Proxy, in_service: usize, waiting: usize) {
    until(
        &format!("{in_service} in service, {waiting} waiting"),
        async || {
            let now = places(proxy).await;
            (now["in_service"] == in_service && now["waiting"] == waiting).then_some(())
        },
    )
    .await;
}

/// Opens a stream of that alias, and waits for nothing.
async fn open(client: &Client, tongue: Tongue, model: &str) -> Streaming {
    let body = tongue.request(model, true).to_string();
    client.open("POST", tongue.path(), body.as_bytes()).await
}

#[tokio::test]
async fn l01_no_more_than_so_many_reach_the_backends_and_the_rest_follow() {
    for tongue in Tongue::ALL {
        let rig = Rig::top(tongue, "concurrency: {max_requests: 10, queue_size: 20}").await;
        rig.a.always(endless());
        let mut running = Vec::new();
        for _ in 0..30 {
            running.push(rig.open().await);
        }
        for round in 1..=3 {
            rig.a.wait_seen(round * 10).await;
            settled(&rig.proxy, 10, 30 - round * 10).await;
            assert_eq!(rig.a.seen().len(), round * 10, "never more than ten at once");
            // Whoever has an answer leaves; those who wait have nothing yet.
            let mut answered = vec![false; running.len()];
            until("ten answers", async || {
                for (answered, stream) in answered.iter_mut().zip(&running) {
                    *answered |= !stream.is_silent();
                }
                (answered.iter().filter(|answered| **answered).count() == 10).then_some(())
            })
            .await;
            let (served, waiting): (Vec<_>, Vec<_>) = running
                .into_iter()
                .zip(answered)
                .partition(|(_, answered)| *answered);
            let streams = |some: Vec<(Streaming, bool)>| some.into_iter().map(|(stream, _)| stream);
            let (served, waiting) = (streams(served), streams(waiting).collect());
            served.for_each(Streaming::leave);
            running = waiting;
        }
        let waited = rig.proxy.recorded(30).await;
        let waited = waited.iter().filter(|record| record["queue_ms"].is_number());
        assert_eq!(waited.count(), 20, "the access line says who waited");
        rig.finish().await;
    }
}

#[tokio::test]
async fn l02_a_full_queue_answers_at_once() {
    for tongue in Tongue::ALL {
        let rig = Rig::top(
            tongue,
            "concurrency: {max_requests: 1, queue_size: 1, queue_timeout: 10m}",
        )
        .await;
        rig.a.always(endless());
        let holder = rig.open().await;
        rig.a.wait_seen(1).await;
        let waiter = rig.open().await;
        settled(&rig.proxy, 1, 1).await;
        for stream in [false, true] {
            let refused = promptly("a refusal", rig.ask(stream))
                .await
                .expect(overloaded(tongue));
            let seconds: u64 = refused.header("retry-after").parse().unwrap();
            assert!((1..=60).contains(&seconds));
            let error = &refused.json()["error"];
            match tongue {
                Tongue::Messages => assert_eq!(error["type"], "overloaded_error"),
                _ => assert_eq!(
                    (&error["type"], &error["code"]),
                    (&json!("server_error"), &json!("overloaded"))
                ),
            }
        }
        assert_eq!(rig.a.seen().len(), 1, "no backend has heard of them");
        assert_eq!(places(&rig.proxy).await["refused_full"], 2);
        holder.leave();
        rig.a.wait_seen(2).await;
        waiter.leave();
        rig.finish().await;
    }
}

#[tokio::test]
async fn l03_who_has_waited_long_enough_is_told_so() {
    let rig = Rig::top(
        Tongue::Messages,
        "concurrency: {max_requests: 1, queue_timeout: 200ms}",
    )
    .await;
    rig.a.always(endless());
    let holder = rig.open().await;
    rig.a.wait_seen(1).await;
    let refused = rig.ask(false).await.expect(529);
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert_eq!(places(&rig.proxy).await["refused_timeout"], 1);
    assert_eq!(rig.a.seen().len(), 1);
    holder.leave();
    rig.finish().await;
}

#[tokio::test]
async fn l04_one_address_does_not_keep_another_out() {
    let rig = Rig::top(Tongue::Chat, "concurrency: {max_requests: 10, per_ip: 2}").await;
    rig.a.always(endless());
    let mut flood = Vec::new();
    for _ in 0..20 {
        flood.push(rig.open().await);
    }
    rig.a.wait_seen(2).await;
    settled(&rig.proxy, 2, 18).await;
    rig.a.always(Answer::healthy());
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let stream: TcpStream = socket
        .connect(rig.proxy.address().parse().unwrap())
        .await
        .unwrap();
    let body = Tongue::Chat.request("m", false).to_string();
    let client = rig.proxy.client();
    let mut other = client
        .open_on(stream, "POST", "/v1/chat/completions", body.as_bytes())
        .await;
    promptly("the other address to be served", other.rest())
        .await
        .expect(200);
    assert_eq!(places(&rig.proxy).await["waiting"], 18);
    flood.into_iter().for_each(Streaming::leave);
    rig.finish().await;
}

/// Two keys, an alias for each, so that the backend can tell whose request it has.
async fn two_keys(top: &str, more: [&str; 2]) -> (Sim, Proxy) {
    let sim = Sim::start(Speaks::All).await.unwrap();
    let proxy = Proxy::start(&format!(
        "api_keys: [{{name: low, key: {LOW}{}}}, {{name: high, key: {HIGH}{}}}]
backends: [{{name: a, protocol: openai, url: {}, api_key: sk-canary-backend}}]
models:
  low: {{backend: a, model: low}}
  high: {{backend: a, model: high}}
{top}",
        more[0],
        more[1],
        sim.url()
    ))
    .await;
    (sim, proxy)
}

fn keyed(proxy: &Proxy, key: &str) -> Client {
    proxy.client().header("x-api-key", key)
}

/// Whose requests the backend has seen, in order.
fn order(sim: &Sim) -> Vec<String> {
    let model = |seen: &llm_sim::Seen| seen.json()["model"].as_str().unwrap().to_owned();
    sim.seen().iter().map(model).collect()
}

#[tokio::test]
async fn l05_a_late_key_takes_turns_with_one_that_has_filled_the_queue() {
    let top = "concurrency: {max_requests: 1, per_ip: 1000, queue_timeout: 10m}";
    let (sim, proxy) = two_keys(top, ["", ""]).await;
    sim.next(endless());
    let holder = open(&keyed(&proxy, LOW), Tongue::Chat, "low").await;
    sim.wait_seen(1).await;
    let mut greedy = Vec::new();
    for _ in 0..100 {
        greedy.push(open(&keyed(&proxy, LOW), Tongue::Chat, "low").await);
    }
    settled(&proxy, 1, 100).await;
    let mut late = Vec::new();
    for _ in 0..10 {
        late.push(open(&keyed(&proxy, HIGH), Tongue::Chat, "high").await);
    }
    settled(&proxy, 1, 110).await;
    holder.leave();
    sim.wait_seen(111).await;
    let served = order(&sim);
    let last = served.iter().rposition(|whose| whose == "high").unwrap();
    assert!(
        last <= 21,
        "ten of the late key among the first twenty: the last came as number {last}"
    );
    for mut stream in greedy.into_iter().chain(late) {
        stream.rest().await.expect(200);
    }
    proxy.finish().await;
}

#[tokio::test]
async fn l06_a_higher_priority_goes_first_and_a_lower_one_is_not_starved() {
    let top = "concurrency: {max_requests: 1, per_ip: 1000, queue_timeout: 10m}";
    let (sim, proxy) = two_keys(top, [", priority: -1", ", priority: 5"]).await;
    sim.next(endless());
    let holder = open(&keyed(&proxy, LOW), Tongue::Messages, "low").await;
    sim.wait_seen(1).await;
    let mut all = Vec::new();
    for (key, model) in [(LOW, "low"), (HIGH, "high")] {
        for _ in 0..5 {
            all.push(open(&keyed(&proxy, key), Tongue::Messages, model).await);
        }
    }
    settled(&proxy, 1, 10).await;
    assert_eq!(
        places(&proxy).await["waiting_by_priority"],
        json!({"5": 5, "-1": 5})
    );
    holder.leave();
    sim.wait_seen(11).await;
    assert_eq!(order(&sim)[1..6], ["high"; 5]);
    for mut stream in all {
        stream.rest().await.expect(200);
    }
    proxy.finish().await;
}

#[tokio::test]
async fn v18_what_claude_code_says_of_a_request_orders_the_queue() {
    let top = "concurrency: {max_requests: 1, per_ip: 1000, queue_timeout: 10m}";
    let (sim, proxy) = two_keys(top, ["", ""]).await;
    sim.next(endless());
    let holder = open(&keyed(&proxy, LOW), Tongue::Messages, "low").await;
    sim.wait_seen(1).await;
    let mut all = Vec::new();
    for (before, class) in ["auxiliary", "subagent", "main", ""].into_iter().enumerate() {
        let client = keyed(&proxy, LOW).header("x-claude-code-request-class", class);
        let body = json!({"model": "low", "messages": [{"role": "user", "content": class}]}).to_string();
        all.push(client.open("POST", "/v1/chat/completions", body.as_bytes()).await);
        settled(&proxy, 1, before + 1).await;
    }
    holder.leave();
    let seen = sim.wait_seen(5).await;
    let said = |seen: &llm_sim::Seen| seen.json()["messages"][0]["content"].as_str().unwrap().to_owned();
    let classes: Vec<_> = seen[1..].iter().map(said).collect();
    assert_eq!(classes, ["main", "", "subagent", "auxiliary"]);
    for mut stream in all {
        stream.rest().await.expect(200);
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_key_over_its_own_bound_waits_and_holds_up_nobody_else() {
    let top = "concurrency: {max_requests: 10, queue_timeout: 10m}";
    let (sim, proxy) = two_keys(top, [", max_concurrent: 2", ""]).await;
    sim.script(|seen| match seen.json()["model"].as_str() {
        Some("low") => endless(),
        _ => Answer::healthy(),
    });
    let mut low = Vec::new();
    for _ in 0..5 {
        low.push(open(&keyed(&proxy, LOW), Tongue::Responses, "low").await);
    }
    sim.wait_seen(2).await;
    settled(&proxy, 2, 3).await;
    keyed(&proxy, HIGH).chat("high", false).await.expect(200);
    assert_eq!(order(&sim).iter().filter(|whose| *whose == "low").count(), 2);
    low.into_iter().for_each(Streaming::leave);
    proxy.finish().await;
}

#[tokio::test]
async fn l13_a_place_comes_free_however_a_request_ends() {
    for tongue in Tongue::ALL {
        let top = "concurrency: {max_requests: 1, queue_size: 0}\ntimeout: {first_byte: 1s}\nfallback: {max_attempts: 1, trip: {consecutive: 100, min_requests: 100}}";
        let rig = Rig::top(tongue, top).await;
        for answer in [
            Answer::healthy(),
            Answer::status(400),
            Answer::status(500),
            Answer::reset(),
            Answer::hang(),
            Answer::healthy().after_deltas(1, Cut::Rst),
        ] {
            rig.a.next(answer);
            // Were its place not free, the next would be refused: nobody may wait.
            let reply = rig.ask(true).await;
            assert_ne!(reply.status, overloaded(tongue), "{}", reply.text());
            settled(&rig.proxy, 0, 0).await;
        }
        rig.a.next(endless());
        let mut leaving = rig.open().await;
        leaving.until("data:").await;
        leaving.leave();
        settled(&rig.proxy, 0, 0).await;
        let client = rig.proxy.client();
        client.send("POST", tongue.path(), b"no JSON").await.expect(400);
        client
            .post(tongue.path(), &tongue.request("unknown", false))
            .await
            .expect(404);
        settled(&rig.proxy, 0, 0).await;
        rig.ask(false).await.expect(200);
        rig.finish().await;
    }
}

#[tokio::test]
async fn x01_nobody_waits_without_a_key_and_who_leaves_the_queue_frees_its_room() {
    let top = "concurrency: {max_requests: 1, queue_size: 1, queue_timeout: 10m}";
    let (sim, proxy) = two_keys(top, ["", ""]).await;
    sim.next(endless());
    let holder = open(&keyed(&proxy, LOW), Tongue::Chat, "low").await;
    sim.wait_seen(1).await;
    for _ in 0..3 {
        let stranger = keyed(&proxy, "sk-nobody-0123456789");
        promptly("a stranger's refusal", stranger.chat("low", false))
            .await
            .expect(401);
    }
    assert_eq!(places(&proxy).await["waiting"], 0);
    for _ in 0..3 {
        let waiting = open(&keyed(&proxy, HIGH), Tongue::Chat, "high").await;
        settled(&proxy, 1, 1).await;
        waiting.leave();
        settled(&proxy, 1, 0).await;
    }
    holder.leave();
    keyed(&proxy, HIGH).chat("high", false).await.expect(200);
    proxy.finish().await;
}

#[tokio::test]
async fn a_reload_with_more_places_lets_in_who_waits() {
    let rig = Rig::top(Tongue::Chat, "concurrency: {max_requests: 1, queue_timeout: 10m}").await;
    rig.a.always(endless());
    let running = join_all((0..3).map(|_| rig.open())).await;
    rig.a.wait_seen(1).await;
    settled(&rig.proxy, 1, 2).await;
    let wider = crate::support::rig::config(
        Tongue::Chat,
        (&rig.a.url(), &rig.b.url()),
        crate::support::rig::Twist {
            a: "",
            top: "concurrency: {max_requests: 2, queue_timeout: 10m}",
        },
    );
    rig.proxy.reload(&wider).await;
    rig.a.wait_seen(2).await;
    settled(&rig.proxy, 2, 1).await;
    running.into_iter().for_each(Streaming::leave);
    rig.finish().await;
}

#[tokio::test]
async fn a_shutdown_reaches_those_who_wait() {
    let top = "concurrency: {max_requests: 1, queue_timeout: 10m}\nshutdown_grace: 200ms";
    let rig = Rig::top(Tongue::Messages, top).await;
    rig.a.always(endless());
    let holder = rig.open().await;
    rig.a.wait_seen(1).await;
    let mut waiting = rig.open().await;
    settled(&rig.proxy, 1, 1).await;
    rig.proxy.signal("-TERM");
    promptly("the end of the wait", waiting.rest()).await.expect(529);
    drop(holder);
    rig.proxy.finish_ended().await;
}

/// One greedy key with a hundred streams, ten polite ones that ask one thing after another: what the polite ones get.
#[tokio::test]
async fn l05_ten_polite_keys_get_their_share_beside_a_greedy_one() {
    const POLITE: usize = 10;
    const EACH: usize = 5;
    let sim = Sim::start(Speaks::All).await.unwrap();
    let keys: Vec<String> = (0..POLITE)
        .map(|n| format!(", {{name: polite-{n}, key: sk-canary-polite-{n}-0123456789}}"))
        .collect();
    let proxy = Proxy::start(&format!(
        "api_keys: [{{name: greedy, key: {LOW}}}{}]
backends: [{{name: a, protocol: openai, url: {}, api_key: sk-canary-backend}}]
models: {{greedy: {{backend: a, model: greedy}}, polite: {{backend: a, model: polite}}}}
concurrency: {{max_requests: 4, per_ip: 1000, queue_timeout: 10m}}
",
        keys.concat(),
        sim.url()
    ))
    .await;
    sim.always(Answer::healthy().head_delay(Duration::from_millis(10)));
    let greedy = async {
        let client = keyed(&proxy, LOW);
        join_all((0..100).map(|_| async {
            for _ in 0..3 {
                client.chat("greedy", true).await.expect(200);
            }
        }))
        .await;
    };
    let polite = async {
        settled(&proxy, 4, 96).await;
        join_all((0..POLITE).map(|n| {
            let client = keyed(&proxy, &format!("sk-canary-polite-{n}-0123456789"));
            async move {
                for _ in 0..EACH {
                    client.chat("polite", false).await.expect(200);
                }
            }
        }))
        .await;
        order(&sim).len()
    };
    let ((), until_then) = tokio::join!(greedy, polite);
    // Eleven keys take turns: for each of its own a polite one waits for one of each other key at most.
    let most = (EACH + 1) * (POLITE + 1) + 100;
    assert!(
        until_then <= most,
        "{until_then} were served until the polite ones had all, of {most}"
    );
    proxy.finish().await;
}
