//! A client's connection, from its first request to its last.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};
use http_body::Body as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Sleep;

use super::answer::{self, Framing};
use super::body::{AHEAD, Body};
use super::head::{self, Head, Manner};
use crate::base::clock;
use crate::pipeline::{AnswerBody, RequestBody};
use crate::server::refused::Refusal;
use crate::state::Signals;
use crate::wire::{Input, Outbox};

/// How much of an answer may wait for the client: while so much does, the backend is not read.
const WAITING: usize = 64 * 1024;
/// What a client is told that waits to be asked for its body.
const GO_ON: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What a client may take of us.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct Bounds {
    /// How long it may take for a head, from the first wait for it.
    pub(in crate::server) patience: Duration,
    /// How many bytes a head may have.
    pub(in crate::server) max_head: usize,
}

/// Serves all requests of a connection. `timer` is set to the end of the time for the first head.
pub(in crate::server) async fn serve<I, A, F>(
    io: I,
    bounds: Bounds,
    signals: &Signals,
    timer: Pin<&mut Sleep>,
    answer: A,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send,
    A: Fn(Box<Parts>, RequestBody, Option<Refusal>) -> F,
    F: Future<Output = Response<AnswerBody>>,
{
    let mut connection = Connection {
        io,
        input: Input::default(),
        out: Outbox::default(),
        body: Body::none(),
        signals,
    };
    if connection.converse(bounds, timer, answer).await.is_ok() {
        // Boxed: it comes once, when all is said, and nobody waits for it.
        connection.part().boxed().await;
    }
}

/// The client is gone, or as good as gone: nobody to tell anything.
struct Gone;

struct Connection<'s, I> {
    io: I,
    input: Input,
    out: Outbox,
    /// That of the request which is being answered.
    body: Body,
    signals: &'s Signals,
}

