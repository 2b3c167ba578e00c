//! Evidence to findings, findings to incidents
