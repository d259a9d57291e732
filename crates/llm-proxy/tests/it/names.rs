//! Names of backends that stand for another address later (F02, F07): a name server of our own says what they mean.
//!
//! The proxy asks the system's resolver, which asks whom `/etc/resolv.conf` names; so it runs with another one, in a mount
//! namespace of its own. Where that is not allowed, these tests say so and pass.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use llm_sim::{Sim, Speaks};

use super::support::proxy::fresh_dir;
use super::support::{Proxy, Tongue, until, within};

/// Mounts the files of the folder `$1` over those of the system, for this process and what it becomes.
const UNSHARED: &str = "mount --bind \"$1/resolv.conf\" /etc/resolv.conf && mount --bind \"$1/nsswitch.conf\" \
                        /etc/nsswitch.conf && shift && exec \"$@\"";

/// A name server that knows a few names; all others do not exist.
struct Names {
    address: SocketAddr,
    known: Arc<Mutex<BTreeMap<String, Vec<Ipv4Addr>>>>,
    /// Questions for addresses.
    asked: Arc<AtomicUsize>,
}

impl Names {
    /// Listens on port 53, which is the only one that resolvers ask, of an address that no other test has.
    ///
    /// # Errors
    /// That is not allowed here.
    fn start() -> std::io::Result<Self> {
        let socket = UdpSocket::bind((own_address(), 53))?;
        let address = socket.local_addr()?;
        let (known, asked) = (Arc::<Mutex<BTreeMap<_, _>>>::default(), Arc::default());
        let names = Self {
            address,
            known: Arc::clone(&known),
            asked: Arc::clone(&asked),
        };
        // It ends with the process of the test.
        std::thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((length, whose)) = socket.recv_from(&mut question) {
                let answer = answer(&question[..length], &known.lock().unwrap(), &asked);
                let _ = socket.send_to(&answer, whose);
            }
        });
        Ok(names)
    }

    /// What a name means from now on; nothing: there is no such name any more.
    fn set(&self, name: &str, addresses: &[Ipv4Addr]) {
        let mut known = self.known.lock().unwrap();
        if addresses.is_empty() {
            known.remove(name);
        } else {
            known.insert(name.to_owned(), addresses.to_vec());
        }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// An address of this machine that nobody else in this test run has.
fn own_address() -> Ipv4Addr {
    static COUNT: AtomicU16 = AtomicU16::new(0);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let count = COUNT.fetch_add(1, Ordering::SeqCst);
    Ipv4Addr::new(127, 100 + u8::try_from(count).unwrap(), high, low)
}

/// RFC 1035, 4.1: the question comes back with the addresses of its name, if it asks for those of IPv4.
fn answer(question: &[u8], known: &BTreeMap<String, Vec<Ipv4Addr>>, asked: &AtomicUsize) -> Vec<u8> {
    let (mut at, mut labels) = (12, Vec::new());
    while question[at] > 0 {
        let end = at + 1 + usize::from(question[at]);
        labels.push(String::from_utf8_lossy(&question[at + 1..end]).to_lowercase());
        at = end;
    }
    let is_for_ipv4 = question[at + 1..at + 3] == [0, 1];
    let found = known.get(&labels.join("."));
    asked.fetch_add(usize::from(is_for_ipv4), Ordering::SeqCst);
    let addresses = found.filter(|_| is_for_ipv4).cloned().unwrap_or_default();
    let no_such_name = if found.is_some() { 0 } else { 3 };
    let count = u8::try_from(addresses.len()).unwrap();
    let mut answer = question[..2].to_vec();
    answer.extend([0x81, 0x80 | no_such_name, 0, 1, 0, count, 0, 0, 0, 0]);
    answer.extend(&question[12..at + 5]);
    for address in addresses {
        // The name of the question; an address of IPv4, of the internet, for no time at all.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        answer.extend(address.octets());
    }
    answer
}

/// A command that runs with the files of that folder in place of the system's.
fn unshared(dir: &Path, what: &str) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", UNSHARED, "sh"])
        .arg(dir)
        .arg(what);
    command
}

/// A proxy that asks this name server, before a backend at `backend.test` and another.
async fn proxy(names: &Names, port: u16, other: &Sim) -> Option<Proxy> {
    let dir = fresh_dir();
    let server = names.address.ip();
    let write = |file: &str, text: String| std::fs::write(dir.join(file), text).unwrap();
    write(
        "resolv.conf",
        format!("nameserver {server}\noptions timeout:5 attempts:3\n"),
    );
    write("nsswitch.conf", "hosts: dns\n".to_owned());
    let allowed = unshared(&dir, "true").output();
    if !allowed.as_ref().is_ok_and(|done| done.status.success()) {
        skipped(&format!("{allowed:?}"));
        return None;
    }
    let text = format!(
        "listen: 127.0.0.1:0\nadmin: {{listen: 127.0.0.1:0}}\nbackends:
  - {{name: a, protocol: openai, url: 'http://backend.test:{port}', api_key: sk-canary-backend-a}}
  - {{name: b, protocol: openai, url: '{}', api_key: sk-canary-backend-b}}
models: {{m: {{routes: [{{backend: a, model: real, priority: 1}}, {{backend: b, model: real, priority: 2}}]}}}}\n",
        other.url()
    );
    write("config.yaml", text);
    let mut command = unshared(&dir, env!("CARGO_BIN_EXE_llm-proxy"));
    command.arg("--config").arg(dir.join("config.yaml"));
    Some(Proxy::launch(command, dir).await)
}

