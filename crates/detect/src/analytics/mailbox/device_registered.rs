//! A device registered or joined after a break-in (MBX-035): its token outlives the new password.

use std::collections::BTreeMap;

use matagi_model::tables::IamView;
use matagi_model::{
    Analytic, AnalyticMeta, Context, Entity, EntityKind, EventBatch, Evidence, Finding, Fold, Parameter, Reason,
    ReasonText, Role, Scan, Severity, Stage, Table, Text, Time,
};

use crate::base::{CHANGE_COLUMNS, around_entry, by_actor, is_service_side, suspected, suspicion};

/// The analytic.
pub struct DeviceRegistered;

static META: AnalyticMeta = AnalyticMeta {
    id: "mailbox/device-registered",
    catalogue: &["MBX-035"],
    title: Text::new("Device {device} was registered for {user}", "{user} に端末 {device} が登録された"),
    question: Text::new(
        "Whose account got a new device after a suspicious sign-in?",
        "不審なサインインの後に、誰のアカウントに新しい端末が登録されたか。",
    ),
    stage: Stage::Persistence,
    attack: &["T1098.005"],
    scans: &[Scan { table: Table::Iam, columns: CHANGE_COLUMNS, partition_by: &[] }],
    parameters: &[
        Parameter { name: "after_hours", default: 24.0, reason: "the catalogue: within the day of the break-in" },
        Parameter { name: "devices_min", default: 3.0, reason: "nobody unpacks three devices in a quarter of an hour" },
        Parameter { name: "window_minutes", default: 15.0, reason: "the catalogue's window for several devices" },
    ],
    reasons: &[
        ReasonText::new("many", "{count} devices within {minutes} minutes", "{minutes} 分以内に {count} 台"),
        ReasonText::new(
            "tool-default",
            "the system version {version} is the default of a known attack tool",
            "OS バージョン {version} は既知の攻撃ツールの既定値です",
        ),
    ],
};

/// The version of Windows that ROADtools gives its devices unless told otherwise.
const TOOL_VERSION: &str = "10.0.19041.928";
/// Users with devices; beyond it further ones are left out.
const USERS_MAX: usize = 100_000;

impl Analytic for DeviceRegistered {
    fn meta(&self) -> &'static AnalyticMeta {
        &META
    }

    fn start(&self, context: &Context) -> Box<dyn Fold> {
        let parameter = |name| META.parameter(name, &context.settings);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small documented parameters")]
        let limits = Limits {
            after_us: (parameter("after_hours") * 3.6e9) as i64,
            window_us: (parameter("window_minutes") * 60e6) as i64,
            devices_min: parameter("devices_min") as usize,
        };
        Box::new(Devices { context: context.clone(), limits, owners: BTreeMap::new() })
    }
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    after_us: i64,
    window_us: i64,
    devices_min: usize,
}

/// The devices of one user on one day: registration is told by several records.
struct Owner {
    finding: Finding,
    severity: Severity,
    /// Devices with the time of their first record.
    devices: BTreeMap<String, Time>,
}

struct Devices {
    context: Context,
    limits: Limits,
    owners: BTreeMap<(String, i32), Owner>,
}

impl Fold for Devices {
    fn batch(&mut self, batch: &EventBatch) {
        let row = IamView::new(batch);
        for index in 0..batch.rows() {
            let operation = row.api_operation.get(index).unwrap_or_default().to_lowercase();
            let is_registration = matches!(
                operation.as_str(),
                "add device" | "register device" | "add registered owner to device" | "add registered users to device"
            );
            if !is_registration || row.status_id.get(index) == Some(2) {
                continue;
            }
            let Some(user) = owner(&row, index) else { continue };
            let key = (user.clone(), row.time.get(index).day());
            if self.owners.len() < USERS_MAX || self.owners.contains_key(&key) {
                self.register(&row, index, &user, key);
            }
        }
    }

    fn finish(self: Box<Self>) -> Vec<Finding> {
        let limits = self.limits;
        self.owners.into_values().filter_map(|owner| owner.judge(limits)).collect()
    }
}

/// Whose device: the person who registered it, else the person whom the service made its owner.
fn owner(row: &IamView<'_>, index: usize) -> Option<String> {
    let actor = row
        .user_name
        .get(index)
        .filter(|name| name.contains('@') && !is_service_side(Some(name), row.user_type.get(index)));
    let named = row.own.entity_name.get(index).filter(|name| name.contains('@'));
    actor.or(named).map(str::to_lowercase)
}

