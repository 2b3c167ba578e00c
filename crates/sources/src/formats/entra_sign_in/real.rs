//! Real exports beside the repository; skipped, loudly, where they are absent.

use std::io::Read;
use std::path::{Path, PathBuf};

use matagi_model::tables::{AuthView, IamView};
use matagi_model::{Source, Table};

use crate::fields::reading::testing::Taken;

/// Largest real file that is read, in bytes.
const BYTES_MAX: u64 = 16 << 20;
/// The formats of this family of exports.
const OURS: [&str; 4] = ["entra-sign-in", "entra-audit", "message-trace", "inbox-rules"];

fn data() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/mailbox");
    if root.is_dir() {
        return Some(root);
    }
    let mut said = std::io::stderr().lock();
    let _unwritable =
        std::io::Write::write_all(&mut said, b"SKIPPED: no ../shared/data/mailbox beside the repository\n");
    None
}

/// Every file, and every member of a zip, with its text.
fn files(root: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for folder in std::fs::read_dir(root).unwrap() {
        for entry in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zip")) {
                let mut archive = zip::ZipArchive::new(std::fs::File::open(&path).unwrap()).unwrap();
                for index in 0..archive.len() {
                    let mut member = archive.by_index(index).unwrap();
                    let name = member.name().unwrap().into_owned();
                    let mut bytes = Vec::new();
                    std::io::copy(&mut (&mut member).take(BYTES_MAX), &mut bytes).unwrap();
                    files.push((name, bytes));
                }
            } else {
                files.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

fn ours(head: &[u8]) -> Option<&'static dyn Source> {
    crate::ALL.iter().copied().find(|source| OURS.contains(&source.meta().name) && source.sniff(head))
}

#[test]
fn real_exports_are_recognised_and_read_whole() {
    let Some(root) = data() else { return };
    let mut found = Vec::new();
    for (name, bytes) in files(&root) {
        let Some(source) = ours(&bytes[..bytes.len().min(64 << 10)]) else { continue };
        let mut taken = Taken::default();
        source.read(&mut bytes.as_slice(), &mut taken).unwrap();
        assert!(taken.rejects.is_empty(), "{name}: {:?}", taken.rejects);
        let rows: usize = taken.batches.iter().map(matagi_model::EventBatch::rows).sum();
        found.push((name, source.meta().name, rows));
        if source.meta().name == "entra-sign-in" {
            sign_ins_are_whole(&taken);
        } else {
            changes_are_whole(&taken);
        }
    }
    let found: Vec<_> = found.iter().map(|(name, format, rows)| (name.as_str(), *format, *rows)).collect();
    assert_eq!(
        found,
        [
            ("AADAuditEvents.json", "entra-audit", 4),
            ("AuditLogs_Hunting.csv", "entra-audit", 5),
            ("disable_accounts.csv", "entra-sign-in", 4),
            ("sign-in_adelete.csv", "entra-sign-in", 56),
        ]
    );
}

fn sign_ins_are_whole(taken: &Taken) {
    let batch = taken.table(Table::Auth);
    let view = AuthView::new(&batch);
    for row in 0..batch.rows() {
        assert!(view.time.get(row).is_known());
        assert_eq!(view.src_ip.get(row).unwrap().to_string(), "175.45.176.99");
        assert!(view.user_name.get(row).unwrap().contains('@'));
        assert_eq!(view.own.logon_kind.get(row), Some("interactive"));
        let is_success = view.status_code.get(row) == Some("0");
        assert_eq!(view.status_id.get(row), Some(if is_success { 1 } else { 2 }));
    }
}

fn changes_are_whole(taken: &Taken) {
    let batch = taken.table(Table::Iam);
    let view = IamView::new(&batch);
    for row in 0..batch.rows() {
        assert!(view.user_name.get(row).unwrap().contains('@'));
        assert!(!view.api_operation.get(row).unwrap().ends_with(' '));
        assert!(view.own.entity_name.get(row).is_some() && view.own.modified.get(row).is_some());
    }
    let credentials = (0..batch.rows())
        .filter(|row| view.api_operation.get(*row) == Some("Update application - Certificates and secrets management"));
    assert!(credentials.count() > 0);
}
