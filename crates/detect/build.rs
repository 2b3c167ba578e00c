//! Embeds the folder `content/`, so that adding a rule or a hunt touches one file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../../content");
    let mut code = String::new();
    for (name, folder, extension) in
        [("RULES", "rules", "yml"), ("HUNTS", "hunts", "sql"), ("MAPPINGS", "mappings", "toml")]
    {
        let mut files = Vec::new();
        collect(&root.join(folder), extension, &mut files)?;
        files.sort();
        let _ = writeln!(code, "pub static {name}: &[(&str, &str)] = &[");
        for file in files {
            let shown = file.strip_prefix(&root).expect("collected below it").to_string_lossy().replace('\\', "/");
            let whole = fs::canonicalize(&file)?;
            let _ = writeln!(code, "    ({shown:?}, include_str!({:?})),", whole.to_string_lossy());
        }
        code.push_str("];\n");
    }
    fs::write(PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("embedded.rs"), code)
}

/// Files with this extension below `dir`; every folder is watched, so that a new file rebuilds.
fn collect(dir: &Path, extension: &str, files: &mut Vec<PathBuf>) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", dir.display());
    if !dir.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, extension, files)?;
        } else if path.extension().is_some_and(|found| found == extension) {
            println!("cargo::rerun-if-changed={}", path.display());
            files.push(path);
        }
    }
    Ok(())
}
