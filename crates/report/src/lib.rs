//! Findings and incidents to the document `matagi.hunt/1`, and the document to a page or to text.
//!
//! [`document()`] tells a hunt in one language; [`sections`] cut the document into [`block`]s; [`html`] and
//! [`terminal`] draw the blocks. A renderer knows nothing of incidents, a section knows nothing of HTML.

mod assemble;
pub mod block;
mod clock;
pub mod document;
pub mod html;
pub mod picture;
pub mod sections;
pub mod terminal;
mod texts;
pub mod visible;

pub use assemble::document;
pub use document::{Hunt, HuntDocument, HuntInput};
pub use texts::{language, phrasebook, ui};
