//! Where commands are worked on. What a command needs while it runs is several times what a silent client needs, and
//! most clients are silent: so the state of a command's future is no part of the session's task. Each thread keeps a
//! few places for it, and a command takes one without asking the allocator.
//!
//! A place is a future that never ends and takes one session after the other: so what a command needs comes into
//! being where it stays, and is not moved there.

use super::session::{Gone, Session};
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

/// So many places are kept by each thread.
const MOST: usize = 32;

/// The session, which goes along with its command, and whether it is over.
type Done = (Box<Session>, Result<(), Gone>);

type Place = Pin<Box<dyn Future<Output = Infallible> + Send>>;

thread_local! {
    static FREE: RefCell<Vec<Place>> = const { RefCell::new(Vec::new()) };
    /// What goes into a place and comes out of it: there is something here only while one is polled, which nobody
    /// does from within another.
    static GIVEN: Cell<Option<Box<Session>>> = const { Cell::new(None) };
    static DONE: Cell<Option<Done>> = const { Cell::new(None) };
}

/// Serves whoever is given, for ever. While nobody is given it waits without being woken: it is not polled then.
async fn work() -> Infallible {
    loop {
        let session = poll_fn(|_| GIVEN.take().map_or(Poll::Pending, Poll::Ready)).await;
        DONE.set(Some(session.serve().await));
    }
}

/// Goes on with whoever is there.
fn go_on(place: &mut Place, cx: &mut Context<'_>) -> Poll<Done> {
    let Poll::Pending = place.as_mut().poll(cx);
    DONE.take().map_or(Poll::Pending, Poll::Ready)
}

/// Has a session do what its client has begun to say.
pub(super) async fn serve(session: Box<Session>) -> Done {
    let mut place = FREE.with_borrow_mut(Vec::pop).unwrap_or_else(|| Box::pin(work()));
    let mut given = Some(session);
    let done = poll_fn(|cx| {
        if let Some(session) = given.take() {
            GIVEN.set(Some(session));
        }
        go_on(&mut place, cx)
    })
    .await;
    // What was needed is gone; what is left of it is its memory.
    FREE.with_borrow_mut(|free| {
        if free.len() < MOST {
            free.push(place);
        }
    });
    done
}
