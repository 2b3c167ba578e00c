//! The lake's tables: OCSF 1.8.0 classes as flat typed columns, one table a family of classes.
//!
//! A table is [`Common`] columns plus its own. To add a table, declare it here with `table!` and name it in [`Table`].

use std::ops::Deref;
use std::sync::{Arc, LazyLock};

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{Schema, SchemaRef};
use arrow_select::concat::concat_batches;

use crate::columns::{Cell, ColumnDoc};
use crate::{Ip, Time, Uid, columns};

columns! {
    /// What every event has: when, who, from where, with what, how it ended, and the record that proves it.
    Common / CommonBuilder / CommonView {
        /// When it happened, UTC. 1970-01-01T00:00:00Z stands for "the evidence does not say".
        time: Time,
        /// Identity of the record: the same record read twice has the same one.
        event_uid: Uid,
        /// OCSF class, such as 3002 (Authentication).
        class_uid: u32,
        /// OCSF activity within the class.
        activity_id: u8,
        /// OCSF `status_id`: 0 unknown, 1 success, 2 failure. For sign-ins from the error code, never from ResultStatus.
        status_id: u8,
        /// Error code or result as the product spells it (`50126`, `Success`).
        status_code: Option<String>,
        /// The product's words about the result.
        status_detail: Option<String>,
        /// What was done, trimmed, dashes folded to `-`, no final period: `New-InboxRule`, `UserLoggedIn`, `Consent to application`.
        api_operation: Option<String>,
        /// Product that recorded it: `Exchange`, `AzureActiveDirectory`, `SharePoint`.
        metadata_product_name: Option<String>,
        /// Tenant (organisation) id.
        tenant_uid: Option<String>,
        /// Who did it: user principal name in lower case, or the name of the service or application.
        user_name: Option<String>,
        /// Directory object id of that user, lower case.
        user_uid: Option<String>,
        /// `regular`, `admin`, `system`, `application`, `service_principal`, `guest` or the number as text.
        user_type: Option<String>,
        /// Where it came from.
        src_ip: Option<Ip>,
        /// Country the product itself recorded for it, ISO 3166-1 alpha-2.
        src_country: Option<String>,
        /// City the product itself recorded.
        src_city: Option<String>,
        /// Latitude the product itself recorded, degrees.
        src_latitude: Option<f64>,
        /// Longitude the product itself recorded, degrees.
        src_longitude: Option<f64>,
        /// Autonomous system number the product itself recorded.
        src_asn: Option<u32>,
        /// User agent, or the client description where there is no user agent.
        user_agent: Option<String>,
        /// Session that the product ties events together with (SessionId, AADSessionId).
        session_uid: Option<String>,
        /// Token the request was made with (UniqueTokenId).
        token_uid: Option<String>,
        /// Application id of the client.
        app_uid: Option<String>,
        /// Name of that application.
        app_name: Option<String>,
        /// Correlation or request id shared by the events of one action.
        correlation_uid: Option<String>,
        /// What this row had to do without: `truncated` (recovered from a cut record), `lossy` (nested values lost by the
        /// exporter), `wrapper` (only the wrapper's columns), `time` (time taken from a related field). Null when whole.
        recovered: Option<String>,
        /// File the record was read from; inside an archive `outer.zip!inner.csv`.
        source_path: Option<String>,
        /// Position of the record in that file, from 1.
        source_record: u64,
    }
}

