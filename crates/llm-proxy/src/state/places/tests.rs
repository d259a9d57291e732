//! Places on a paused clock, and under as much disorder as two threads can make.

use std::future::Future;
use std::pin::Pin;

use futures_util::FutureExt;
use tokio::task::{JoinSet, yield_now};
use tokio::time::advance;

use super::*;
use crate::base::Address;
use crate::limits::who::{KeyId, RequestClass};

const SECOND: Duration = Duration::from_secs(1);
const ONE: Concurrency = Concurrency {
    max_requests: 1,
    per_ip: 1_000,
    queue_size: 1,
    queue_timeout: Duration::from_secs(30),
};

fn of_key(key: u64) -> Who {
    Who {
        address: None,
        key: Some(KeyId(key)),
        key_max: None,
        priority: 0,
        class: RequestClass::Main,
        cost: 1,
    }
}

type Entering<'a> = Pin<Box<dyn Future<Output = Message> + Send + 'a>>;

/// A request that waits.
fn waiting(places: &Arc<Places>, who: Who) -> Entering<'_> {
    let mut entering: Entering<'_> = Box::pin(places.enter(who, clock::now()));
    let entered = entering.as_mut().now_or_never();
    assert!(entered.is_none(), "must wait: {entered:?}");
    entering
}

fn at_once(places: &Arc<Places>, who: Who) -> Message {
    places
        .enter(who, clock::now())
        .now_or_never()
        .expect("needs no waiting")
}

/// In service and waiting.
fn counts(places: &Places) -> (u32, usize) {
    let now = places.view().now;
    (now.in_service, now.waiting)
}

