//! How far the work has come, drawn on a terminal's stderr and nowhere else.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use matagi_model::Progress;

/// Set once by the first Ctrl-C; everything that takes long looks at it.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// Whether the handler is in place; tests of this crate run without.
static HANDLER: OnceLock<bool> = OnceLock::new();

/// Makes Ctrl-C (and SIGTERM) stop cleanly. A second one ends at once: the lake survives that too.
pub(crate) fn catch_interrupts() {
    HANDLER.get_or_init(|| {
        ctrlc::set_handler(|| {
            if INTERRUPTED.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
        })
        .is_ok()
    });
}

/// Whether the user pressed Ctrl-C.
pub(crate) fn is_interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// What the bar counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Bytes of input; the total is 0 when unknown (standard input).
    Bytes(u64),
    /// Rows of the lake. Each stage reads them all once.
    Rows(u64),
}

/// A progress bar, or nothing where nobody looks.
#[derive(Debug)]
pub(crate) struct Meter {
    bar: ProgressBar,
    unit: Unit,
    rows: AtomicU64,
}

const WITH_TOTAL: &str = "{prefix:.bold} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta} {msg}";
const WITHOUT_TOTAL: &str = "{spinner} {prefix:.bold} {bytes} {bytes_per_sec} {elapsed} {msg}";
const ROWS: &str = "{prefix:.bold} {wide_bar} {human_pos}/{human_len} {per_sec} {eta} {msg}";

impl Meter {
    /// A bar on stderr when `draw` and stderr is a terminal.
    pub(crate) fn new(unit: Unit, draw: bool) -> Self {
        let (total, template) = match unit {
            Unit::Bytes(0) => (None, WITHOUT_TOTAL),
            Unit::Bytes(total) => (Some(total), WITH_TOTAL),
            Unit::Rows(total) => (Some(total), ROWS),
        };
        let target = if draw { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style = ProgressStyle::with_template(template).expect("the templates above are valid");
        let bar = ProgressBar::with_draw_target(total, target).with_style(style);
        Self { bar, unit, rows: AtomicU64::new(0) }
    }

    /// Does something that writes on stderr, the bar out of the way meanwhile.
    pub(crate) fn beside(&self, write: impl FnOnce()) {
        self.bar.suspend(write);
    }

    /// Removes the bar from the terminal.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Progress for Meter {
    fn bytes(&self, bytes: u64) {
        if let Unit::Bytes(_) = self.unit {
            self.bar.inc(bytes);
        }
    }

    fn rows(&self, rows: u64) {
        match self.unit {
            Unit::Rows(_) => self.bar.inc(rows),
            Unit::Bytes(_) => {
                let all = self.rows.fetch_add(rows, Ordering::Relaxed) + rows;
                if !self.bar.is_hidden() {
                    self.bar.set_message(format!("{all} rows"));
                }
            }
        }
    }

    fn stage(&self, name: &str) {
        self.bar.set_prefix(matagi_report::visible::line(name));
        if let Unit::Rows(_) = self.unit {
            self.bar.set_position(0);
            self.bar.reset_eta();
        }
    }

    fn is_cancelled(&self) -> bool {
        is_interrupted()
    }
}
