//! Matagi: evidence in, explained incident out, a human decides.

fn main() {}
