//! Findings and incidents to blocks, and blocks to HTML and JSON
