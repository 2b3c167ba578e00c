//! What every command starts from: options, configuration, the clock, the lake.

use std::env;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use matagi_detect::Content;
use matagi_model::Time;

use crate::cli::{Format, Globals};
use crate::config::{self, Config, Lang};
use crate::error::CommandError;

/// Options and configuration, resolved.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) globals: Globals,
    pub(crate) config: Config,
    /// The present instant. Nothing else in Matagi asks the clock.
    pub(crate) now: Time,
}

impl App {
    /// Reads the configuration and, unless `--now` is given, the clock.
    pub(crate) fn load(globals: Globals) -> Result<Self, CommandError> {
        let config = Config::load(globals.config.as_deref(), || config::tunables(&Content::builtin()))?;
        let now = globals.now.unwrap_or_else(|| Time(Timestamp::now().as_microsecond()));
        Ok(Self { globals, config, now })
    }

    /// `--lang`, else the configuration, else the locale, else English.
    pub(crate) fn lang(&self) -> Lang {
        let from_locale = || {
            let locale =
                ["LC_ALL", "LANG"].into_iter().filter_map(|name| env::var(name).ok()).find(|value| !value.is_empty());
            if locale.is_some_and(|locale| locale.starts_with("ja")) { Lang::Ja } else { Lang::En }
        };
        self.globals.lang.or(self.config.lang).unwrap_or_else(from_locale)
    }

    /// The format that the user asked for, else this one.
    pub(crate) fn format_or(&self, default: Format) -> Format {
        self.globals.format.unwrap_or(default)
    }

    /// Directory of the lake, whether or not it exists: `--lake`, else MATAGI_LAKE, else the configuration's.
    pub(crate) fn lake_dir(&self) -> Option<Utf8PathBuf> {
        let from_environment = || env::var("MATAGI_LAKE").ok().filter(|dir| !dir.is_empty()).map(Utf8PathBuf::from);
        self.globals.lake.clone().or_else(from_environment).or_else(|| self.config.lake.clone())
    }

    /// The directory of the lake, or an error that says how to get one.
    pub(crate) fn need_lake_dir(&self) -> Result<Utf8PathBuf, CommandError> {
        self.lake_dir().ok_or_else(|| {
            CommandError::new("no lake is named")
                .hint("`matagi init` makes one here; or name one with --lake DIR or MATAGI_LAKE")
        })
    }

    /// Where this user's results and reference data live beside any lake.
    pub(crate) fn user_dir(variable: &str, under_home: &str) -> Result<Utf8PathBuf, CommandError> {
        let named =
            |name: &str| env::var(name).ok().filter(|dir| Utf8Path::new(dir).is_absolute()).map(Utf8PathBuf::from);
        named(variable)
            .or_else(|| named("HOME").map(|home| home.join(under_home)))
            .map(|dir| dir.join("matagi"))
            .ok_or_else(|| CommandError::new("no home directory is known").hint(format!("set HOME or {variable}")))
    }
}
