//! Reference data in one local SQLite file: whose an address is, what a technique is called, which names are known.
//!
//! Nothing of it is shipped. [`build_from`] makes the file from unpacked registry packages, [`import`] replaces one part
//! of it, [`Reference`] answers. Where the file is absent everything still runs, and `matagi doctor` says what is dimmer.

mod build;
mod packages;
mod ranges;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use matagi_model::address::is_exchange_backend;
use matagi_model::{AddressBook, AddressFacts, Ip};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use serde::Serialize;

pub use build::{Added, ReferenceBuilder};
pub use packages::build_from;

/// The layout of the file that this build reads and writes.
const FORMAT: u32 = 1;

/// Addresses remembered in each of the two generations of the cache; about 10 MB when both are full.
const CACHE_ADDRESSES_MAX: usize = 32_768;

/// Microsoft's own systems: the corporate network and its siblings, from which services act by themselves.
const MICROSOFT_ASNS: [u32; 3] = [8068, 8069, 8075];

/// Security gateways and privacy relays that have an autonomous system to themselves: Zscaler (two), Netskope, and the
/// one from which Akamai runs its half of Apple's private relay.
const RELAY_ASNS: [u32; 4] = [53_813, 62_044, 55_256, 36_183];

/// Egress networks of privacy relays inside of large autonomous systems, as their operators announce them: Cloudflare's
/// consumer tunnel (the first three) and the parts of Apple's private relay that Cloudflare and Fastly run.
const RELAY_NETWORKS: [&str; 6] =
    ["104.28.0.0/16", "2a09:bac0::/29", "2606:54c0::/32", "140.248.0.0/16", "146.75.128.0/17", "2a04:4e41::/32"];

/// Why reference data could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// The file is there but cannot be opened.
    #[error("cannot open reference data at {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// The file has a layout that this build does not know.
    #[error("reference data at {} has format {found}, this build reads {FORMAT}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The layout found.
        found: u32,
    },
    /// A look-up or an insert failed.
    #[error("cannot use reference data")]
    Use(#[from] rusqlite::Error),
    /// A file or folder of the input or output cannot be used.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The input is not what it should be.
    #[error("{} is not {expected}: {reason}", path.display())]
    Input {
        /// The file.
        path: PathBuf,
        /// What was expected.
        expected: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A limit that keeps memory bounded was reached.
    #[error("{what} is over the limit of {limit}")]
    Limit {
        /// What grew too large.
        what: &'static str,
        /// The limit with its unit.
        limit: String,
    },
    /// The user asked to stop.
    #[error("stopped; the reference data that was there before is untouched")]
    Cancelled,
}

/// A replaceable part of the reference data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Address to autonomous system.
    Asn,
    /// Address to country.
    Country,
    /// Lists of networks and names.
    Lists,
    /// Names of actors, tools and malware.
    Names,
    /// ATT&CK techniques.
    Attack,
}

impl Part {
    /// All.
    pub const ALL: [Self; 5] = [Self::Asn, Self::Country, Self::Lists, Self::Names, Self::Attack];

    /// The word that stands in the file and in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Asn => "asn",
            Self::Country => "country",
            Self::Lists => "lists",
            Self::Names => "names",
            Self::Attack => "attack",
        }
    }
}

/// Where a part came from and under which licence.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct PackageInfo {
    /// Package, or the file that the user imported.
    pub name: String,
    /// Version of the package.
    pub version: String,
    /// Date of the data, `YYYY-MM-DD`; printed beside what it says. Empty when the package does not tell.
    pub date: String,
    /// Licence, as an SPDX expression where there is one.
    pub licence: String,
    /// Notice that must go with the data, whole.
    pub notice: String,
    /// Rows that it gave.
    pub rows: u64,
}

/// An ATT&CK technique.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Technique {
    /// `T1114.003`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its tactics, `credential-access`.
    pub tactics: Vec<String>,
}

/// A name by which an actor, tool or piece of malware is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct KnownName {
    /// Kind: `threat-actor`, `ransomware`, `tool`.
    pub kind: String,
    /// Its main name.
    pub name: String,
}

