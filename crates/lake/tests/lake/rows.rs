//! Deterministic evidence for the tests.

use std::collections::BTreeMap;

use matagi_lake::Lake;
use matagi_model::tables::{Auth, AuthBuilder, Saas, SaasBuilder, SaasOwn};
use matagi_model::{EventBatch, Ip, Scanner, Table, Time, Uid};

/// 2024-03-01T00:00:00Z.
pub const START: Time = Time(1_709_251_200_000_000);

/// The row with this number. Every column depends on it and on nothing else; times jump about over six days.
pub fn saas(number: u64) -> Saas {
    let mut row = Saas {
        own: SaasOwn {
            mailbox: Some(format!("user{}@example.org", number % 7)),
            folders: (0..number % 3).map(|folder| format!("\\Folder {folder}")).collect(),
            message_uids: vec![format!("<{number}@example.org>")],
            item_count: Some(number),
            is_throttled: number.is_multiple_of(2).then_some(number.is_multiple_of(4)),
            ..SaasOwn::default()
        },
        raw: Some(format!("{{\"Id\":{number},\"Text\":\"受信トレイ {number}\"}}")),
        ..Saas::default()
    };
    let hours = i64::try_from(number.wrapping_mul(2_654_435_761) % 144).unwrap();
    row.common.time = if number % 50 == 49 {
        Time::UNKNOWN
    } else {
        START.plus_us(hours * Time::HOUR_US + i64::try_from(number).unwrap())
    };
    row.common.event_uid = Uid::of(&[b"test", &number.to_le_bytes()]);
    row.common.class_uid = 6005;
    row.common.api_operation = Some("MailItemsAccessed".into());
    row.common.user_name = (!number.is_multiple_of(11)).then(|| format!("user{}@example.org", number % 7));
    row.common.src_ip = Some(address(number));
    row.common.source_record = number + 1;
    row
}

/// IPv4 and IPv6 by turns.
pub fn address(number: u64) -> Ip {
    let low = u8::try_from(number % 200).unwrap();
    if number.is_multiple_of(3) {
        Ip::from(std::net::IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(low)]))
    } else {
        Ip::from(std::net::IpAddr::from([192, 0, 2, low]))
    }
}

/// Rows with these numbers as one batch.
pub fn batch(numbers: impl IntoIterator<Item = u64>) -> EventBatch {
    let mut builder = SaasBuilder::default();
    numbers.into_iter().for_each(|number| builder.push(saas(number)));
    builder.finish()
}

/// Sign-ins beside them, in another table.
pub fn sign_ins(numbers: impl IntoIterator<Item = u64>) -> EventBatch {
    let mut builder = AuthBuilder::default();
    for number in numbers {
        let mut row = Auth { common: saas(number).common, raw: Some(number.to_string()), ..Auth::default() };
        row.common.event_uid = Uid::of(&[b"sign-in", &number.to_le_bytes()]);
        builder.push(row);
    }
    builder.finish()
}

/// Reads batches as one input and finishes.
pub fn ingest(lake: &Lake, path: &str, batches: Vec<EventBatch>) -> matagi_lake::SourceSummary {
    let mut ingest = lake.ingest().unwrap();
    ingest.begin(path, Some("test")).unwrap();
    for batch in batches {
        ingest.append(batch).unwrap();
    }
    let summary = ingest.end("complete", None).unwrap();
    ingest.finish().unwrap();
    summary
}

/// Every row of the table `saas` by its number, read back through a scan; checks order on the way.
pub fn contents(lake: &Lake) -> BTreeMap<u64, Saas> {
    let columns: Vec<&str> = ALL.to_vec();
    let mut rows = BTreeMap::new();
    let mut last = (Time(i64::MIN), Uid::default());
    lake.scan(Table::Saas, &columns, &mut |batch| {
        let view = matagi_model::tables::SaasView::new(batch);
        for row in 0..batch.rows() {
            let here = (view.time.get(row), view.event_uid.get(row));
            assert!(last < here, "in order of time and identity, each once");
            last = here;
            let read = read(&view, row);
            rows.insert(read.own.item_count.unwrap(), read);
        }
        Ok(())
    })
    .unwrap();
    rows
}

const ALL: [&str; 14] = [
    "time",
    "event_uid",
    "class_uid",
    "api_operation",
    "user_name",
    "src_ip",
    "source_path",
    "source_record",
    "mailbox",
    "folders",
    "message_uids",
    "item_count",
    "is_throttled",
    "raw",
];

fn read(view: &matagi_model::tables::SaasView<'_>, row: usize) -> Saas {
    let text = |value: Option<&str>| value.map(str::to_owned);
    let mut saas = Saas {
        own: SaasOwn {
            mailbox: text(view.own.mailbox.get(row)),
            folders: view.own.folders.get(row),
            message_uids: view.own.message_uids.get(row),
            item_count: view.own.item_count.get(row),
            is_throttled: view.own.is_throttled.get(row),
            ..SaasOwn::default()
        },
        raw: text(view.raw.get(row)),
        ..Saas::default()
    };
    saas.common.time = view.time.get(row);
    saas.common.event_uid = view.event_uid.get(row);
    saas.common.class_uid = view.class_uid.get(row).unwrap();
    saas.common.api_operation = text(view.api_operation.get(row));
    saas.common.user_name = text(view.user_name.get(row));
    saas.common.src_ip = view.src_ip.get(row);
    saas.common.source_path = text(view.source_path.get(row));
    saas.common.source_record = view.source_record.get(row).unwrap();
    saas
}

/// Whether the lake holds exactly these rows, each as it went in.
pub fn assert_holds(lake: &Lake, numbers: impl IntoIterator<Item = u64>) {
    let mut found = contents(lake);
    for number in numbers {
        let mut row = found.remove(&number).unwrap_or_else(|| panic!("row {number} is missing"));
        assert!(row.common.source_path.take().is_some(), "row {number} knows its file");
        assert_eq!(row, saas(number));
    }
    assert!(found.is_empty(), "rows that nobody wrote: {:?}", found.keys());
}
