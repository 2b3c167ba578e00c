//! An intake that keeps everything.

use matagi_model::{Emit, EventBatch, Note, Reject, Stop};
use matagi_sources::inputs::{Intake, Outcome};

/// What was said about one input.
#[derive(Debug)]
pub struct Input {
    pub path: String,
    pub format: Option<&'static str>,
    pub outcome: Outcome,
    pub rows: usize,
    pub rejects: Vec<Reject>,
    pub notes: Vec<Note>,
}

/// Keeps batches and what was said.
#[derive(Debug, Default)]
pub struct Collect {
    pub inputs: Vec<Input>,
    pub batches: Vec<EventBatch>,
}

impl Collect {
    fn last(&mut self) -> &mut Input {
        self.inputs.last_mut().expect("an input has begun")
    }
}

impl Emit for Collect {
    fn batch(&mut self, batch: EventBatch) -> Result<(), Stop> {
        self.last().rows += batch.rows();
        self.batches.push(batch);
        Ok(())
    }
    fn reject(&mut self, reject: Reject) {
        self.last().rejects.push(reject);
    }
    fn note(&mut self, note: Note) {
        self.last().notes.push(note);
    }
}

impl Intake for Collect {
    fn begin(&mut self, path: &str, format: Option<&'static str>) -> Result<(), Stop> {
        self.inputs.push(Input {
            path: path.to_owned(),
            format,
            outcome: Outcome::Empty,
            rows: 0,
            rejects: Vec::new(),
            notes: Vec::new(),
        });
        Ok(())
    }
    fn end(&mut self, outcome: &Outcome) -> Result<(), Stop> {
        self.last().outcome = outcome.clone();
        Ok(())
    }
}
