//! One writer at a time, held by the operating system: a killed process holds nothing.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::Duration;

use crate::LakeError;

/// File within the lake on which the lock lies. It is never removed: who removes a lock file invites two writers.
pub(crate) const LOCK_FILE: &str = "writer.lock";

/// A reader that asks whether somebody writes holds the lock for microseconds: try again before saying busy.
const TRIES_MAX: u32 = 20;
const TRY_PAUSE: Duration = Duration::from_millis(25);

/// The right to write. Given back when dropped.
#[derive(Debug)]
pub(crate) struct WriterLock {
    _file: File,
}

fn open(dir: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).open(dir.join(LOCK_FILE))
}

impl WriterLock {
    /// Takes the lock, or says [`LakeError::Busy`].
    pub fn take(dir: &Path) -> Result<Self, LakeError> {
        let file = open(dir).map_err(|source| LakeError::Open { path: dir.to_owned(), source })?;
        for _ in 0..TRIES_MAX {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) => std::thread::sleep(TRY_PAUSE),
                Err(TryLockError::Error(source)) => return Err(LakeError::Open { path: dir.to_owned(), source }),
            }
        }
        Err(LakeError::Busy { path: dir.to_owned() })
    }

    /// Whether somebody holds it now.
    pub fn is_held(dir: &Path) -> bool {
        // Opened without the right to make it: a reader changes nothing.
        File::open(dir.join(LOCK_FILE))
            .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }
}
