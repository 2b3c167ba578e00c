//! The repository as the chores see it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// The repository.
pub struct Workspace {
    /// Its folder.
    pub root: PathBuf,
}

/// Whether a file's name ends in one of these extensions, given without the dot.
pub fn has_extension(file: &str, extensions: &[&str]) -> bool {
    let extension = Path::new(file).extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| extensions.contains(&extension))
}

/// Whether a folder holds the workspace of this program: `fuzz` is a workspace too, but has no chores.
fn is_root(folder: &Path) -> bool {
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
    let is_workspace = toml::from_str::<toml::Table>(&manifest).is_ok_and(|table| table.contains_key("workspace"));
    is_workspace && folder.join("xtask/Cargo.toml").is_file()
}

impl Workspace {
    /// The repository that the current folder is in. The one that this program was built in may be another checkout.
    pub fn find() -> Result<Self> {
        Self::around(&std::env::current_dir().context("cannot tell the current folder")?)
    }

    fn around(folder: &Path) -> Result<Self> {
        let root = folder.ancestors().find(|folder| is_root(folder));
        let root = root.with_context(|| format!("{} is not inside a checkout of matagi", folder.display()))?;
        Ok(Self { root: root.to_owned() })
    }

    /// Every file that belongs to the repository, sorted, with its path relative to the root: tracked or about to be.
    pub fn files(&self) -> Result<Vec<String>> {
        let listed = self.output("git", &["ls-files", "--cached", "--others", "--exclude-standard"])?;
        let mut files: Vec<String> =
            listed.lines().filter(|line| self.root.join(line).is_file()).map(str::to_owned).collect();
        files.sort();
        files.dedup();
        Ok(files)
    }

    /// The texts of the files that `wanted` accepts; what is not UTF-8 is left out.
    pub fn texts(&self, wanted: impl Fn(&str) -> bool) -> Result<BTreeMap<String, String>> {
        let files = self.files()?.into_iter().filter(|file| wanted(file));
        Ok(files.filter_map(|file| Some((file.clone(), self.read(&file).ok()?))).collect())
    }

    /// One file.
    pub fn read(&self, file: &str) -> Result<String> {
        std::fs::read_to_string(self.root.join(file)).with_context(|| format!("cannot read {file}"))
    }

    /// What a program prints.
    pub fn output(&self, program: &str, args: &[&str]) -> Result<String> {
        let output = Command::new(program)
            .args(args)
            .current_dir(&self.root)
            .output()
            .with_context(|| format!("cannot run {program}"))?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "`{program} {}` failed: {}", args.join(" "), complaint.trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs a program that talks to the user itself.
    pub fn run(&self, program: &str, args: &[&str]) -> Result<()> {
        let status = Command::new(program)
            .args(args)
            .current_dir(&self.root)
            .status()
            .with_context(|| format!("cannot run {program}"))?;
        anyhow::ensure!(status.success(), "`{program} {}` failed ({status})", args.join(" "));
        Ok(())
    }

    /// What `cargo metadata` says, with every dependency of every platform.
    pub fn metadata(&self) -> Result<serde_json::Value> {
        let text = self.output("cargo", &["metadata", "--format-version", "1", "--locked"])?;
        serde_json::from_str(&text).context("cargo metadata prints JSON")
    }

    /// The program `matagi` of the profile `fast`, built now if need be.
    ///
    /// Always with `--workspace`: another selection of packages has other features, and builds the engine once more.
    pub fn matagi(&self) -> Result<PathBuf> {
        crate::say("building matagi (profile fast); the first time takes many minutes");
        self.run("cargo", &["build", "--workspace", "--bins", "--profile", "fast"])?;
        let metadata = self.metadata()?;
        let target = metadata["target_directory"].as_str().context("cargo metadata names the target folder")?;
        Ok(Path::new(target).join("fast").join(format!("matagi{}", std::env::consts::EXE_SUFFIX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(file: &Path, text: &str) {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    #[test]
    fn the_checkout_around_a_folder_is_taken() {
        let outer = tempfile::tempdir().unwrap();
        let inner = outer.path().join("copies/second");
        for root in [outer.path(), &inner] {
            write(&root.join("Cargo.toml"), "[workspace]\nmembers = [\"xtask\"]\n");
            write(&root.join("xtask/Cargo.toml"), "[package]\nname = \"xtask\"\n");
            write(&root.join("fuzz/Cargo.toml"), "[package]\nname = \"fuzz\"\n[workspace]\n");
        }
        let root = |folder: &Path| Workspace::around(folder).unwrap().root;
        assert_eq!(root(outer.path()), outer.path());
        assert_eq!(root(&outer.path().join("copies")), outer.path());
        assert_eq!(root(&inner.join("fuzz")), inner);
        assert_eq!(root(&inner.join("xtask")), inner);
    }

    #[test]
    fn outside_of_a_checkout_there_is_none() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("Cargo.toml"), "[workspace]\n");
        let error = Workspace::around(folder.path()).err().unwrap().to_string();
        assert!(error.contains("is not inside a checkout"), "{error}");
    }
}
