//! The page in a real browser, when one is installed; says loudly when it is not.

#![allow(clippy::unwrap_used, reason = "helpers of tests panic like tests")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{MADE, at, hunt, hunt_with, record};
use matagi_model::{Finding, Severity, Stage, Table};
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
        std::fs::write(folder.join(format!("report-busy-{lang}.html")), html::page(&busy(lang), lang, MADE)).unwrap();
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
            // An empty picture of this size is far smaller than this.
            assert!(bytes > 50_000, "{lang} {scheme}: {bytes} bytes; {log}");
        }
    }
}

/// An incident of six stages over a month, with hundreds of records: the picture must stay readable.
fn busy(lang: &str) -> matagi_report::HuntDocument {
    hunt_with(lang, |findings, incidents, _| {
        let mut number = 10_000;
        for (index, stage) in Stage::ALL.into_iter().enumerate() {
            for severity in Severity::ALL {
                let mut more = || {
                    number += 1;
                    let minutes = i64::try_from(number * 7_919 % 43_200).unwrap() + 60;
                    record(Table::Saas, at(minutes), number, "Update · someone@aozora.example · 203.0.113.9")
                };
                let mut finding = findings[index % findings.len()].clone();
                let mut first = more();
                first.fact = format!("First of {severity} {}", stage.word());
                finding.analytic = format!("test/{}-{severity}", stage.word());
                finding.stage = stage;
                finding.severity = severity;
                finding = (0..12).fold(finding, |finding, _| Finding::proved_by(finding, more()));
                finding = finding.proved_by(first);
                findings.push(finding);
            }
        }
        incidents[0].findings = findings.iter().map(Finding::id).collect();
    })
}