impl<I: AsyncRead + AsyncWrite + Unpin> Connection<'_, I> {
    /// One request after the other. `Ok`: we end it.
    async fn converse<A, F>(&mut self, bounds: Bounds, timer: Pin<&mut Sleep>, answer: A) -> Result<(), Gone>
    where
        A: Fn(Box<Parts>, RequestBody, Option<Refusal>) -> F,
        F: Future<Output = Response<AnswerBody>>,
    {
        let mut due = timer.deadline().into_std();
        let mut timer = Timer { timer, waits: false };
        while let Some(head) = self.next(bounds, &mut timer, due).await? {
            let Head {
                parts,
                content,
                expects,
                manner,
                refused,
            } = head;
            let (body, incoming) = Body::begin(content, expects, &mut self.input);
            self.body = body;
            let answer = answer(parts, incoming, refused);
            let response = self.answered(answer).await?;
            if !self.deliver(response, manner).await? {
                break;
            }
            due = clock::now() + bounds.patience;
        }
        Ok(())
    }

    /// The next head; none where there will be none that is worth an answer, or the time for it is over.
    async fn next(
        &mut self,
        bounds: Bounds,
        timer: &mut Timer<'_>,
        due: Instant,
    ) -> Result<Option<Head>, Gone> {
        poll_fn(|cx| {
            if let Poll::Ready(head) = self.poll_head(bounds.max_head, cx) {
                return Poll::Ready(head);
            }
            if self.signals.is_ending() || timer.poll_until(due, cx).is_ready() {
                return Poll::Ready(Ok(None));
            }
            Poll::Pending
        })
        .await
    }

    fn poll_head(&mut self, max_head: usize, cx: &mut Context<'_>) -> Poll<Result<Option<Head>, Gone>> {
        loop {
            match self.head(max_head) {
                Ok(None) => {}
                Ok(head) => return Poll::Ready(Ok(head)),
                Err(status) => {
                    self.put_refusal(status);
                    return Poll::Ready(Ok(None));
                }
            }
            match ready!(self.input.poll_fill(&mut self.io, cx)) {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Poll::Ready(Err(Gone)),
            }
        }
    }

    fn head(&mut self, max_head: usize) -> Result<Option<Head>, StatusCode> {
        // Empty lines may come before a request.
        while self.input.bytes.starts_with(b"\r\n") {
            self.input.skip(2);
        }
        let head = if self.input.is_worth_a_look() {
            head::take(&mut self.input.bytes, max_head)?
        } else {
            None
        };
        if head.is_some() {
            self.input.took_head();
        } else if self.input.bytes.len() > max_head.max(AHEAD) {
            return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        }
        Ok(head)
    }

    /// The answer to something that is no request: it has no dialect.
    fn put_refusal(&mut self, status: StatusCode) {
        let manner = Manner {
            latest: true,
            keeps: false,
            bare: false,
        };
        answer::put_head(&mut self.out, (status, &HeaderMap::new(), None), Some(0), manner);
    }

    /// Polls the answer until it is there, and hands it what it wants of the body.
    async fn answered<F>(&mut self, answer: F) -> Result<F::Output, Gone>
    where
        F: Future,
    {
        let mut answer = pin!(answer);
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(response) = answer.as_mut().poll(cx) {
                    return Poll::Ready(Ok(response));
                }
                ready!(self.poll_client(cx))?;
            }
        })
        .await
    }

    /// Sends an answer to its end. Whether another request may follow.
    async fn deliver(&mut self, response: Response<AnswerBody>, manner: Manner) -> Result<bool, Gone> {
        // What is left of the body nobody wants: it must be here, or it would have to be waited for.
        let is_read = self.body.discard(&mut self.input);
        let manner = Manner {
            keeps: manner.keeps && is_read && !self.signals.is_ending(),
            ..manner
        };
        let (head, mut content) = response.into_parts();
        let length = content.size_hint().exact();
        let own = content.take_own();
        let said = (head.status, &head.headers, own.as_deref());
        let (mut framing, keeps) = answer::put_head(&mut self.out, said, length, manner);
        drop((head, own));
        poll_fn(|cx| self.poll_deliver(&mut content, &mut framing, cx)).await?;
        Ok(keeps && !self.signals.wants_close())
    }

    fn poll_deliver(
        &mut self,
        content: &mut AnswerBody,
        framing: &mut Framing,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Gone>> {
        loop {
            // All that is there goes out together.
            let waits = self.poll_content(content, framing, cx).is_pending();
            match self.out.poll(&mut self.io, cx) {
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Gone)),
                Poll::Ready(Ok(())) if *framing == Framing::Broken => return Poll::Ready(Err(Gone)),
                Poll::Ready(Ok(())) if framing.is_over() => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) if !waits => continue,
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
            ready!(self.poll_client(cx))?;
        }
    }

    /// Puts out what there is of the content, as far as it may wait. Pending: there is no more for now.
    fn poll_content(
        &mut self,
        content: &mut AnswerBody,
        framing: &mut Framing,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        while !framing.is_over() && self.out.len() < WAITING {
            match ready!(Pin::new(&mut *content).poll_frame(cx)) {
                None => framing.end(&mut self.out),
                Some(Err(_)) => *framing = Framing::Broken,
                Some(Ok(frame)) => {
                    let piece = frame.into_data().unwrap_or_default();
                    framing.put(&mut self.out, piece, content.is_end_stream());
                }
            }
        }
        Poll::Ready(())
    }

    /// What the client does meanwhile. Ready where its body has news for whoever waits for it.
    fn poll_client(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        loop {
            if self.body.pass(&mut self.input) {
                return Poll::Ready(Ok(()));
            }
            if self.body.must_be_asked_for(&self.input) {
                self.out.push_static(GO_ON);
            }
            if !self.out.is_done() && matches!(self.out.poll(&mut self.io, cx), Poll::Ready(Err(_))) {
                return Poll::Ready(Err(Gone));
            }
            if !self.may_read() {
                return Poll::Pending;
            }
            match ready!(self.input.poll_fill(&mut self.io, cx)) {
                Ok(1..) => {}
                Ok(0) | Err(_) if self.body.break_off() => return Poll::Ready(Ok(())),
                Ok(0) | Err(_) => return Poll::Ready(Err(Gone)),
            }
        }
    }

    /// Behind the body it is read only to see whether the client is still there: one that sends its next request early
    /// is. (Nor does it leave unseen for long: its answer cannot be written.)
    fn may_read(&self) -> bool {
        if self.body.is_over() {
            self.input.bytes.is_empty()
        } else {
            self.body.may_come(&self.input)
        }
    }

    /// Ends the connection, as the socket does that: after the last word.
    async fn part(mut self) {
        let parted = poll_fn(|cx| {
            ready!(self.out.poll(&mut self.io, cx))?;
            Pin::new(&mut self.io).poll_shutdown(cx)
        });
        // It is over in any case.
        let _ = parted.await;
    }
}

/// The timer of a connection, which is set anew only when it has rung: most waits end long before.
struct Timer<'t> {
    timer: Pin<&'t mut Sleep>,
    /// Whether the task will be woken when it rings: it stays in one task, whose waker is good until then.
    waits: bool,
}

impl Timer<'_> {
    fn poll_until(&mut self, due: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if self.waits && !self.timer.is_elapsed() {
            return Poll::Pending;
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            if self.timer.deadline().into_std() >= due {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(due.into());
        }
        self.waits = true;
        Poll::Pending
    }
}
