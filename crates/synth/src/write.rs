//! Plan → files.

use std::path::Path;

use matagi_model::Progress;

use crate::plan::{Plan, Summary, SynthError};

/// Writes the evidence of a plan below `out`: `evidence/` and, beside it, `truth.json`.
///
/// Streams: memory depends on the number of people, not on the size of the export. The same plan gives
/// byte-identical files.
///
/// # Errors
/// When the plan is out of bounds, the disk refuses, or the user asks to stop.
pub fn write(plan: &Plan, out: &Path, progress: &dyn Progress) -> Result<Summary, SynthError> {
    let _ = (plan, out, progress);
    Err(SynthError::Cancelled)
}
