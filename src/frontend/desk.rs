//! Where commands are worked on. What a command needs while it runs is several times what a silent client needs, and
//! most clients are silent: so the state of a command's future is no part of the session's task. Each thread keeps a
//! few places for it, and a command takes one without asking the allocator.
//!
//! A place is a future that never ends and takes one session after the other: so what a command needs comes into
//! being where it stays, and is not moved there.

use super::session::{Gone, Session};
use std::cell::RefCell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

/// So many places are kept by each thread.
const MOST: usize = 32;

thread_local! {
    static FREE: RefCell<Vec<Place>> = const { RefCell::new(Vec::new()) };
}

/// The session, which goes along with its command, and whether it is over.
type Done = (Box<Session>, Result<(), Gone>);

/// What lies on the desk.
#[derive(Default)]
enum Tray {
    #[default]
    Empty,
    Given(Box<Session>),
    Done(Done),
}

struct Place {
    tray: Arc<Mutex<Tray>>,
    work: Pin<Box<dyn Future<Output = Infallible> + Send>>,
}

impl Place {
    fn new() -> Self {
        let tray = Arc::default();
        Self { work: Box::pin(work(Arc::clone(&tray))), tray }
    }

    /// Goes on with the session that was given.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Done> {
        let Poll::Pending = self.work.as_mut().poll(cx);
        take(&self.tray, |tray| match tray {
            Tray::Done(done) => Ok(done),
            other => Err(other),
        })
    }
}

/// Serves whoever is given, for ever. While nobody is given it waits without being woken: it is not polled then.
async fn work(tray: Arc<Mutex<Tray>>) -> Infallible {
    let given = |tray| match tray {
        Tray::Given(session) => Ok(session),
        other => Err(other),
    };
    loop {
        let session = poll_fn(|_| take(&tray, given)).await;
        let done = session.serve().await;
        *lock(&tray) = Tray::Done(done);
    }
}

fn take<T>(tray: &Mutex<Tray>, wanted: impl FnOnce(Tray) -> Result<T, Tray>) -> Poll<T> {
    let mut tray = lock(tray);
    match wanted(std::mem::take(&mut *tray)) {
        Ok(found) => Poll::Ready(found),
        Err(other) => {
            *tray = other;
            Poll::Pending
        }
    }
}

fn lock(tray: &Mutex<Tray>) -> MutexGuard<'_, Tray> {
    // Only ever one task's, and whole between any two statements.
    tray.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has a session do what its client has begun to say.
pub(super) async fn serve(session: Box<Session>) -> Done {
    let mut place = FREE.with_borrow_mut(Vec::pop).unwrap_or_else(Place::new);
    *lock(&place.tray) = Tray::Given(session);
    let done = poll_fn(|cx| place.poll(cx)).await;
    // What was needed is gone; what is left of it is its memory.
    FREE.with_borrow_mut(|free| {
        if free.len() < MOST {
            free.push(place);
        }
    });
    done
}
