//! What single acts leave: sign-ins, cmdlets, changes of the directory.

use crate::company::Person;
use crate::dice::Guid;
use crate::event::{Cmdlet, Directory, Protocol, Second, SignIn, What};
use crate::habits::about;
use crate::pieces::Id;
use crate::world::{App, EXCHANGE, EXCHANGE_ADMIN};

/// A sign-in through a page, successful unless `error` says otherwise.
pub(super) const fn page(app: &'static App, resource: &'static App, error: u32, is_mfa: bool) -> What {
    let protocol = Protocol::Page;
    let second = if is_mfa { Second::Claim } else { Second::Unasked };
    What::SignIn(SignIn { is_interactive: true, app, resource, error, protocol, second, is_audited: true })
}

/// A token renewed without asking anybody.
pub(super) const fn renewal(app: &'static App, resource: &'static App) -> What {
    background(app, resource, Protocol::Token)
}

/// A token got without asking anybody, in this way.
pub(super) const fn background(app: &'static App, resource: &'static App, protocol: Protocol) -> What {
    let second = Second::Unasked;
    What::SignIn(SignIn { is_interactive: false, app, resource, error: 0, protocol, second, is_audited: true })
}

/// A sign-in through a page that asks the phone.
pub(super) const fn push(app: &'static App, resource: &'static App, second: Second) -> What {
    let (error, protocol) = (if matches!(second, Second::Approved) { 0 } else { 500_121 }, Protocol::Page);
    What::SignIn(SignIn { is_interactive: true, app, resource, error, protocol, second, is_audited: true })
}

/// A cmdlet of the administration of mailboxes.
pub(super) fn cmdlet(operation: &'static str, object: &str, parameters: Vec<(&'static str, String)>) -> What {
    let cmdlet = Cmdlet { operation, object: object.to_owned(), parameters, app: &EXCHANGE_ADMIN };
    What::Cmdlet(Box::new(cmdlet))
}

