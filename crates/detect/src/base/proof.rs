//! A record to be shown later, in a tenth of the room: for folds that watch half a million things of which ten are told.

use std::collections::BTreeSet;
use std::sync::Arc;

use matagi_model::tables::CommonView;
use matagi_model::{Evidence, Ip, Origin, Table, Time, Uid};

/// What [`Evidence`] needs of a row; texts that rows share are kept once.
#[derive(Debug, Clone)]
pub struct Proof {
    event_uid: Uid,
    table: Table,
    time: Time,
    path: Arc<str>,
    record: u64,
    operation: Arc<str>,
    ip: Option<Ip>,
}

/// Texts that many rows have in common: files, operations, sessions.
#[derive(Debug, Default)]
pub struct Shared(BTreeSet<Arc<str>>);

/// Texts shared; beyond it each row keeps its own.
const TEXTS_MAX: usize = 500_000;

impl Shared {
    /// The one copy of a text.
    pub fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        let text: Arc<str> = text.into();
        if self.0.len() < TEXTS_MAX {
            self.0.insert(Arc::clone(&text));
        }
        text
    }
}

impl Proof {
    /// Remembers a row.
    pub fn of(table: Table, row: &CommonView<'_>, index: usize, shared: &mut Shared) -> Self {
        Self {
            event_uid: row.event_uid.get(index),
            table,
            time: row.time.get(index),
            path: shared.text(row.source_path.get(index).unwrap_or_default()),
            record: row.source_record.get(index).unwrap_or_default(),
            operation: shared.text(row.api_operation.get(index).unwrap_or("event")),
            ip: row.src_ip.get(index),
        }
    }

    /// The evidence, as [`Evidence::of`] would have made it of the row.
    pub fn evidence(&self, user: &str, details: &str) -> Evidence {
        Evidence {
            event_uid: self.event_uid,
            table: self.table,
            time: self.time,
            origin: Origin { path: self.path.to_string(), record: self.record },
            fact: Evidence::fact(&self.operation, Some(user), self.ip, details),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{batches, sign_in};

    #[test]
    fn it_becomes_the_evidence_of_the_row() {
        let batches = batches(vec![sign_in(5, "anna@c.example", "192.0.2.1", "0")]);
        let batch = batches.iter().find(|batch| batch.rows() > 0).unwrap();
        let row = batch.common();
        let mut shared = Shared::default();
        let proof = Proof::of(Table::Auth, &row, 0, &mut shared);
        assert_eq!(proof.evidence("anna@c.example", "token x"), Evidence::of(Table::Auth, &row, 0, "token x"));
        assert!(Arc::ptr_eq(&shared.text("test"), &proof.path));
    }
}
