//! Builders for tests: rows in, findings out, no database.

use std::net::IpAddr;
use std::sync::Arc;

use matagi_model::tables::{Auth, AuthBuilder, AuthOwn, Common, Iam, IamBuilder, IamOwn, Saas, SaasBuilder, SaasOwn};
use matagi_model::{AddressBook, AddressFacts, Analytic, Context, EventBatch, Finding, Ip, Settings, Table, Time, Uid};

use crate::base;

/// 2024-10-04T00:00:00Z, so that small offsets are known times.
pub(crate) const START_US: i64 = 20_000 * Time::DAY_US;

/// A row of any table.
pub(crate) enum Row {
    Auth(Auth),
    Iam(Iam),
    Saas(Saas),
}

pub(crate) fn common(offset_us: i64, user: &str, ip: &str, operation: &str) -> Common {
    Common {
        time: Time(START_US + offset_us),
        event_uid: Uid::of(&[&offset_us.to_le_bytes(), user.as_bytes(), ip.as_bytes(), operation.as_bytes()]),
        api_operation: Some(operation.to_owned()),
        user_name: Some(user.to_owned()),
        src_ip: ip.parse::<IpAddr>().ok().map(Ip::from),
        status_id: 1,
        source_path: Some("test".to_owned()),
        source_record: 1,
        ..Common::default()
    }
}

/// A sign-in with an error code, by Chrome on Windows.
pub(crate) fn sign_in(offset_us: i64, user: &str, ip: &str, code: &str) -> Row {
    let ok = code == "0";
    let operation = if ok { "UserLoggedIn" } else { "UserLoginFailed" };
    Row::Auth(Auth {
        common: Common {
            status_code: Some(code.to_owned()),
            status_id: if ok { 1 } else { 2 },
            user_agent: Some("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/126.0.0.0 Safari/537.36".to_owned()),
            ..common(offset_us, user, ip, operation)
        },
        own: AuthOwn::default(),
        raw: None,
    })
}

/// A change with its parameters as JSON.
pub(crate) fn change(offset_us: i64, user: &str, ip: &str, operation: &str, own: IamOwn) -> Row {
    Row::Iam(Iam { common: common(offset_us, user, ip, operation), own, raw: None })
}

/// A use of a service.
pub(crate) fn usage(offset_us: i64, user: &str, ip: &str, operation: &str, own: SaasOwn) -> Row {
    Row::Saas(Saas { common: common(offset_us, user, ip, operation), own, raw: None })
}

/// The rows as batches, by table, in order of time.
pub(crate) fn batches(rows: Vec<Row>) -> Vec<EventBatch> {
    let (mut auth, mut iam, mut saas) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        match row {
            Row::Auth(row) => auth.push(row),
            Row::Iam(row) => iam.push(row),
            Row::Saas(row) => saas.push(row),
        }
    }
    auth.sort_by_key(|row| row.common.time);
    iam.sort_by_key(|row| row.common.time);
    saas.sort_by_key(|row| row.common.time);
    let (mut auths, mut iams, mut saass) = (AuthBuilder::default(), IamBuilder::default(), SaasBuilder::default());
    for row in auth {
        auths.push(row);
    }
    for row in iam {
        iams.push(row);
    }
    for row in saas {
        saass.push(row);
    }
    vec![auths.finish(), iams.finish(), saass.finish()]
}

/// Knows one hosting provider, AS64666 in 203.0.113.0/24, as reference data would.
pub(crate) struct OneHoster;

impl AddressBook for OneHoster {
    fn facts(&self, ip: Ip) -> AddressFacts {
        if ip.place() != Ip::from(IpAddr::from([203, 0, 113, 0])) {
            return AddressFacts::default();
        }
        let as_name = Some("Hoster".to_owned());
        AddressFacts {
            asn: Some(64_666),
            as_name,
            country: Some("NL".to_owned()),
            hosting: true,
            ..AddressFacts::default()
        }
    }
}

