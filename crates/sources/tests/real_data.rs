//! Real exports, where they lie beside the workspace.

mod collect;

use std::path::PathBuf;

use collect::Collect;
use matagi_model::tables::{AuthView, IamView, SaasView};
use matagi_model::{Table, Time};
use matagi_sources::inputs::{Options, Outcome, read_paths};

/// The folder of real mailbox evidence, or `None` with a loud word.
fn data() -> Option<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/mailbox"));
    if folder.is_dir() {
        return Some(folder);
    }
    let message = "SKIPPED: no real data beside the workspace (../shared/data/mailbox): real exports were NOT read\n";
    // Captured output is shown only for failures; this must be seen.
    std::io::Write::write_all(&mut std::io::stderr(), message.as_bytes()).expect("standard error is there");
    None
}

fn read(path: PathBuf) -> Collect {
    let mut collect = Collect::default();
    read_paths(&[path], &Options::default(), &(), &mut collect).expect("nothing stops the reading");
    collect
}

#[test]
fn every_sample_of_techniques_is_read_whole() {
    let Some(folder) = data() else { return };
    let collect = read(folder.join("det-eng-samples"));
    let mut rows = 0;
    for input in &collect.inputs {
        if input.path.ends_with("LICENSE") {
            assert!(matches!(input.outcome, Outcome::Unrecognised { .. }), "{input:?}");
            continue;
        }
        assert_eq!((input.format, &input.outcome), (Some("m365-audit"), &Outcome::Read), "{input:?}");
        assert_eq!(input.rejects, [], "{}", input.path);
        assert!(input.rows > 0, "{}", input.path);
        rows += input.rows;
    }
    assert_eq!(collect.inputs.len(), 40);
    assert_eq!(rows, 125);
    for batch in &collect.batches {
        let view = batch.common();
        for row in 0..batch.rows() {
            assert!(view.time.get(row) > Time(1_600_000_000_000_000), "{:?}", view.api_operation.get(row));
            assert!(view.user_name.get(row).is_some());
            assert_eq!(view.recovered.get(row), None);
        }
    }
}

#[test]
fn golden_saml_shows_the_mail_that_was_read() {
    let Some(folder) = data() else { return };
    let collect = read(folder.join("goldensaml/OfficeActivityEvents.Zip"));
    let [input] = collect.inputs.as_slice() else { panic!("{:?}", collect.inputs) };
    assert!(input.path.ends_with("OfficeActivityEvents.Zip!OfficeActivityEvents.json"), "{}", input.path);
    assert_eq!((input.format, input.rows, input.rejects.len()), (Some("m365-audit"), 1, 0));
    let view = SaasView::new(&collect.batches[0]);
    assert_eq!(view.user_name.get(0), Some("pgustavo@simulandlabs.com"));
    assert_eq!(view.own.mailbox.get(0), Some("pgustavo@simulandlabs.com"));
    assert_eq!(view.own.access_type.get(0), Some("Bind"));
    // Seven messages are named, two of them by one id.
    assert_eq!(view.own.message_uids.get(0).len(), 6);
    assert_eq!(view.own.folders.get(0), ["\\Inbox"]);
    assert_eq!(view.src_ip.get(0).map(|ip| ip.to_string()).as_deref(), Some("1.2.3.4"));
    assert_eq!(view.own.client_app_uid.get(0), Some("5a95e683-08ad-424e-a441-1d1aec52c02c"));
    assert_eq!(view.time.get(0).to_string(), "2021-08-02T13:32:07Z");
}

#[test]
fn log_analytics_tables_are_read_whole() {
    let Some(folder) = data() else { return };
    let collect = read(folder.join("sentinel-training-lab/office_activity.csv"));
    let [input] = collect.inputs.as_slice() else { panic!("{:?}", collect.inputs) };
    assert_eq!((input.format, input.rows, &input.outcome), (Some("m365-audit"), 266, &Outcome::Read));
    assert_eq!(input.rejects, []);
    let tables: std::collections::BTreeSet<Table> = collect.batches.iter().map(|batch| batch.table).collect();
    assert_eq!(tables.into_iter().collect::<Vec<_>>(), [Table::Iam, Table::Saas]);

    let collect = read(folder.join("sentinel-training-lab/office_activity_inbox_rule.csv"));
    let view = IamView::new(&collect.batches[0]);
    assert_eq!(collect.inputs[0].rejects, []);
    assert_eq!(view.own.entity_type.get(0), Some("Inbox Rule"));
    assert_eq!(view.own.entity_name.get(0), Some("rule2"));
    assert_eq!(view.own.mailbox.get(0), Some("adelev@contoso.onmicrosoft.com"));
    assert_eq!(view.recovered.get(0), Some("time"), "the column with the time of the event was removed");
    assert_eq!(view.time.get(0).to_string(), "2021-04-26T07:17:10Z");
}

#[test]
fn sign_ins_of_a_password_spray_fail() {
    let Some(folder) = data() else { return };
    let collect = read(folder.join("det-eng-samples/t1110.003_msolspray-powershell.json"));
    let view = AuthView::new(&collect.batches[0]);
    let mut failed = 0;
    for row in 0..collect.batches[0].rows() {
        let is_let_in = view.api_operation.get(row) == Some("UserLoggedIn");
        assert_eq!(view.status_id.get(row), Some(if is_let_in { 1 } else { 2 }));
        failed += usize::from(view.status_code.get(row) == Some("50126"));
        assert!(view.src_ip.get(row).is_some());
        assert!(view.user_agent.get(row).is_some());
    }
    assert_eq!((failed, collect.batches[0].rows()), (10, 11));
}
