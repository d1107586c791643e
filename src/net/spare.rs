//! Buffers that nobody needs at the moment, a few for each thread: whoever is silent has none, and whoever says
//! something gets one without asking the allocator.

use bytes::BytesMut;
use std::cell::RefCell;

/// A buffer holds so much at least.
pub(super) const SIZE: usize = 4096;
/// Larger ones are not worth keeping for somebody who may say little.
const LARGEST: usize = 4 * SIZE;
/// So many are kept by each thread.
const MOST: usize = 64;

thread_local! {
    static INPUTS: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
    static OUTPUTS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer to read into.
pub(super) fn input() -> BytesMut {
    INPUTS.with_borrow_mut(Vec::pop).unwrap_or_else(|| BytesMut::with_capacity(SIZE))
}

/// A buffer to write from.
pub(super) fn output() -> Vec<u8> {
    OUTPUTS.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(SIZE))
}

/// Takes back an input buffer that is empty, if it is of use to others: if nobody still has a part of it.
pub(super) fn keep_input(mut buffer: BytesMut) {
    if buffer.is_empty() && buffer.try_reclaim(SIZE) && buffer.capacity() <= LARGEST {
        INPUTS.with_borrow_mut(|kept| keep(kept, buffer));
    }
}

/// Takes back an output buffer that is empty.
pub(super) fn keep_output(buffer: Vec<u8>) {
    if buffer.is_empty() && (SIZE..=LARGEST).contains(&buffer.capacity()) {
        OUTPUTS.with_borrow_mut(|kept| keep(kept, buffer));
    }
}

fn keep<T>(kept: &mut Vec<T>, buffer: T) {
    if kept.len() < MOST {
        kept.push(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_back_is_given_out_again() {
        let mut buffer = input();
        buffer.extend_from_slice(b"said");
        let said = buffer.split_to(4).freeze();
        let at = said.as_ptr();
        drop(said);
        keep_input(buffer);
        let mut again = input();
        assert!(again.is_empty() && again.capacity() >= SIZE);
        again.extend_from_slice(b"x");
        assert_eq!(again.as_ptr(), at, "the same memory");
    }

    #[test]
    fn what_somebody_still_reads_is_not_given_out() {
        let mut buffer = input();
        buffer.extend_from_slice(b"said");
        let said = buffer.split_to(4).freeze();
        keep_input(buffer);
        let mut other = input();
        other.extend_from_slice(b"else");
        assert_eq!(&said[..], b"said");
    }
}
