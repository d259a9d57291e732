//! What `llm-proxy usage` prints, to the letter.

use std::time::Duration;

use super::*;

fn sum(numbers: [u64; 8]) -> Sum {
    let [requests, errors, input, cached, output, cost, priced, unpriced] = numbers;
    Sum {
        requests,
        errors,
        input,
        cached,
        output,
        cost,
        priced,
        unpriced,
    }
}

fn rows() -> Vec<(String, Sum)> {
    vec![
        (
            "team".to_owned(),
            sum([
                12_345,
                12,
                98_765_432,
                65_432_100,
                1_234_567,
                321_987_654_321,
                12_333,
                0,
            ]),
        ),
        (
            "ci, \"nightly\"".to_owned(),
            sum([7, 0, 1_000, 0, 50, 12_345, 6, 1]),
        ),
        ("-".to_owned(), sum([3, 3, 0, 0, 0, 0, 0, 0])),
    ]
}

fn asked(csv: bool, json: bool) -> UsageOf {
    UsageOf {
        at: super::super::args::ConfigAt::default(),
        by: By::Key,
        since: None,
        until: None,
        csv,
        json,
    }
}

const DAYS: Days = Days {
    from: Day(20_777),
    to: Day(20_783),
};

#[test]
fn a_table_is_aligned_and_says_what_is_missing_in_it() {
    let expected = "\
Usage by key, 2026-11-20 to 2026-11-26 (UTC)

key            requests  errors       input      cached  cache hits     output       cost
-----------------------------------------------------------------------------------------
team             12,345      12  98,765,432  65,432,100      66.3 %  1,234,567  $321.9877
ci, \"nightly\"         7       0       1,000           0       0.0 %         50    $0.0001
-                     3       3           0           0           -          0          -
-----------------------------------------------------------------------------------------
total            12,355      15  98,766,432  65,432,100      66.2 %  1,234,617  $321.9877

1 request used tokens of models whose price is not known: what they cost is not in the sums.
";
    assert_eq!(told(&rows(), DAYS, &asked(false, false)), expected);
}

#[test]
fn csv_has_the_exact_numbers() {
    let expected = "\
key,requests,errors,input_tokens,cached_tokens,output_tokens,cost_usd,unpriced
team,12345,12,98765432,65432100,1234567,321.987654321,0
\"ci, \"\"nightly\"\"\",7,0,1000,0,50,0.000012345,1
-,3,3,0,0,0,,0
";
    assert_eq!(told(&rows(), DAYS, &asked(true, false)), expected);
    assert_eq!(
        told(&[], DAYS, &asked(true, false)).lines().count(),
        1,
        "the names of the columns alone"
    );
}

#[test]
fn json_has_what_the_admin_listener_tells() {
    let told: Value = serde_json::from_str(&told(&rows(), DAYS, &asked(false, true))).unwrap();
    assert_eq!(told["rows"][1]["name"], "ci, \"nightly\"");
    assert_eq!(told["rows"][2]["cost_usd"], Value::Null);
    assert_eq!(told["total"]["requests"], 12_355);
    assert_eq!(
        (&told["since"], &told["until"]),
        (&json!("2026-11-20"), &json!("2026-11-26"))
    );
}

#[test]
fn an_empty_ledger_says_so_and_no_name_steers_a_terminal() {
    let today = Days {
        from: Day(20_783),
        to: Day(20_783),
    };
    assert_eq!(
        told(&[], today, &asked(false, false)),
        "No request is in the ledger for 2026-11-26 (UTC).\n"
    );
    let hostile = [("\u{1b}[2Jm\n".repeat(30), sum([1; 8]))];
    let text = told(&hostile, today, &asked(false, false));
    assert!(
        !text.contains('\u{1b}') && text.lines().all(|line| line.chars().count() < 140),
        "{text}"
    );
}

#[test]
fn days_are_counted_with_today_and_dates_are_themselves() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(20_783 * 86_400 + 5_000);
    let of = |since: Option<&str>, until: Option<&str>| {
        let asked = UsageOf {
            since: since.map(str::to_owned),
            until: until.map(str::to_owned),
            ..asked(false, false)
        };
        Days::of(&asked, now).map(|days| days.to_string())
    };
    for (since, until, expected) in [
        (None, None, "2026-11-20 to 2026-11-26"),
        (Some("1d"), None, "2026-11-26"),
        (Some("400d"), None, "2025-10-23 to 2026-11-26"),
        (Some("2026-11-01"), Some("2026-11-30"), "2026-11-01 to 2026-11-30"),
        (Some("24h"), None, "2026-11-26"),
    ] {
        assert_eq!(of(since, until).as_deref(), Ok(expected), "{since:?} {until:?}");
    }
    for (since, until, word) in [
        (Some("0d"), None, "`--since`"),
        (Some("401d"), None, "`--since`"),
        (Some("36h"), None, "`--since`"),
        (Some("yesterday"), None, "not `yesterday`"),
        (None, Some("7d"), "`--until`"),
        (Some("2026-11-26"), Some("2026-11-25"), "lies before"),
    ] {
        let error = of(since, until).unwrap_err();
        assert!(error.contains(word), "{since:?} {until:?}: {error}");
    }
}
