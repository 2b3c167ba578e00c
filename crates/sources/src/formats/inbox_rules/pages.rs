//! Whose mailbox a page of Graph is about stands only in its context link, above the rules:
//! `"@odata.context":"https://.../$metadata#users('anna%40example.org')/mailFolders('inbox')/messageRules"`.
//!
//! Records are handed over without the page around them, so this reader stops before every such link and remembers
//! the mailbox while what follows it is read.

use std::cell::RefCell;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use memchr::memmem;

/// What stands before the link.
const MARK: &[u8] = b"\"@odata.context\"";
/// Longest link that is looked at, in bytes.
const LINK_BYTES_MAX: usize = 2048;

/// The mailbox of the page that is being read.
pub(super) type Mailbox = Rc<RefCell<Option<String>>>;

/// A text in memory, handed out page by page.
#[derive(Debug)]
pub(super) struct Pages<'a> {
    text: &'a [u8],
    at: usize,
    /// End of what may be handed out before the next link.
    end: usize,
    mailbox: Mailbox,
}

impl<'a> Pages<'a> {
    pub fn new(text: &'a [u8]) -> Self {
        let mut pages = Self { text, at: 0, end: 0, mailbox: Mailbox::default() };
        pages.end = pages.next_link(0);
        pages
    }

    /// Follows the mailbox of the current page.
    pub fn mailbox(&self) -> Mailbox {
        Rc::clone(&self.mailbox)
    }

    fn next_link(&self, from: usize) -> usize {
        memmem::find(&self.text[from..], MARK).map_or(self.text.len(), |length| from + length)
    }

    fn turn_page(&mut self) {
        let link = &self.text[self.at..self.text.len().min(self.at + LINK_BYTES_MAX)];
        *self.mailbox.borrow_mut() = mailbox_of(&String::from_utf8_lossy(link));
        self.end = self.next_link(self.at + MARK.len());
    }
}

/// The user in a context link.
fn mailbox_of(link: &str) -> Option<String> {
    let value = link.split_once(':')?.1.trim_start().strip_prefix('"')?.split_once('"')?.0;
    let lower = value.to_lowercase();
    let user = lower.split_once("users('")?.1.split_once("')")?.0.replace("%40", "@");
    (!user.is_empty()).then_some(user)
}

impl Read for Pages<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let chunk = self.fill_buf()?;
        let length = chunk.len().min(buffer.len());
        buffer[..length].copy_from_slice(&chunk[..length]);
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Pages<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.end && self.at < self.text.len() {
            self.turn_page();
        }
        Ok(&self.text[self.at..self.end])
    }

    fn consume(&mut self, amount: usize) {
        self.at = self.end.min(self.at + amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mailbox_follows_the_page_and_no_byte_is_lost() {
        let text = concat!(
            r#"{"@odata.context": "https://x/$metadata#users('Anna%40example.org')/mailFolders('inbox')/messageRules","value":[1]}"#,
            r#"{"@odata.context":"https://x/$metadata#users('b@example.org')/x","value":[2]}"#
        );
        let mut pages = Pages::new(text.as_bytes());
        let mailbox = pages.mailbox();
        let mut seen = Vec::new();
        let mut whole = Vec::new();
        loop {
            let chunk = pages.fill_buf().unwrap().to_vec();
            if chunk.is_empty() {
                break;
            }
            let count = chunk.len();
            whole.extend(chunk);
            seen.push(mailbox.borrow().clone());
            pages.consume(count);
        }
        assert_eq!(whole, text.as_bytes());
        assert_eq!(seen, [None, Some("anna@example.org".to_owned()), Some("b@example.org".to_owned())]);
    }
}
