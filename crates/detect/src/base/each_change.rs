//! The plainest fold: every change that succeeded is judged by itself.

use matagi_model::tables::IamView;
use matagi_model::{Context, EventBatch, Finding, Fold};

/// Judges the change in one row; `None` where there is nothing to say.
pub type Judge = fn(&IamView<'_>, usize, &Context) -> Option<Finding>;

/// A fold that asks `judge` about every change but those that were refused.
pub fn each_change(context: &Context, judge: Judge) -> Box<dyn Fold> {
    Box::new(EachChange { context: context.clone(), judge, findings: Vec::new() })
}

struct EachChange {
    context: Context,
    judge: Judge,
    findings: Vec<Finding>,
}

impl Fold for EachChange {
    fn batch(&mut self, batch: &EventBatch) {
        let row = IamView::new(batch);
        let done = (0..batch.rows()).filter(|&index| row.status_id.get(index) != Some(2));
        self.findings.extend(done.filter_map(|index| (self.judge)(&row, index, &self.context)));
    }

    fn finish(self: Box<Self>) -> Vec<Finding> {
        self.findings
    }
}