#[tokio::test(start_paused = true)]
async fn a_place_is_handed_on_when_it_is_dropped() {
    let places = Places::new(ONE);
    let first = at_once(&places, of_key(1)).unwrap();
    assert_eq!(first.waited(), None);
    let second = waiting(&places, of_key(2));
    advance(SECOND * 5).await;
    drop(first);
    assert_eq!(counts(&places), (1, 0), "it is in service before it knows");
    let second = second.now_or_never().unwrap().unwrap();
    assert_eq!(second.waited(), Some(SECOND * 5));
    drop(second);
    assert_eq!(counts(&places), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn l02_a_full_queue_refuses_without_any_wait() {
    let places = Places::new(ONE);
    let _inside = at_once(&places, of_key(1)).unwrap();
    let _waits = waiting(&places, of_key(1));
    let refused = at_once(&places, of_key(1)).unwrap_err();
    let retry_after = ONE.queue_timeout;
    assert_eq!(refused, Refused::Full { retry_after });
    assert_eq!((places.view().full, places.view().timed_out), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn l03_a_wait_ends_after_the_queue_timeout() {
    let places = Places::new(ONE);
    let inside = at_once(&places, of_key(1)).unwrap();
    let began = clock::now();
    let refused = waiting(&places, of_key(1)).await.unwrap_err();
    assert!(matches!(refused, Refused::WaitedTooLong { .. }));
    let took = clock::now() - began;
    assert!(
        took >= ONE.queue_timeout && took < ONE.queue_timeout + SECOND,
        "{took:?}"
    );
    assert_eq!((places.view().full, places.view().timed_out), (0, 1));
    assert_eq!(counts(&places), (1, 0), "and its room in the queue is free");
    drop(inside);
    assert_eq!(counts(&places), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn l03_a_place_that_comes_free_too_late_is_not_given() {
    let places = Places::new(ONE);
    let inside = at_once(&places, of_key(1)).unwrap();
    let waits = waiting(&places, of_key(1));
    advance(ONE.queue_timeout).await;
    drop(inside);
    let refused = waits.now_or_never().unwrap().unwrap_err();
    assert!(
        matches!(refused, Refused::WaitedTooLong { .. }),
        "the queue told it"
    );
    assert_eq!((places.view().timed_out, counts(&places)), (1, (0, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_place_that_comes_at_the_last_moment_is_taken() {
    let places = Places::new(ONE);
    let inside = at_once(&places, of_key(1)).unwrap();
    let waits = waiting(&places, of_key(1));
    advance(SECOND * 29).await;
    drop(inside);
    advance(SECOND * 2).await;
    let place = waits.now_or_never().unwrap().unwrap();
    assert_eq!(
        counts(&places),
        (1, 0),
        "the timer that has rung meanwhile takes nothing away"
    );
    drop(place);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_the_queue_frees_its_room_at_once() {
    let places = Places::new(ONE);
    let _inside = at_once(&places, of_key(1)).unwrap();
    let waits = waiting(&places, of_key(1));
    drop(waits);
    assert_eq!(counts(&places), (1, 0));
    let _next = waiting(&places, of_key(1));
}

#[tokio::test(start_paused = true)]
async fn l13_dropped_in_any_state_a_request_leaves_nothing_behind() {
    let places = Places::new(ONE);
    drop(places.enter(of_key(1), clock::now()));
    assert_eq!(counts(&places), (0, 0), "never polled");
    let inside = at_once(&places, of_key(1)).unwrap();
    let waits = waiting(&places, of_key(2));
    drop(inside);
    assert_eq!(counts(&places), (1, 0), "given a place, and not yet told");
    drop(waits);
    assert_eq!(counts(&places), (0, 0));
    let inside = at_once(&places, of_key(1)).unwrap();
    let given = waiting(&places, of_key(2));
    drop(inside);
    let behind = waiting(&places, of_key(3));
    drop(given);
    assert_eq!(counts(&places), (1, 0), "the place went on to the next");
    drop(behind.await);
    assert_eq!(counts(&places), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn one_that_makes_room_for_another_key_is_told_at_once() {
    let places = Places::new(Concurrency { queue_size: 3, ..ONE });
    let inside = at_once(&places, of_key(1)).unwrap();
    let [first, second, third] = [1, 1, 1].map(|key| waiting(&places, of_key(key)));
    let other = waiting(&places, of_key(2));
    let refused = third.now_or_never().unwrap().unwrap_err();
    assert!(matches!(refused, Refused::Full { .. }));
    assert_eq!((places.view().full, counts(&places)), (1, (1, 3)));
    drop(inside);
    drop(first.await.unwrap());
    drop(other.await.unwrap());
    drop(second.await.unwrap());
    assert_eq!(counts(&places), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn k06_a_reload_gives_out_what_it_adds_and_takes_nothing_away() {
    let places = Places::new(ONE);
    let first = at_once(&places, of_key(1)).unwrap();
    let second = waiting(&places, of_key(1));
    places.set_bounds(Concurrency {
        max_requests: 2,
        ..ONE
    });
    let second = second.now_or_never().unwrap().unwrap();
    places.set_bounds(ONE);
    assert_eq!(counts(&places), (2, 0));
    let third = waiting(&places, of_key(1));
    drop(first);
    assert_eq!(
        counts(&places),
        (1, 1),
        "the lower bound holds for those who come now"
    );
    drop(second);
    drop(third.await.unwrap());
    assert_eq!(counts(&places), (0, 0));
}

const CROWD: Concurrency = Concurrency {
    max_requests: 8,
    per_ip: 3,
    queue_size: 24,
    queue_timeout: Duration::from_millis(2),
};
const KEY_MAX: u32 = 2;

/// How many are inside, as they see it themselves.
#[derive(Default)]
struct Inside {
    all: AtomicU64,
    addresses: [AtomicU64; 4],
    keys: [AtomicU64; 8],
}

impl Inside {
    fn counters(&self, address: usize, key: usize) -> [(&AtomicU64, u32); 3] {
        [
            (&self.all, CROWD.max_requests),
            (&self.addresses[address], CROWD.per_ip),
            (&self.keys[key], KEY_MAX),
        ]
    }
}

/// One visit: it comes, and stays for a while or loses its patience.
async fn visit(places: &Arc<Places>, inside: &Inside, dice: &mut fastrand::Rng) -> bool {
    let (address, key) = (dice.usize(..4), dice.usize(..8));
    let who = Who {
        address: Some(Address::V4(u32::try_from(address).unwrap())),
        key_max: Some(KEY_MAX),
        priority: i32::try_from(key % 2).unwrap(),
        cost: dice.u32(1..=16),
        ..of_key(key as u64)
    };
    let patience = [0, 1, 3, u32::MAX][dice.usize(..4)];
    let entered = tokio::select! {
        entered = places.enter(who, clock::now()) => entered,
        () = yields(patience) => return false,
    };
    let Ok(place) = entered else { return false };
    for (count, most) in inside.counters(address, key) {
        let count = count.fetch_add(1, Ordering::SeqCst) + 1;
        assert!(count <= u64::from(most), "{count} inside, and {most} may be");
    }
    yields(dice.u32(..3)).await;
    for (count, _) in inside.counters(address, key) {
        count.fetch_sub(1, Ordering::SeqCst);
    }
    drop(place);
    true
}

async fn yields(times: u32) {
    for _ in 0..times {
        yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn l13_whatever_a_crowd_does_bounds_hold_and_nobody_is_left_over() {
    let (places, inside) = (Places::new(CROWD), Arc::<Inside>::default());
    let mut crowd = JoinSet::new();
    for seed in 0..64 {
        let (places, inside) = (Arc::clone(&places), Arc::clone(&inside));
        crowd.spawn(async move {
            let mut dice = fastrand::Rng::with_seed(seed);
            let mut served = 0;
            for _ in 0..200 {
                served += u32::from(visit(&places, &inside, &mut dice).await);
            }
            served
        });
    }
    let served: u32 = timeout(SECOND * 60, crowd.join_all())
        .await
        .unwrap()
        .into_iter()
        .sum();
    assert!(
        served > 1_000,
        "most of the test is about those who come in: {served}"
    );
    assert_eq!(counts(&places), (0, 0));
}
