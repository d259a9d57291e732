//! Connections: reuse, closing, refusing, coming back.

use llm_sim::{Answer, Sim, Speaks};
use tokio::net::TcpStream;

use crate::client::{Client, Dialect, Ended, ask};

#[tokio::test]
async fn requests_are_recorded_as_they_came() {
    let sim = Sim::start(Speaks::Chat).await.unwrap();
    let mut client = Client::connect(&sim).await;
    client.ask(Dialect::Chat, false).await;
    client
        .post(
            "/v1/chat/completions?beta=true",
            "X-Odd: A\r\nx-odd: b\r\n",
            b"{\"a\":1}",
        )
        .await;
    let seen = sim.wait_seen(2).await;
    assert_eq!(
        (seen[0].connection, seen[0].nth, seen[1].connection, seen[1].nth),
        (1, 1, 1, 2)
    );
    assert_eq!(
        (seen[1].path.as_str(), seen[1].query.as_deref()),
        ("/v1/chat/completions", Some("beta=true"))
    );
    assert_eq!(
        seen[1].headers[1..3],
        [("X-Odd".into(), "A".into()), ("x-odd".into(), "b".into())]
    );
    assert_eq!(seen[1].json()["a"], 1);
}

#[tokio::test]
async fn idle_connections_are_closed_and_busy_ones_are_not() {
    let sim = Sim::start(Speaks::Chat).await.unwrap();
    let mut idle = Client::connect(&sim).await;
    idle.ask(Dialect::Chat, false).await;
    sim.next(Answer::hang());
    let mut busy = Client::connect(&sim).await;
    busy.send(Dialect::Chat.path(), Dialect::Chat.headers(), b"{}")
        .await;
    sim.wait_seen(2).await;
    sim.close_idle().await;
    assert_eq!(idle.ended().await, Ended::Fin);
    assert_eq!(sim.open_connections(), 1);
    assert_eq!(sim.seen()[1].closed(), None);
}

#[tokio::test]
async fn a_backend_refuses_stops_and_comes_back_on_its_port() {
    let sim = Sim::start(Speaks::Chat).await.unwrap();
    let mut client = Client::connect(&sim).await;
    client.ask(Dialect::Chat, false).await;
    sim.refuse().await;
    assert!(TcpStream::connect(sim.addr()).await.is_err());
    assert_eq!(
        client.ask(Dialect::Chat, false).await.status,
        200,
        "open connections live on"
    );
    sim.stop().await;
    assert_eq!(client.ended().await, Ended::Fin);
    sim.wait_open(0).await;
    sim.restart().await.unwrap();
    assert_eq!(ask(&sim, Dialect::Chat, false).await.status, 200);
}

#[tokio::test]
async fn a_connection_is_closed_where_the_client_asks_for_it() {
    let sim = Sim::start(Speaks::Chat).await.unwrap();
    let headers = format!("{}connection: close\r\n", Dialect::Chat.headers());
    let mut client = Client::connect(&sim).await;
    let body = Dialect::Chat.body(false).to_string();
    assert_eq!(
        client
            .post(Dialect::Chat.path(), &headers, body.as_bytes())
            .await
            .status,
        200
    );
    assert_eq!(client.ended().await, Ended::Fin);
}

#[tokio::test]
async fn a_forgetful_backend_keeps_nothing() {
    let sim = Sim::start(Speaks::Chat).await.unwrap();
    sim.forget();
    assert_eq!(ask(&sim, Dialect::Chat, false).await.status, 200);
    assert!(sim.seen().is_empty());
}