macro_rules! table {
    ($(#[doc = $about:expr])* $row:ident / $builder:ident / $view:ident / $own:ident / $own_builder:ident / $own_view:ident = $variant:ident {
        $($(#[doc = $doc:expr])* $name:ident: $cell:ty,)*
    }) => {
        columns! {
            $(#[doc = $about])*
            $own / $own_builder / $own_view { $($(#[doc = $doc])* $name: $cell,)* }
        }

        $(#[doc = $about])*
        #[derive(Debug, Default, Clone, PartialEq)]
        pub struct $row {
            /// What every event has.
            pub common: Common,
            /// What this table adds.
            pub own: $own,
            /// The record as it was read, re-serialised without white space.
            pub raw: Option<String>,
        }

        /// Collects rows into a batch.
        #[derive(Debug)]
        pub struct $builder {
            common: CommonBuilder,
            own: $own_builder,
            raw: <Option<String> as Cell>::Builder,
            rows: usize,
        }

        impl Default for $builder {
            fn default() -> Self {
                Self { common: CommonBuilder::default(), own: $own_builder::default(), raw: <Option<String> as Cell>::builder(), rows: 0 }
            }
        }

        impl $builder {
            /// Appends one row.
            pub fn push(&mut self, row: $row) {
                self.common.push(row.common);
                self.own.push(row.own);
                row.raw.append(&mut self.raw);
                self.rows += 1;
            }

            /// Rows since the last [`Self::finish`].
            pub fn len(&self) -> usize {
                self.rows
            }

            /// Whether there are none.
            pub fn is_empty(&self) -> bool {
                self.rows == 0
            }

            /// Takes the rows as a batch; the builder is empty again.
            pub fn finish(&mut self) -> EventBatch {
                let mut columns = self.common.finish();
                columns.extend(self.own.finish());
                columns.push(<Option<String> as Cell>::finish(&mut self.raw));
                self.rows = 0;
                EventBatch::new(Table::$variant, columns)
            }
        }

        /// Reads a batch of this table; the common columns are there through `Deref`.
        #[derive(Debug)]
        pub struct $view<'a> {
            common: CommonView<'a>,
            /// The table's own columns.
            pub own: $own_view<'a>,
            /// The record as it was read.
            pub raw: crate::TextColumn<'a>,
        }

        impl<'a> $view<'a> {
            /// Looks at a batch.
            pub fn new(batch: &'a EventBatch) -> Self {
                Self {
                    common: CommonView::new(&batch.columns),
                    own: $own_view::new(&batch.columns),
                    raw: <Option<String> as Cell>::view(batch.columns.column_by_name("raw")),
                }
            }
        }

        impl<'a> Deref for $view<'a> {
            type Target = CommonView<'a>;
            fn deref(&self) -> &Self::Target {
                &self.common
            }
        }
    };
}

table! {
    /// Sign-ins: OCSF Authentication (3002). Interactive, non-interactive, service principals and managed identities.
    Auth / AuthBuilder / AuthView / AuthOwn / AuthOwnBuilder / AuthOwnView = Auth {
        /// `interactive`, `non_interactive`, `service_principal` or `managed_identity`.
        logon_kind: Option<String>,
        /// Resource id that the sign-in was for.
        resource_uid: Option<String>,
        /// Name of that resource.
        resource_name: Option<String>,
        /// Request type of the audit log: `OAuth2:Token`, `Login:login`, `Cmsi:Cmsi`.
        request_type: Option<String>,
        /// Protocol: `deviceCode`, `ropc`, `oAuth2`, `saml20`.
        auth_protocol: Option<String>,
        /// How the session was first transferred: `deviceCodeFlow`, `authenticationTransfer`.
        original_transfer_method: Option<String>,
        /// Client kind: `Browser`, `Mobile Apps and Desktop clients`, `IMAP4`, `Authenticated SMTP`.
        client_app: Option<String>,
        /// Whether a second factor was demanded: `singleFactorAuthentication`, `multiFactorAuthentication`.
        auth_requirement: Option<String>,
        /// Whether a second factor was satisfied.
        is_mfa: Option<bool>,
        /// Conditional Access result: `success`, `failure`, `notApplied`.
        conditional_access: Option<String>,
        /// Device id; absent for a device the directory does not know.
        device_uid: Option<String>,
        /// Device name.
        device_name: Option<String>,
        /// Operating system.
        device_os: Option<String>,
        /// Browser.
        device_browser: Option<String>,
        /// Whether the directory manages the device.
        device_is_managed: Option<bool>,
        /// Risk that Identity Protection saw during sign-in: `none`, `low`, `medium`, `high`.
        risk_level: Option<String>,
        /// Kinds of that risk.
        risk_event_types: Vec<String>,
        /// Service principal name, when an application signed in.
        service_principal_name: Option<String>,
    }
}

table! {
    /// Changes to accounts, permissions, rules and configuration: OCSF Account Change (3001), Entity Management (3004),
    /// User Access Management (3005), Group Management (3006). Inbox rules have `entity_type` `Inbox Rule`, whichever
    /// export they came from, and `parameters` in the spelling of the Exchange cmdlet.
    Iam / IamBuilder / IamView / IamOwn / IamOwnBuilder / IamOwnView = Iam {
        /// What was changed: `User`, `Application`, `ServicePrincipal`, `Role`, `Policy`, `Mailbox`, `Inbox Rule`, `Transport Rule`.
        entity_type: Option<String>,
        /// Name of what was changed: for a mailbox, rule or user its address in lower case where the record has one.
        entity_name: Option<String>,
        /// Id of what was changed.
        entity_uid: Option<String>,
        /// Mailbox concerned, lower case, when the change is about one.
        mailbox: Option<String>,
        /// JSON object of the arguments as text by name: cmdlet parameters, or additional details.
        parameters: Option<String>,
        /// JSON object `{"property":{"old":"...","new":"..."}}` of the modified properties.
        modified: Option<String>,
        /// Application that acted, when it was no person.
        actor_app_name: Option<String>,
        /// Category of the directory audit log: `ApplicationManagement`, `RoleManagement`.
        category: Option<String>,
    }
}

table! {
    /// Use of cloud services: OCSF API Activity (6003), Web Resources Activity (6001), Datastore Activity (6005).
    /// Reading of mail is 6005 with `api_operation` `MailItemsAccessed`.
    Saas / SaasBuilder / SaasView / SaasOwn / SaasOwnBuilder / SaasOwnView = Saas {
        /// Mailbox that was touched, lower case.
        mailbox: Option<String>,
        /// ClientInfoString as recorded.
        client_info: Option<String>,
        /// Application that acts on behalf of `app_uid` (ClientAppId).
        client_app_uid: Option<String>,
        /// `Owner`, `Admin`, `Delegated`.
        logon_type: Option<String>,
        /// `Bind` (single messages) or `Sync` (whole folders).
        access_type: Option<String>,
        /// The service stopped recording single messages for 24 h.
        is_throttled: Option<bool>,
        /// Folders touched, as paths.
        folders: Vec<String>,
        /// InternetMessageId of every message touched.
        message_uids: Vec<String>,
        /// Messages touched as the record counts them.
        item_count: Option<u64>,
        /// Subject of the item.
        subject: Option<String>,
        /// File, site or object, as a path or URL.
        object_name: Option<String>,
        /// Mailbox in whose name mail was sent.
        send_as: Option<String>,
        /// Search terms, link targets and similar details: JSON object of text.
        details: Option<String>,
    }
}

table! {
    /// Messages as the transport saw them: OCSF Email Activity (4009), one row a recipient.
    Email / EmailBuilder / EmailView / EmailOwn / EmailOwnBuilder / EmailOwnView = Email {
        /// Message-ID with its angle brackets: joins with `message_uids` of the mail that was read.
        message_uid: Option<String>,
        /// Network message id, the transport's own.
        network_message_uid: Option<String>,
        /// Envelope or header sender, lower case.
        email_from: Option<String>,
        /// Recipient, lower case.
        email_to: Option<String>,
        /// Subject.
        email_subject: Option<String>,
        /// Size, bytes.
        email_size: Option<u64>,
        /// 0 unknown, 1 inbound, 2 outbound, 3 internal.
        direction_id: Option<u8>,
        /// Delivery status: `Delivered`, `Failed`, `FilteredAsSpam`.
        delivery_status: Option<String>,
        /// Address that the message was delivered to.
        dst_ip: Option<Ip>,
    }
}

/// A table of the lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Sign-ins.
    Auth,
    /// Changes of accounts, permissions, rules, configuration.
    Iam,
    /// Use of cloud services.
    Saas,
    /// Messages as the transport saw them.
    Email,
}

struct Layout {
    name: &'static str,
    about: &'static str,
    docs: fn() -> Vec<ColumnDoc>,
    schema: LazyLock<SchemaRef>,
}

macro_rules! layout {
    ($name:literal, $own:ident, $about:literal) => {
        Layout {
            name: $name,
            about: $about,
            docs: || all_docs($own::docs()),
            schema: LazyLock::new(|| schema_of(&all_docs($own::docs()))),
        }
    };
}

static LAYOUTS: [Layout; 4] = [
    layout!("auth", AuthOwn, "Sign-ins (OCSF 3002)"),
    layout!("iam", IamOwn, "Changes to accounts, permissions, rules and configuration (OCSF 3001, 3004, 3005, 3006)"),
    layout!("saas", SaasOwn, "Use of cloud services (OCSF 6001, 6003, 6005)"),
    layout!("email", EmailOwn, "Messages as the transport saw them (OCSF 4009)"),
];

fn all_docs(own: Vec<ColumnDoc>) -> Vec<ColumnDoc> {
    let mut docs = Common::docs();
    docs.extend(own);
    docs.push(ColumnDoc {
        name: "raw",
        data_type: <Option<String> as Cell>::data_type(),
        nullable: true,
        about: "The record as it was read, re-serialised without white space.",
    });
    docs
}

fn schema_of(docs: &[ColumnDoc]) -> SchemaRef {
    Arc::new(Schema::new(docs.iter().map(ColumnDoc::field).collect::<Vec<_>>()))
}

impl Table {
    /// All, in the order in which folds see them.
    pub const ALL: [Self; 4] = [Self::Auth, Self::Iam, Self::Saas, Self::Email];

    /// Name in the lake and in SQL.
    pub fn name(self) -> &'static str {
        LAYOUTS[self as usize].name
    }

    /// What it holds, in one line.
    pub fn about(self) -> &'static str {
        LAYOUTS[self as usize].about
    }

    /// What each column means, in order.
    pub fn docs(self) -> Vec<ColumnDoc> {
        (LAYOUTS[self as usize].docs)()
    }

    /// Arrow schema of a whole batch.
    pub fn schema(self) -> SchemaRef {
        SchemaRef::clone(&LAYOUTS[self as usize].schema)
    }

    /// The table of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }
}

/// Rows of one table. Whole when a source made it, only the wanted columns when a scan did.
#[derive(Debug, Clone, PartialEq)]
pub struct EventBatch {
    /// Which table the rows belong to.
    pub table: Table,
    /// The columns.
    pub columns: RecordBatch,
}

impl EventBatch {
    fn new(table: Table, columns: Vec<ArrayRef>) -> Self {
        let columns =
            RecordBatch::try_new(table.schema(), columns).expect("the builder and the schema are one declaration");
        Self { table, columns }
    }

    /// Rows in this batch.
    pub fn rows(&self) -> usize {
        self.columns.num_rows()
    }

    /// The columns that every table has.
    pub fn common(&self) -> CommonView<'_> {
        CommonView::new(&self.columns)
    }

    /// This batch with every row marked as read from `path`.
    #[must_use]
    pub fn read_from(self, path: &str) -> Self {
        let Some((index, _)) = self.columns.schema().column_with_name("source_path") else { return self };
        let mut builder = <Option<String> as Cell>::builder().with_deduplicate_strings();
        (0..self.rows()).for_each(|_| builder.append_value(path));
        let mut columns = self.columns.columns().to_vec();
        columns[index] = Arc::new(builder.finish());
        let columns = RecordBatch::try_new(self.columns.schema(), columns).expect("same length and type as before");
        Self { table: self.table, columns }
    }

    /// Several batches of one table as one.
    ///
    /// # Panics
    /// If the batches do not have one schema.
    pub fn concat(table: Table, batches: &[Self]) -> Self {
        let schema = batches.first().map_or_else(|| table.schema(), |first| first.columns.schema());
        let columns = concat_batches(&schema, batches.iter().map(|batch| &batch.columns))
            .expect("batches of one table have one schema");
        Self { table, columns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_went_in() {
        let mut builder = SaasBuilder::default();
        let ip = Ip::from(std::net::IpAddr::from([192, 0, 2, 1]));
        builder.push(Saas {
            common: Common {
                time: Time(5),
                user_name: Some("anna@example.org".into()),
                src_ip: Some(ip),
                ..Common::default()
            },
            own: SaasOwn {
                message_uids: vec!["<a@b>".into(), "<c@d>".into()],
                is_throttled: Some(false),
                ..SaasOwn::default()
            },
            raw: Some("{}".into()),
        });
        builder.push(Saas::default());
        let batch = builder.finish().read_from("in.csv");
        let view = SaasView::new(&batch);
        assert_eq!(view.time.get(0), Time(5));
        assert_eq!(view.user_name.get(0), Some("anna@example.org"));
        assert_eq!(view.src_ip.get(0), Some(ip));
        assert_eq!(view.own.message_uids.get(0), ["<a@b>", "<c@d>"]);
        assert_eq!(view.own.is_throttled.get(0), Some(false));
        assert_eq!((view.user_name.get(1), view.src_ip.get(1)), (None, None));
        assert!(view.own.message_uids.get(1).is_empty());
        assert_eq!(view.source_path.get(1), Some("in.csv"));
        assert!(builder.is_empty());
    }

    #[test]
    fn a_projection_reads_absent_columns_as_null() {
        let mut builder = AuthBuilder::default();
        builder.push(Auth { common: Common { user_name: Some("a@b".into()), ..Common::default() }, ..Auth::default() });
        let whole = builder.finish();
        let batch = EventBatch { table: Table::Auth, columns: whole.columns.project(&[0]).unwrap() };
        assert_eq!(batch.common().user_name.get(0), None);
    }

    #[test]
    fn every_column_is_documented_and_unique() {
        for table in Table::ALL {
            let docs = table.docs();
            let names: std::collections::BTreeSet<_> = docs.iter().map(|doc| doc.name).collect();
            assert_eq!(names.len(), docs.len(), "{}", table.name());
            assert!(docs.iter().all(|doc| !doc.about.is_empty()), "{}", table.name());
            assert_eq!(Table::named(table.name()), Some(table));
        }
    }
}
