//! `matagi serve`

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use matagi_server::{HuntStore, ServerError};

use crate::Outcome;
use crate::app::App;
use crate::error::{CommandError, from_library};
use crate::last_hunt::Place;
use crate::progress::is_interrupted;
use crate::ui::Ui;

from_library!(ServerError);

/// Show the last hunt in the browser
///
/// Serves on loopback only: there are no accounts, and nothing can be changed through it. A new hunt shows after a
/// reload. Ctrl-C ends it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    matagi serve\n  \
    matagi serve --lake /srv/hunts/lake --address 127.0.0.1:9000")]
pub(crate) struct Serve {
    /// Loopback address and port; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8455")]
    address: SocketAddr,
}

/// The last hunt of a lake or user, looked up for every request.
struct Kept(Place);

impl HuntStore for Kept {
    fn last_hunt(&self, lang: &str) -> Result<Option<String>, Box<dyn Error + Send + Sync>> {
        self.0.read(lang).map_err(|error| error.in_one_line().into())
    }
}

pub(crate) fn run(ui: &Ui, app: &App, args: &Serve) -> Result<Outcome, CommandError> {
    let place = Place::of(app)?;
    // A lake that cannot be opened is said now and not to the first browser.
    place.read(ui.lang().code())?;
    let ready = |address: SocketAddr| ui.warn("serving", [("address", address.to_string())]);
    matagi_server::serve(Arc::new(Kept(place)), args.address, ready, is_interrupted)
        .map_err(|error| CommandError::from(error).or_hint("--address 127.0.0.1:0 takes a free port"))?;
    Ok(Outcome::Ran)
}