/// What the evidence teaches, for a test.
pub(crate) fn learnt(batches: &[EventBatch]) -> Context {
    learnt_with(batches, Arc::new(matagi_model::NoAddressBook))
}

fn learnt_with(batches: &[EventBatch], addresses: Arc<dyn AddressBook>) -> Context {
    let settings = Settings { domains: vec!["c.example".to_owned()], ..Settings::default() };
    let mut learner = base::Learner::new(addresses.as_ref());
    for batch in batches {
        learner.batch(batch);
    }
    let estate = Arc::new(learner.finish(&settings));
    Context { estate, settings: Arc::new(settings), addresses, ..Context::default() }
}

/// Runs one analytic over rows, habits learnt from the same rows.
pub(crate) fn run(analytic: &dyn Analytic, rows: Vec<Row>) -> Vec<Finding> {
    let batches = batches(rows);
    pass(analytic, &batches, &learnt(&batches))
}

/// As [`run`], with [`OneHoster`] as reference data.
pub(crate) fn run_hosted(analytic: &dyn Analytic, rows: Vec<Row>) -> Vec<Finding> {
    let batches = batches(rows);
    let context = learnt_with(&batches, Arc::new(OneHoster));
    pass(analytic, &batches, &context)
}

/// One pass; the findings must not depend on how the rows are cut into batches.
fn pass(analytic: &dyn Analytic, batches: &[EventBatch], context: &Context) -> Vec<Finding> {
    let found = folded(analytic, batches, context);
    let single =
        |batch: &EventBatch, row: usize| EventBatch { table: batch.table, columns: batch.columns.slice(row, 1) };
    let cut: Vec<EventBatch> =
        batches.iter().flat_map(|batch| (0..batch.rows()).map(|row| single(batch, row))).collect();
    assert_eq!(folded(analytic, &cut, context), found, "one row a batch gives other findings");
    found
}

fn folded(analytic: &dyn Analytic, batches: &[EventBatch], context: &Context) -> Vec<Finding> {
    let mut fold = analytic.start(context);
    for table in Table::ALL {
        if analytic.meta().scans.iter().any(|scan| scan.table == table) {
            batches.iter().filter(|batch| batch.table == table).for_each(|batch| fold.batch(batch));
        }
    }
    fold.finish()
}

/// Runs one analytic of the second pass: those of the first have run over the same rows.
pub(crate) fn follow(analytic: &dyn Analytic, rows: Vec<Row>) -> Vec<Finding> {
    let batches = batches(rows);
    let mut context = learnt(&batches);
    let first: Vec<Finding> = crate::ALL.iter().flat_map(|first| pass(*first, &batches, &context)).collect();
    context.suspects = Arc::new(base::suspects(&first, &context));
    pass(analytic, &batches, &context)
}

/// Somebody else signs in: from Romania, with a script, in session `stolen`.
pub(crate) fn break_in(offset_us: i64, user: &str) -> Row {
    let Row::Auth(mut row) = sign_in(offset_us, user, THIEF, "0") else { unreachable!("a sign-in is a row of auth") };
    row.common.src_country = Some("RO".to_owned());
    row.common.user_agent = Some("python-requests/2.31".to_owned());
    row.common.session_uid = Some("stolen".to_owned());
    Row::Auth(row)
}

/// Where [`break_in`] comes from.
pub(crate) const THIEF: &str = "198.51.100.7";

/// Ordinary days at the office: sign-ins from one address on `days` days, twice a day.
pub(crate) fn office_days(user: &str, ip: &str, days: std::ops::Range<i64>) -> Vec<Row> {
    days.flat_map(|day| [day * Time::DAY_US + 9 * Time::HOUR_US, day * Time::DAY_US + 14 * Time::HOUR_US])
        .map(|offset| sign_in(offset, user, ip, "0"))
        .collect()
}