/// The reference data. Shared freely between threads.
#[derive(Debug)]
pub struct Reference {
    connection: Mutex<Connection>,
    cache: Mutex<Cache>,
    failures: AtomicU64,
}

#[derive(Debug, Default)]
struct Cache {
    young: HashMap<Ip, AddressFacts>,
    old: HashMap<Ip, AddressFacts>,
}

impl Cache {
    fn get(&mut self, ip: Ip) -> Option<AddressFacts> {
        if let Some(facts) = self.young.get(&ip) {
            return Some(facts.clone());
        }
        let facts = self.old.remove(&ip)?;
        self.put(ip, facts.clone());
        Some(facts)
    }

    /// When the young generation is full it becomes the old one, and what nobody asked for since then is forgotten.
    fn put(&mut self, ip: Ip, facts: AddressFacts) {
        if self.young.len() >= CACHE_ADDRESSES_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(ip, facts);
    }
}

impl Reference {
    /// Opens the file; `None` where there is none.
    pub fn open(path: &Path) -> Result<Option<Self>, ReferenceError> {
        if !path.exists() {
            return Ok(None);
        }
        let open = |source| ReferenceError::Open { path: path.to_owned(), source };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(open)?;
        let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(open)?;
        if found != FORMAT {
            return Err(ReferenceError::Format { path: path.to_owned(), found });
        }
        connection.pragma_update(None, "mmap_size", 256 << 20).map_err(open)?;
        Ok(Some(Self { connection: Mutex::new(connection), cache: Mutex::default(), failures: AtomicU64::new(0) }))
    }

    /// The packages behind it, in the order of their names.
    pub fn summary(&self) -> Result<Vec<PackageInfo>, ReferenceError> {
        let connection = lock(&self.connection);
        let mut statement = connection
            .prepare_cached("SELECT name, version, date, licence, notice, rows FROM package ORDER BY name")?;
        let packages = statement.query_map([], |row| {
            Ok(PackageInfo {
                name: row.get(0)?,
                version: row.get(1)?,
                date: row.get(2)?,
                licence: row.get(3)?,
                notice: row.get(4)?,
                rows: row.get::<_, i64>(5)?.unsigned_abs(),
            })
        })?;
        Ok(packages.collect::<Result<_, _>>()?)
    }

    /// Every licence notice, ready to print: the licences oblige whoever shows the data to show these.
    pub fn licences(&self) -> Result<String, ReferenceError> {
        let mut text = String::new();
        for package in self.summary()? {
            let PackageInfo { name, version, licence, notice, .. } = package;
            text.extend([&name, " ", &version, "\n", &licence, "\n\n", notice.trim(), "\n\n"]);
        }
        Ok(text)
    }

    /// The name of a technique such as `T1114.003`.
    pub fn technique_name(&self, id: &str) -> Option<String> {
        self.technique(id).map(|technique| technique.name)
    }

    /// A technique.
    pub fn technique(&self, id: &str) -> Option<Technique> {
        self.one("SELECT name, tactics FROM technique WHERE id = ?1", params![id], |row| {
            let tactics: String = row.get(1)?;
            let tactics = tactics.split(',').filter(|tactic| !tactic.is_empty()).map(str::to_owned).collect();
            Ok(Technique { id: id.to_owned(), name: row.get(0)?, tactics })
        })
    }

    /// Who is known by this name, whatever its case; sorted.
    pub fn known_as(&self, name: &str) -> Vec<KnownName> {
        let find = || -> rusqlite::Result<Vec<KnownName>> {
            let connection = lock(&self.connection);
            let mut statement = connection
                .prepare_cached("SELECT kind, canonical FROM known_name WHERE alias = ?1 ORDER BY kind, canonical")?;
            let names = statement
                .query_map([name.to_lowercase()], |row| Ok(KnownName { kind: row.get(0)?, name: row.get(1)? }))?;
            names.collect()
        };
        find().unwrap_or_else(|error| {
            self.note_failure(&error);
            Vec::new()
        })
    }

