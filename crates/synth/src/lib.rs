//! Labelled evidence: one fictional company in real export formats, with its truth