fn skipped(why: &str) {
    eprintln!("skipped: no name server of our own, or no mount namespace, is allowed here: {why}");
}

/// A backend at each of these addresses, all with the same port.
async fn at_one_port(addresses: [Ipv4Addr; 2]) -> [Sim; 2] {
    loop {
        let first = Sim::start_on((addresses[0], 0).into(), Speaks::Chat)
            .await
            .unwrap();
        let port = first.addr().port();
        if let Ok(second) = Sim::start_on((addresses[1], port).into(), Speaks::Chat).await {
            return [first, second];
        }
    }
}

async fn asked(proxy: &Proxy) -> (String, String) {
    let request = Tongue::Chat.request("m", false);
    let reply = proxy
        .client()
        .post(Tongue::Chat.path(), &request)
        .await
        .expect(200);
    let header = |name| reply.header(name).to_owned();
    (header("x-llm-proxy-backend"), header("x-llm-proxy-attempts"))
}

fn first(backend: &str) -> (String, String) {
    (backend.to_owned(), "1".to_owned())
}

#[tokio::test]
async fn f07_a_name_that_means_another_address_later_is_looked_up_for_each_new_connection() {
    let names = match Names::start() {
        Ok(names) => names,
        Err(error) => return skipped(&error.to_string()),
    };
    let (here, there) = (own_address(), own_address());
    let [old, new] = at_one_port([here, there]).await;
    let other = Sim::start(Speaks::Chat).await.unwrap();
    names.set("backend.test", &[here]);
    let Some(proxy) = proxy(&names, old.addr().port(), &other).await else {
        return;
    };
    assert_eq!(asked(&proxy).await, first("a"));
    names.set("backend.test", &[there]);
    let before = names.asked();
    assert_eq!(asked(&proxy).await, first("a"));
    assert_eq!(
        (old.seen().len(), new.seen().len()),
        (2, 0),
        "an open connection serves on"
    );
    assert_eq!(names.asked(), before, "and nobody is asked for it");
    // The old address closes what is idle, as it does when it goes away: the next connection finds the new one.
    within("the idle connection to be closed", old.close_idle()).await;
    assert_eq!(asked(&proxy).await, first("a"), "no attempt is lost by it");
    assert_eq!((old.seen().len(), new.seen().len()), (2, 1));
    assert!(names.asked() > before);
    assert_eq!(proxy.backend("a").await["state"], "ok");
    proxy.finish().await;
}

#[tokio::test]
async fn f02_a_name_that_is_gone_later_falls_back_and_comes_back_by_itself() {
    let names = match Names::start() {
        Ok(names) => names,
        Err(error) => return skipped(&error.to_string()),
    };
    let here = own_address();
    let backend = Sim::start_on((here, 0).into(), Speaks::Chat).await.unwrap();
    let other = Sim::start(Speaks::Chat).await.unwrap();
    names.set("backend.test", &[here]);
    let Some(proxy) = proxy(&names, backend.addr().port(), &other).await else {
        return;
    };
    assert_eq!(asked(&proxy).await, first("a"));
    names.set("backend.test", &[]);
    within("the idle connection to be closed", backend.close_idle()).await;
    assert_eq!(asked(&proxy).await, ("b".to_owned(), "2".to_owned()));
    let record = &proxy.recorded(2).await[1];
    assert_eq!(record["attempts"][0]["class"], "connect", "{record}");
    names.set("backend.test", &[here]);
    assert_eq!(asked(&proxy).await, first("a"));
    proxy.finish().await;
}

#[tokio::test]
async fn f01_of_the_addresses_of_a_name_the_one_that_answers_is_found_within_the_attempt() {
    let names = match Names::start() {
        Ok(names) => names,
        Err(error) => return skipped(&error.to_string()),
    };
    let (nobody, here) = (own_address(), own_address());
    let backend = Sim::start_on((here, 0).into(), Speaks::Chat).await.unwrap();
    let other = Sim::start(Speaks::Chat).await.unwrap();
    // Whichever of the two the resolver puts first.
    names.set("backend.test", &[nobody, here]);
    let Some(proxy) = proxy(&names, backend.addr().port(), &other).await else {
        return;
    };
    for turn in 0..4 {
        assert_eq!(asked(&proxy).await, first("a"), "{turn}");
        within("the idle connection to be closed", backend.close_idle()).await;
    }
    until("each a connection of its own", async || {
        (backend.seen().last()?.connection >= 4).then_some(())
    })
    .await;
    proxy.finish().await;
}
