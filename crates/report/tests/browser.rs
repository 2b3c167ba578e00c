//! The page in a real browser, when one is installed; says loudly when it is not.

#![allow(clippy::unwrap_used, reason = "helpers of tests panic like tests")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{MADE, hunt};
use matagi_report::html;

fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name))).find(|file| file.is_file())
}

fn run(browser: &Path, arguments: &[&str], page: &Path) -> std::process::Output {
    let profile = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser-profile");
    Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(arguments)
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap()
}

/// Pictures are left in the target folder, so that a human can look at them too.
#[test]
fn the_page_draws_and_its_style_is_allowed_by_its_own_policy() {
    let Some(browser) = browser() else {
        eprintln!("SKIPPED: no Chromium on this machine, so the page was not drawn");
        return;
    };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for lang in ["en", "ja"] {
        let page = folder.join(format!("report-{lang}.html"));
        std::fs::write(&page, html::page(&hunt(lang), lang, MADE)).unwrap();
        for scheme in ["light", "dark"] {
            let picture = folder.join(format!("report-{lang}-{scheme}.png"));
            let _ = std::fs::remove_file(&picture);
            let dark = if scheme == "dark" {
                "--blink-settings=preferredColorScheme=0"
            } else {
                "--blink-settings=preferredColorScheme=1"
            };
            let screenshot = format!("--screenshot={}", picture.display());
            let output =
                run(&browser, &[dark, "--enable-logging=stderr", "--window-size=1180,4200", &screenshot], &page);
            let log = String::from_utf8_lossy(&output.stderr);
            assert!(!log.contains("Content Security Policy") && !log.contains("Refused to"), "{log}");
            let bytes = std::fs::metadata(&picture).map(|file| file.len()).unwrap_or_default();
            // An unstyled page of this size is far smaller than this.
            assert!(bytes > 50_000, "{lang} {scheme}: {bytes} bytes; {log}");
        }
    }
}