impl Devices {
    fn register(&mut self, row: &IamView<'_>, index: usize, user: &str, key: (String, i32)) {
        let time = row.time.get(index);
        let said: String = [row.own.parameters.get(index), row.own.modified.get(index)].into_iter().flatten().collect();
        let device = row.own.entity_name.get(index).filter(|name| !name.contains('@'));
        let device = device.or_else(|| row.own.entity_uid.get(index)).unwrap_or("-").to_owned();
        let evidence = Evidence::of(Table::Iam, row, index, &device);
        let by_suspect = suspicion(row, index, &self.context);
        let entry = self.context.suspects.near(user, time, self.limits.after_us, Time::HOUR_US);
        let owner = self.owners.entry(key);
        let owner = match owner {
            std::collections::btree_map::Entry::Occupied(known) => {
                let known = known.into_mut();
                known.finding = known.finding.clone().proved_by(evidence);
                known
            }
            std::collections::btree_map::Entry::Vacant(place) => {
                let finding = Finding::new(&META, Severity::Informational, evidence)
                    .titled("user", user)
                    .titled("device", &device)
                    .about(Entity::user(user), Role::Victim);
                place.insert(Owner { finding, severity: Severity::Informational, devices: BTreeMap::new() })
            }
        };
        owner.devices.entry(device.clone()).or_insert(time);
        owner.finding =
            by_actor(owner.finding.clone(), row, index).about(Entity::new(EntityKind::Device, device), Role::Target);
        if said.contains(TOOL_VERSION) {
            owner.add(Severity::High, Reason::new("tool-default", 4.0, [("version", TOOL_VERSION.to_owned())]));
        }
        if let Some(suspicion) = by_suspect {
            owner.add(Severity::Critical, suspected(suspicion));
        } else if let Some(entry) = entry {
            owner.add(Severity::Critical, around_entry(entry, time));
        }
    }
}

impl Owner {
    /// Adds a reason once.
    fn add(&mut self, severity: Severity, reason: Reason) {
        self.severity = self.severity.max(severity);
        if !self.finding.reasons.iter().any(|known| known.code == reason.code) {
            self.finding = self.finding.clone().because(reason);
        }
    }

    fn judge(mut self, limits: Limits) -> Option<Finding> {
        let mut times: Vec<Time> = self.devices.values().copied().collect();
        times.sort_unstable();
        let burst = times.windows(limits.devices_min.max(1)).any(|window| {
            window.last().zip(window.first()).is_some_and(|(last, first)| last.since_us(*first) <= limits.window_us)
        });
        if burst && limits.devices_min > 1 {
            let minutes = limits.window_us / Time::MINUTE_US;
            let args = [("count", times.len().to_string()), ("minutes", minutes.to_string())];
            self.add(Severity::High, Reason::new("many", 3.0, args));
        }
        // An ordinary new device is everyday life.
        self.finding.severity = self.severity;
        (self.severity > Severity::Informational).then_some(self.finding)
    }
}

#[cfg(test)]
mod tests {
    use matagi_model::tables::IamOwn;

    use super::*;
    use crate::testing::{Row, THIEF, break_in, change, follow, office_days};

    fn registered(offset: i64, ip: &str, device: &str, version: &str) -> Row {
        let own = IamOwn {
            entity_name: Some(device.into()),
            modified: Some(serde_json::json!({"CloudDeviceOSVersion": {"old": "", "new": version}}).to_string()),
            ..IamOwn::default()
        };
        change(offset, "anna@c.example", ip, "Register device", own)
    }

    fn evidence(registrations: Vec<Row>) -> Vec<Row> {
        let mut rows = office_days("anna@c.example", "192.0.2.1", 0..14);
        rows.push(break_in(11 * Time::DAY_US, "anna@c.example"));
        rows.extend(registrations);
        rows
    }

    #[test]
    fn a_device_within_the_day_of_the_break_in_is_critical() {
        let row = registered(11 * Time::DAY_US + Time::HOUR_US, THIEF, "DESKTOP-A1", "10.0.22631.1");
        let found = follow(&DeviceRegistered, evidence(vec![row]));
        assert_eq!((found.len(), found[0].severity), (1, Severity::Critical));
        assert_eq!(found[0].title_args["device"], "DESKTOP-A1");
    }

    #[test]
    fn a_new_phone_in_quiet_times_is_nothing_but_a_tools_default_and_three_at_once_are() {
        let quiet = 3 * Time::DAY_US + 9 * Time::HOUR_US;
        assert!(follow(&DeviceRegistered, evidence(vec![registered(quiet, "192.0.2.1", "iPhone", "18.1")])).is_empty());
        let tool = follow(&DeviceRegistered, evidence(vec![registered(quiet, "192.0.2.1", "DESKTOP-X", TOOL_VERSION)]));
        assert_eq!(tool[0].severity, Severity::High);
        let three = (0..3).map(|n| registered(quiet + n * Time::MINUTE_US, "192.0.2.1", &format!("PC-{n}"), "10"));
        let many = follow(&DeviceRegistered, evidence(three.collect()));
        assert_eq!((many.len(), many[0].severity, many[0].evidence_count), (1, Severity::High, 3));
    }
}