    /// Whether a domain, or a domain above it, stands on a list such as `disposable-email` or `dynamic-dns`.
    pub fn is_listed(&self, list: &str, domain: &str) -> bool {
        let domain = domain.trim_matches('.').to_lowercase();
        let mut rest = Some(domain.as_str());
        while let Some(name) = rest {
            if self.one("SELECT 1 FROM word WHERE list = ?1 AND word = ?2", params![list, name], |_| Ok(())).is_some() {
                return true;
            }
            rest = name.split_once('.').map(|(_, above)| above);
        }
        false
    }

    /// Look-ups that failed since it was opened, because the file is damaged. They answered "unknown".
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    fn one<T>(
        &self,
        sql: &str,
        parameters: &[&dyn rusqlite::ToSql],
        read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Option<T> {
        let connection = lock(&self.connection);
        let found =
            connection.prepare_cached(sql).and_then(|mut statement| statement.query_row(parameters, read).optional());
        found.unwrap_or_else(|error| {
            self.note_failure(&error);
            None
        })
    }

    fn note_failure(&self, error: &rusqlite::Error) {
        if self.failures.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(%error, "reference data is damaged; its answers are missing");
        }
    }

    fn is_in_network(&self, kind: &str, ip: Ip) -> bool {
        let sql = "SELECT last FROM network WHERE kind = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1";
        self.one(sql, params![kind, ip.0], |row| row.get::<_, [u8; 16]>(0)).is_some_and(|last| ip.0 <= last)
    }

    fn look_up(&self, ip: Ip) -> AddressFacts {
        if ip.is_internal() {
            return AddressFacts::default();
        }
        let asn = self
            .one(
                "SELECT last, number, name FROM asn LEFT JOIN as_name USING (number) \
                 WHERE first <= ?1 ORDER BY first DESC LIMIT 1",
                params![ip.0],
                |row| Ok((row.get::<_, [u8; 16]>(0)?, row.get::<_, u32>(1)?, row.get::<_, Option<String>>(2)?)),
            )
            .filter(|(last, ..)| ip.0 <= *last);
        let country = self
            .one("SELECT last, code FROM country WHERE first <= ?1 ORDER BY first DESC LIMIT 1", params![ip.0], |row| {
                Ok((row.get::<_, [u8; 16]>(0)?, row.get::<_, String>(1)?))
            })
            .filter(|(last, _)| ip.0 <= *last);
        let number = asn.as_ref().map(|(_, number, _)| *number);
        let of = |known: &[u32]| number.is_some_and(|number| known.contains(&number));
        let microsoft =
            is_exchange_backend(ip) || of(&MICROSOFT_ASNS) || self.is_in_network(build::NETWORK_MICROSOFT, ip);
        let relay = of(&RELAY_ASNS) || self.is_in_network(build::NETWORK_RELAY, ip);
        AddressFacts {
            asn: number,
            as_name: asn.and_then(|(.., name)| name),
            country: country.map(|(_, code)| code),
            // The lists of data centres contain Microsoft's and the relays' own: those are told apart here.
            hosting: !microsoft && !relay && self.is_in_network(build::NETWORK_HOSTING, ip),
            microsoft,
            relay,
        }
    }
}

impl AddressBook for Reference {
    fn facts(&self, ip: Ip) -> AddressFacts {
        if let Some(facts) = lock(&self.cache).get(ip) {
            return facts;
        }
        let facts = self.look_up(ip);
        lock(&self.cache).put(ip, facts.clone());
        facts
    }
}

/// A poisoned lock means that another thread panicked while it only read: what it guards is still whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Replaces the addresses of one part ([`Part::Asn`] or [`Part::Country`]) by a file of the user: CSV or MMDB.
pub fn import(out: &Path, part: Part, file: &Path) -> Result<Added, ReferenceError> {
    let mut builder = ReferenceBuilder::replace(out, part)?;
    let added = builder.add_addresses(part, file)?;
    let name = file.file_name().map_or_else(|| "file".to_owned(), |name| name.to_string_lossy().into_owned());
    builder.add_package(
        part,
        &PackageInfo {
            name: format!("{name} (imported)"),
            version: String::new(),
            date: added.date.clone(),
            licence: "as its owner says".to_owned(),
            notice: String::new(),
            rows: added.rows,
        },
    )?;
    builder.finish()?;
    Ok(added)
}

#[cfg(test)]
mod tests;
