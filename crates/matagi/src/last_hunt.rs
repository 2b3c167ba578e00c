//! What the last hunt found, kept so that `incidents`, `explain` and `report` can be asked afterwards.
//!
//! A hunt over a lake is kept in the lake; a hunt over paths alone in the user's state directory. Either way once in
//! each language, because the sentences are made while detection's texts are at hand.

use std::fs::{self, File};
use std::io::{self, Write};

use camino::{Utf8Path, Utf8PathBuf};
use matagi_lake::Lake;
use matagi_report::HuntDocument;
use tempfile::NamedTempFile;

use crate::app::App;
use crate::config::Lang;
use crate::error::CommandError;

/// The same hunt told in English and in Japanese.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) en: HuntDocument,
    pub(crate) ja: HuntDocument,
}

impl Told {
    /// The document in one language.
    pub(crate) const fn get(&self, lang: Lang) -> &HuntDocument {
        match lang {
            Lang::En => &self.en,
            Lang::Ja => &self.ja,
        }
    }
}

/// Largest document that is read back, bytes. A hunt keeps at most 50 records a finding, so this is millions of findings.
const DOCUMENT_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Where the last hunt is kept: in the lake where one is named, else with the user.
#[derive(Debug)]
pub(crate) enum Place {
    Lake(Utf8PathBuf),
    User(Utf8PathBuf),
}

impl Place {
    /// The place that the user means.
    pub(crate) fn of(app: &App) -> Result<Self, CommandError> {
        app.lake_dir().map_or_else(|| user_dir().map(Self::User), |dir| Ok(Self::Lake(dir)))
    }

    /// The document in this language, as it was kept.
    pub(crate) fn read(&self, lang: &str) -> Result<Option<String>, CommandError> {
        match self {
            Self::Lake(dir) => Ok(Lake::open(dir)?.last_hunt(lang)?),
            Self::User(dir) => read_state(&state_file(dir, lang)),
        }
    }
}

fn user_dir() -> Result<Utf8PathBuf, CommandError> {
    App::user_dir("XDG_STATE_HOME", ".local/state")
}

fn state_file(dir: &Utf8Path, lang: &str) -> Utf8PathBuf {
    dir.join(format!("last-hunt.{lang}.json"))
}

/// Keeps a hunt over paths alone.
pub(crate) fn save_for_user(told: &Told) -> Result<(), CommandError> {
    let dir = user_dir()?;
    fs::create_dir_all(&dir).map_err(|source| CommandError::new(format!("cannot make {dir}")).because(&source))?;
    for lang in Lang::ALL {
        write_file(&state_file(&dir, lang.code()), told.get(lang).to_json().as_bytes())?;
    }
    Ok(())
}

/// The last hunt in the user's language.
pub(crate) fn load(app: &App) -> Result<HuntDocument, CommandError> {
    let json = Place::of(app)?.read(app.lang().code())?.ok_or_else(|| {
        CommandError::new("no hunt has been kept here").hint("`matagi hunt PATH...` reads evidence and hunts in it")
    })?;
    serde_json::from_str(&json).map_err(|source| {
        CommandError::new("the kept hunt cannot be read").because(&source).hint("run `matagi hunt` again")
    })
}

fn read_state(path: &Utf8Path) -> Result<Option<String>, CommandError> {
    let cannot_read = |source: &io::Error| CommandError::new(format!("cannot read {path}")).because(source);
    match File::open(path).and_then(|file| file.metadata()) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(cannot_read(&source)),
        Ok(facts) if facts.len() > DOCUMENT_BYTES_MAX => {
            return Err(CommandError::new(format!("{path} is over the limit of {DOCUMENT_BYTES_MAX} bytes")));
        }
        Ok(_) => {}
    }
    fs::read_to_string(path).map(Some).map_err(|source| cannot_read(&source))
}

/// Writes a file whole or not at all: beside its place, synced, then renamed.
pub(crate) fn write_file(path: &Utf8Path, bytes: &[u8]) -> Result<(), CommandError> {
    let directory = path.parent().filter(|parent| !parent.as_str().is_empty()).unwrap_or(Utf8Path::new("."));
    let write = || -> io::Result<()> {
        if fs::metadata(path).is_ok_and(|facts| !facts.is_file()) {
            // A device or pipe (/dev/stdout) is written to, never replaced.
            return File::options().write(true).open(path)?.write_all(bytes);
        }
        let mut file = NamedTempFile::new_in(directory)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map(drop).map_err(|failed| failed.error)
    };
    write().map_err(|source| {
        CommandError::new(format!("cannot write {path}"))
            .because(&source)
            .or_hint("choose a folder that exists and that you may write to")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(dir.path().join("page.html")).unwrap();
        write_file(&path, b"one").unwrap();
        write_file(&path, b"two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file stays");
        assert!(write_file(Utf8Path::new("/no/such/folder/page.html"), b"x").is_err());
    }
}