/// What the directory records when a user adds an authenticator app on this phone.
pub(super) fn method_added(person: &Person, phone: &str, device: Guid) -> [Directory; 2] {
    let registered = Directory {
        service: "Authentication Methods",
        reason: "User registered Authenticator App with Notification and Code",
        ..about(person, "User registered security info", "UserManagement", Vec::new())
    };
    let detail = format!(
        r#"[{{"DeviceName":"{phone}","DeviceToken":"apns2-{}","DeviceTag":"SoftwareTokenActivated","PhoneAppVersion":"6.8.14","OathTokenTimeDrift":0,"DeviceId":"{}","AuthenticationType":3,"NotificationType":2}}]"#,
        Id(device ^ 0x99).text(),
        Id(device).text(),
    );
    let methods = |list: &str| format!("[{list}]");
    let before = r#"{"MethodType":6,"Default":true}"#;
    let modified = vec![
        (
            "StrongAuthenticationMethod",
            methods(before),
            methods(&format!(r#"{before},{{"MethodType":7,"Default":false}}"#)),
        ),
        ("StrongAuthenticationPhoneAppDetail", "[]".to_owned(), detail),
        (
            "Included Updated Properties",
            String::new(),
            "StrongAuthenticationMethod, StrongAuthenticationPhoneAppDetail".to_owned(),
        ),
    ];
    [registered, about(person, "Update user", "UserManagement", modified)]
}

/// A machine that joins the directory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Machine {
    /// Its id.
    pub(super) id: Guid,
    /// Its name.
    pub(super) name: &'static str,
    /// Operating system and version.
    pub(super) os: [&'static str; 2],
}

/// What the directory records when a user registers a machine.
pub(super) fn device_added(person: &Person, machine: &Machine) -> [Directory; 2] {
    let listed = |value: &str| format!("[\"{value}\"]");
    let new = |name, value: &str| (name, "[]".to_owned(), listed(value));
    let [os, version] = machine.os;
    let added = Directory {
        operation: "Add device",
        category: "Device",
        service: "Core Directory",
        target_type: "Device",
        target_id: machine.id,
        target_name: machine.name.to_owned(),
        target_key: Id(machine.id).text(),
        reason: "",
        modified: vec![
            ("AccountEnabled", "[]".to_owned(), "[true]".to_owned()),
            new("CloudDeviceOSType", os),
            new("CloudDeviceOSVersion", version),
            new("CloudDisplayName", machine.name),
            new("DeviceTrustType", "Workplace"),
            (
                "Included Updated Properties",
                String::new(),
                "AccountEnabled, CloudDeviceOSType, CloudDeviceOSVersion, CloudDisplayName, DeviceTrustType".to_owned(),
            ),
        ],
    };
    let owner = vec![
        ("Device.ObjectID", String::new(), Id(machine.id).text()),
        ("Device.DisplayName", String::new(), machine.name.to_owned()),
        ("Device.DeviceOSType", String::new(), os.to_owned()),
        ("Device.DeviceTrustType", String::new(), "Workplace".to_owned()),
    ];
    [added, about(person, "Add registered owner to device", "Device", owner)]
}

/// `New-InboxRule`.
pub(super) fn new_rule(user: &str, name: &str, mut parameters: Vec<(&'static str, String)>) -> What {
    parameters.insert(0, ("AlwaysDeleteOutlookRulesBlob", "False".to_owned()));
    parameters.insert(1, ("Force", "False".to_owned()));
    parameters.insert(2, ("Name", name.to_owned()));
    let object = format!("{user}\\{name}");
    What::Cmdlet(Box::new(Cmdlet { operation: "New-InboxRule", object, parameters, app: &EXCHANGE }))
}

/// What the directory records when a user consents to an application.
pub(super) fn consent(user: Guid, app: Guid, object: Guid, name: &str, scopes: &str) -> [Directory; 3] {
    let change = |operation, modified| Directory {
        operation,
        category: "ApplicationManagement",
        service: "Core Directory",
        target_type: "ServicePrincipal",
        target_id: object,
        target_name: name.to_owned(),
        target_key: Id(app).text(),
        reason: "",
        modified,
    };
    let text = |value: &str| value.to_owned();
    let (principal, client) = (Id(user).text(), Id(object).text());
    let resource = Id(user ^ 0x0003_0003).text();
    let grant = format!(
        "[] => [[Id: {}, ClientId: {client}, PrincipalId: {principal}, ResourceId: {resource}, ConsentType: Principal, Scope:  {scopes}, CreatedDateTime: , LastModifiedDateTime ]]; ",
        Id(object ^ user).text(),
    );
    [
        change(
            "Add service principal",
            vec![
                ("AccountEnabled", text("[]"), text("[true]")),
                ("AppPrincipalId", text("[]"), format!("[\"{}\"]", Id(app).text())),
                ("DisplayName", text("[]"), format!("[\"{name}\"]")),
            ],
        ),
        change(
            "Add delegated permission grant",
            vec![
                ("DelegatedPermissionGrant.Scope", String::new(), format!(" {scopes}")),
                ("DelegatedPermissionGrant.ConsentType", String::new(), text("Principal")),
                ("ServicePrincipal.ObjectID", String::new(), client.clone()),
            ],
        ),
        change(
            "Consent to application",
            vec![
                ("ConsentContext.IsAdminConsent", String::new(), text("False")),
                ("ConsentContext.IsAppOnly", String::new(), text("False")),
                ("ConsentContext.OnBehalfOfAll", String::new(), text("False")),
                ("ConsentContext.Tags", String::new(), text("WindowsAzureActiveDirectoryIntegratedApp")),
                ("ConsentAction.Permissions", String::new(), grant),
                ("TargetId.ServicePrincipalNames", String::new(), Id(app).text()),
            ],
        ),
    ]
}
