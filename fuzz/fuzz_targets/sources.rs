//! Every format at once: the first byte chooses the format, the rest is the file. A new format is fuzzed the day it is
//! registered.
//!
//! `cargo +nightly fuzz run sources`; a corpus is the content of `cases/*/*/in/`, each file with one byte before it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use matagi_model::{Emit, EventBatch, Note, Reject, Stop};

#[derive(Default)]
struct Count {
    rows: usize,
    rejects: usize,
}

impl Emit for Count {
    fn batch(&mut self, batch: EventBatch) -> Result<(), Stop> {
        self.rows += batch.rows();
        Ok(())
    }

    fn reject(&mut self, reject: Reject) {
        assert!(!reject.reason.is_empty(), "a reject without a reason");
        self.rejects += 1;
    }

    fn note(&mut self, _: Note) {}
}

fuzz_target!(|data: &[u8]| {
    let Some((&which, rest)) = data.split_first() else { return };
    let source = matagi_sources::ALL[usize::from(which) % matagi_sources::ALL.len()];
    let head = &rest[..rest.len().min(matagi_sources::inputs::HEAD_BYTES_MAX)];
    let _is_recognised = source.sniff(head);
    let mut out = Count::default();
    // An error is an answer; a panic is not.
    let _refused = source.read(&mut &rest[..], &mut out);
    assert!(out.rows <= rest.len() + 1, "{}: more rows than bytes is a bomb", source.meta().name);
    assert!(out.rejects <= rest.len() + 1, "{}: more rejects than bytes is a bomb", source.meta().name);
});
