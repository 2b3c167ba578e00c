//! Reading with a limit: nothing that comes from outside is read to its end without one.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

/// Why a bounded read stopped. Carried inside [`io::Error`], so that it passes through readers that know nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Bound {
    /// More came out of an archive than an archive of evidence can hold.
    #[error("refused as a decompression bomb: it grows to more than {ratio} times its size")]
    Ratio {
        /// The limit.
        ratio: u64,
    },
    /// More came out than may be read from one input.
    #[error("refused: more than {limit} bytes come out of it")]
    Bytes {
        /// The limit.
        limit: u64,
    },
    /// The user asked to stop.
    #[error("stopped by the user")]
    Cancelled,
}

impl Bound {
    /// The bound inside an error, however deep it is wrapped.
    pub fn of<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(current) = next {
            if let Some(bound) = current.downcast_ref::<Self>() {
                return Some(bound);
            }
            // An io::Error shows the error that it carries only here; its `source` is the source of that one.
            if let Some(inner) = current.downcast_ref::<io::Error>().and_then(io::Error::get_ref)
                && let Some(bound) = Self::of(inner)
            {
                return Some(bound);
            }
            next = current.source();
        }
        None
    }
}

/// What came out of one container so far, shared by all of its members.
#[derive(Debug, Clone)]
pub struct Budget {
    out_bytes: Rc<Cell<u64>>,
    in_bytes: Rc<Cell<u64>>,
    ratio_max: u64,
    slack_bytes: u64,
    bytes_max: u64,
}

impl Budget {
    /// A budget for a container: `ratio_max` times what was read of it (counted by [`Budget::counted`], or told with
    /// [`Budget::add_in`]) once more than `slack_bytes` came out, and `bytes_max` in any case.
    pub fn new(ratio_max: u64, slack_bytes: u64, bytes_max: u64) -> Self {
        Self { out_bytes: Rc::default(), in_bytes: Rc::default(), ratio_max, slack_bytes, bytes_max }
    }

    /// So many bytes of the container are known to exist.
    pub fn add_in(&self, bytes: u64) {
        self.in_bytes.set(self.in_bytes.get().saturating_add(bytes));
    }

    /// Counts what is read of the container.
    pub fn counted<R: Read>(&self, inner: R) -> Counted<R> {
        Counted { inner, bytes: Rc::clone(&self.in_bytes) }
    }

    /// Limits what comes out of the container.
    pub fn bounded<R: Read>(&self, inner: R) -> Bounded<R> {
        Bounded { inner, budget: self.clone() }
    }

    /// What came out so far, bytes.
    pub fn spent_bytes(&self) -> u64 {
        self.out_bytes.get()
    }

    /// Whether a limit was reached.
    pub fn is_spent(&self) -> bool {
        self.spend(0).is_err()
    }

    /// Forgets what came out since `spent_bytes`: a member that was refused must not refuse those after it.
    pub fn forgive(&self, spent_bytes: u64) {
        self.out_bytes.set(spent_bytes);
    }

    fn spend(&self, bytes: u64) -> io::Result<()> {
        let out = self.out_bytes.get().saturating_add(bytes);
        self.out_bytes.set(out);
        if out > self.slack_bytes && out > self.in_bytes.get().saturating_mul(self.ratio_max) {
            return Err(io::Error::other(Bound::Ratio { ratio: self.ratio_max }));
        }
        if out > self.bytes_max {
            return Err(io::Error::other(Bound::Bytes { limit: self.bytes_max }));
        }
        Ok(())
    }
}

/// Counts the bytes that pass.
#[derive(Debug)]
pub struct Counted<R> {
    inner: R,
    bytes: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes.set(self.bytes.get().saturating_add(read as u64));
        Ok(read)
    }
}

/// Reads until its [`Budget`] is spent.
#[derive(Debug)]
pub struct Bounded<R> {
    inner: R,
    budget: Budget,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.budget.spend(read as u64)?;
        Ok(read)
    }
}

/// Reads to the end, at most `bytes_max` bytes.
///
/// # Errors
/// When the input cannot be read, or is longer.
pub fn read_all(input: &mut dyn Read, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One more than allowed tells "exactly at the limit" from "over it".
    #[expect(clippy::disallowed_methods, reason = "this is the bounded form that others are told to use")]
    input.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::Error::other(Bound::Bytes { limit: bytes_max }));
    }
    Ok(bytes)
}

/// Reads until the buffer is full or the input ends; gives how much there was.
///
/// # Errors
/// When the input cannot be read; what was read before is in the buffer.
pub fn fill(input: &mut dyn Read, buffer: &mut [u8]) -> (usize, io::Result<()>) {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (filled, Err(error)),
        }
    }
    (filled, Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bomb_is_stopped_by_its_ratio() {
        let budget = Budget::new(100, 1_000, u64::MAX);
        budget.add_in(50);
        let mut bomb = budget.bounded(io::repeat(b'0'));
        let error = io::copy(&mut bomb, &mut io::sink()).unwrap_err();
        assert_eq!(Bound::of(&error), Some(&Bound::Ratio { ratio: 100 }));
    }

    #[test]
    fn what_was_refused_can_be_forgiven() {
        let budget = Budget::new(100, 1_000, u64::MAX);
        let before = budget.spent_bytes();
        assert!(io::copy(&mut budget.bounded(io::repeat(b'0')), &mut io::sink()).is_err() && budget.is_spent());
        budget.forgive(before);
        assert!(!budget.is_spent());
    }

    #[test]
    fn small_inputs_may_be_as_repetitive_as_they_like() {
        let budget = Budget::new(100, 1_000, u64::MAX);
        assert_eq!(read_all(&mut budget.bounded(io::repeat(b'0').take(1_000)), 1_000).unwrap().len(), 1_000);
    }

    #[test]
    fn read_all_refuses_what_is_longer() {
        assert_eq!(read_all(&mut &b"abc"[..], 3).unwrap(), b"abc");
        let error = read_all(&mut io::repeat(b'0'), 3).unwrap_err();
        assert_eq!(Bound::of(&error), Some(&Bound::Bytes { limit: 3 }));
    }
}
