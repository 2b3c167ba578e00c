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

impl Workspace {
    /// The repository that this program was built in.
    pub fn find() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask has a parent folder")?;
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
