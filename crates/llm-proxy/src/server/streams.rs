//! The tasks of HTTP/2 streams, each with an eye on its reader: one that takes nothing of what is there for it is gone, as
//! it would be over HTTP/1.1 (`guard`). Ending its task resets the stream alone.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::Executor;
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep_until};

use crate::base::clock;
use crate::pipeline::Reader;

/// Runs the streams of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Streams {
    /// How long a client may take nothing.
    pub(super) patience: Duration,
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        tokio::spawn(Watched {
            stream,
            reader: Arc::default(),
            patience: self.patience,
            timer: None,
        });
    }
}

pin_project! {
    /// A stream until its end, or until its client has taken nothing for too long.
    struct Watched<F> {
        #[pin]
        stream: F,
        reader: Arc<Reader>,
        patience: Duration,
        // Only moved when it fires.
        timer: Option<Pin<Box<Sleep>>>,
    }
}

impl<F: Future<Output = ()>> Future for Watched<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if this.reader.serving(|| this.stream.poll(cx)).is_ready() {
            return Poll::Ready(());
        }
        while let Some(since) = this.reader.waited_for_since() {
            let due = since + *this.patience;
            let timer = this
                .timer
                .get_or_insert_with(|| Box::pin(sleep_until(due.into())));
            ready!(timer.as_mut().poll(cx));
            if clock::now() >= due {
                return Poll::Ready(());
            }
            timer.as_mut().reset(due.into());
        }
        Poll::Pending
    }
}
