//! The same bytes to the proxy and to nginx: no backend behind the proxy hears a request that nginx would not have found
//! in them. Needs nginx (`scripts/test` installs it); without it there is nothing to compare with.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use futures_util::future::join_all;
use tokio::net::{TcpStream, UnixStream};

use super::super::support::proxy::fresh_dir;
use super::super::support::until;
use super::corpus::corpus;
use super::recorder::Recorder;
use super::spellings::{before, exchange, of_spelling};

/// nginx before a backend, on a socket of its own.
struct Nginx {
    child: Child,
    dir: PathBuf,
}

impl Nginx {
    /// Starts it; nothing where there is none.
    async fn start(backend: &str) -> Option<Self> {
        let program = ["nginx", "/usr/sbin/nginx"].into_iter().find(|program| {
            Command::new(program)
                .arg("-v")
                .stderr(Stdio::null())
                .status()
                .is_ok()
        })?;
        let dir = fresh_dir();
        std::fs::write(dir.join("nginx.conf"), config(&dir, backend)).unwrap();
        let child = Command::new(program)
            .args([
                "-p".as_ref(),
                dir.as_os_str(),
                "-c".as_ref(),
                "nginx.conf".as_ref(),
            ])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let nginx = Self { child, dir };
        until("nginx", async || UnixStream::connect(nginx.socket()).await.ok()).await;
        Some(nginx)
    }

    fn socket(&self) -> PathBuf {
        self.dir.join("nginx.sock")
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// One process that stays where the test can end it, and writes nowhere else than into its folder.
fn config(dir: &Path, backend: &str) -> String {
    let dir = dir.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!("{what}_temp_path {dir}/{what};"))
        .join("\n");
    format!(
        "daemon off; master_process off; pid {dir}/nginx.pid; error_log {dir}/error.log;
events {{ worker_connections 1024; }}
http {{
access_log off; {temporary}
keepalive_timeout 1s; client_header_timeout 1s; client_body_timeout 1s; lingering_timeout 1s;
server {{ listen unix:{dir}/nginx.sock; location / {{ proxy_pass http://{backend}; proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }}
}}"
    )
}

#[tokio::test]
async fn d12_no_backend_hears_a_request_that_nginx_would_not_have_found() {
    let theirs = Recorder::start().await;
    let Some(nginx) = Nginx::start(theirs.address()).await else {
        eprintln!("skipped: there is no nginx to compare with");
        return;
    };
    let ours = Recorder::start().await;
    let proxy = before(&ours).await;
    let spellings = corpus();
    let asked = spellings.iter().map(async |spelling| {
        let (tcp, unix) = tokio::join!(
            TcpStream::connect(proxy.address()),
            UnixStream::connect(nginx.socket())
        );
        tokio::join!(
            exchange(tcp.unwrap(), &spelling.raw),
            exchange(unix.unwrap(), &spelling.raw)
        )
    });
    let answers = join_all(asked).await;
    let (ours, theirs) = (ours.heard(), theirs.heard());
    let mut alike = 0;
    for (nth, spelling) in spellings.iter().enumerate() {
        let (heard, known) = (of_spelling(&ours, nth), of_spelling(&theirs, nth));
        assert!(heard.len() <= spelling.sound, "{}: {heard:?}", spelling.name);
        for request in &heard {
            assert!(
                known.contains(request),
                "{}: {request:?} of {known:?}",
                spelling.name
            );
        }
        alike += usize::from(heard == known);
    }
    assert!(alike > spellings.len() / 2, "the two are asked the same: {alike}");
    let answered = |(ours, theirs): &(String, String)| !ours.is_empty() && !theirs.is_empty();
    assert!(answers.iter().all(answered));
    let on_record = answers
        .iter()
        .map(|(ours, _)| ours.matches("x-request-id: ").count());
    proxy.sent(u64::try_from(on_record.sum::<usize>()).unwrap());
    proxy.finish().await;
}
