//! `ledger.url`: on, off, another one.

use llm_sim::{Answer, Sim, Speaks};
use serde_json::json;

use super::{Book, command, usage};
use crate::support::Proxy;

fn config(sim: &Sim, more: &str) -> String {
    format!(
        "backends: [{{name: o, protocol: openai, url: {}, api_key: sk-canary-o}}]
models: {{m: {{backend: o, model: real}}}}
{more}",
        sim.url()
    )
}

#[tokio::test]
async fn a_reload_turns_the_ledger_on_moves_it_and_turns_it_off() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    sim.always(Answer::healthy());
    let with = |url: &str| config(&sim, &format!("ledger: {{url: '{url}'}}"));
    let proxy = Proxy::start(&with("off")).await;
    let ask = async || proxy.client().chat("m", false).await.expect(200);
    ask().await;
    let off = command(&proxy, &[]);
    assert_eq!(off.status.code(), Some(2));
    let said = String::from_utf8(off.stderr).unwrap();
    assert!(
        said.starts_with(
            "The ledger is off, so no usage was kept: put `ledger: {url: \"sqlite:llm-proxy.db\"}` into "
        ),
        "{said}"
    );

    proxy.reload(&with("sqlite:one.db")).await;
    let one = Book::of(&proxy, "one.db");
    let empty = command(&proxy, &["--since", "1d"]);
    assert_eq!(empty.status.code(), Some(0));
    assert!(
        String::from_utf8(empty.stdout)
            .unwrap()
            .starts_with("No request is in the ledger for ")
    );
    ask().await;
    ask().await;
    proxy.reload(&with("sqlite:two.db")).await;
    let two = Book::of(&proxy, "two.db");
    one.filled(2).await;
    ask().await;
    two.filled(1).await;
    proxy.reload(&with("off")).await;
    ask().await;
    proxy.recorded(5).await;
    assert_eq!(usage(&proxy, "").await["ledger"]["url"], "off");
    proxy.reload(&with("sqlite:two.db")).await;
    ask().await;
    two.filled(2).await;
    assert_eq!(one.rows().len(), 2);
    let told = usage(&proxy, "").await;
    assert_eq!(
        (&told["source"], &told["total"]["requests"]),
        (&json!("ledger"), &json!(2))
    );
    proxy.finish().await;
}

#[tokio::test]
async fn usage_is_printed_as_a_table_and_as_csv() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    sim.always(Answer::healthy().usage(1_000, 50).cached(500));
    let proxy = Proxy::start(&config(&sim, "ledger: {url: 'sqlite:ledger.db'}")).await;
    for _ in 0..3 {
        proxy.client().chat("m", false).await.expect(200);
    }
    Book::of(&proxy, "ledger.db").filled(3).await;
    let text = |args: &[&str]| String::from_utf8(command(&proxy, args).stdout).unwrap();
    let table = text(&["--by", "model"]);
    let row = table.lines().find(|line| line.starts_with("real")).unwrap();
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(
        cells,
        ["real", "3", "0", "3,000", "1,500", "50.0", "%", "150", "-"],
        "{table}"
    );
    assert!(
        table.contains("3 requests used tokens of models whose price is not known"),
        "{table}"
    );
    let csv = text(&["--by", "backend", "--csv"]);
    assert_eq!(csv.lines().nth(1), Some("o,3,0,3000,1500,150,,3"));
    let day = text(&["--by", "day", "--csv", "--since", "2026-01-01"]);
    assert_eq!(day.lines().count(), 2, "{day}");
    let wrong = command(&proxy, &["--by", "colour"]);
    assert_eq!(wrong.status.code(), Some(2));
    proxy.finish().await;
}
