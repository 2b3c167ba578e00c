//! Where people sit and what they use: networks, clients and applications.
//!
//! The ranges belong to the operators named, so that a look-up agrees with what the sign-in log says; no address
//! stands for a real customer.

use std::net::Ipv4Addr;

use crate::dice::{Dice, Guid};

/// A network that people or actors come from.
#[derive(Debug)]
pub(crate) struct Network {
    /// Autonomous system number.
    pub(crate) asn: u32,
    /// First address.
    pub(crate) base: [u8; 4],
    /// Addresses in use.
    pub(crate) size: u32,
    /// ISO 3166-1 alpha-2.
    pub(crate) country: &'static str,
    /// Region.
    pub(crate) state: &'static str,
    /// City.
    pub(crate) city: &'static str,
    /// Latitude, as the log prints it.
    pub(crate) latitude: &'static str,
    /// Longitude, as the log prints it.
    pub(crate) longitude: &'static str,
}

/// `town`: country, region, city, latitude, longitude.
const fn network(asn: u32, base: [u8; 4], size: u32, town: [&'static str; 5]) -> Network {
    let [country, state, city, latitude, longitude] = town;
    Network { asn, base, size, country, state, city, latitude, longitude }
}

/// An address in its network.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// Address.
    pub(crate) ip: Ipv4Addr,
    /// Its network.
    pub(crate) network: &'static Network,
}

impl Network {
    /// The address at this position.
    pub(crate) fn place(&'static self, position: u32) -> Place {
        let base = u32::from(Ipv4Addr::from(self.base));
        Place { ip: Ipv4Addr::from(base + position % self.size), network: self }
    }

    /// Some address.
    pub(crate) fn somewhere(&'static self, dice: &mut Dice) -> Place {
        self.place(u32::try_from(dice.below(u64::from(self.size))).expect("below a u32"))
    }
}

#[rustfmt::skip] // a table
mod tables {
    use super::{Network, network};
    pub(crate) static OFFICE_TOKYO: Network = network(2497, [210, 138, 66, 20], 2, ["JP", "Tokyo", "Chiyoda-Ku", "35.694", "139.7536"]);
    pub(crate) static OFFICE_OSAKA: Network = network(17511, [121, 83, 40, 66], 2, ["JP", "Osaka", "Osaka", "34.6937", "135.5022"]);
    pub(crate) static HOMES_EAST: [Network; 5] = [
        network(4713, [153, 161, 0, 0], 60000, ["JP", "Tokyo", "Setagaya-Ku", "35.6465", "139.6533"]),
        network(17676, [60, 87, 0, 0], 60000, ["JP", "Saitama", "Saitama", "35.8617", "139.6455"]),
        network(2527, [182, 168, 0, 0], 60000, ["JP", "Kanagawa", "Yokohama", "35.4437", "139.638"]),
        network(9824, [125, 9, 0, 0], 60000, ["JP", "Chiba", "Funabashi", "35.6946", "139.9826"]),
        network(2516, [106, 160, 0, 0], 60000, ["JP", "Tokyo", "Nerima-Ku", "35.7356", "139.6517"]),
    ];
    pub(crate) static HOMES_WEST: [Network; 3] = [
        network(17511, [182, 165, 0, 0], 60000, ["JP", "Osaka", "Suita", "34.7593", "135.5168"]),
        network(4713, [180, 46, 0, 0], 60000, ["JP", "Hyogo", "Kobe", "34.6901", "135.1955"]),
        network(17676, [126, 58, 0, 0], 60000, ["JP", "Kyoto", "Kyoto", "35.0116", "135.7681"]),
    ];
    pub(crate) static MOBILE: [Network; 3] = [
        network(9605, [49, 98, 128, 0], 16000, ["JP", "Tokyo", "Tokyo", "35.6895", "139.6917"]),
        network(2516, [106, 146, 0, 0], 60000, ["JP", "Tokyo", "Tokyo", "35.6895", "139.6917"]),
        network(138_384, [133, 106, 32, 0], 16000, ["JP", "Tokyo", "Tokyo", "35.6895", "139.6917"]),
    ];
    pub(crate) static TRIPS: [Network; 3] = [
        network(4657, [101, 127, 16, 0], 4000, ["SG", "Singapore", "Singapore", "1.2897", "103.8501"]),
        network(3462, [61, 216, 8, 0], 4000, ["TW", "Taipei", "Taipei", "25.0478", "121.5319"]),
        network(3320, [93, 192, 64, 0], 4000, ["DE", "Bayern", "Munich", "48.1374", "11.5755"]),
    ];
    /// A security gateway that the company rolls out.
    pub(crate) static GATEWAY: Network = network(53_813, [165, 225, 110, 16], 64, ["JP", "Tokyo", "Tokyo", "35.6895", "139.6917"]);
    /// Clouds that honest services run in.
    pub(crate) static CLOUD: Network = network(16_509, [52, 196, 12, 40], 8, ["JP", "Tokyo", "Tokyo", "35.6895", "139.6917"]);
    /// Exchange Online itself.
    pub(crate) static SERVICE: Network = network(8075, [52, 98, 44, 0], 200, ["JP", "Tokyo", "Tokyo", "35.6895", "139.6917"]);
    /// Homes abroad whose machines actors rent.
    pub(crate) static RENTED_HOMES: [Network; 2] = [
        network(2856, [86, 134, 16, 0], 4000, ["GB", "England", "Leeds", "53.7965", "-1.5478"]),
        network(7922, [73, 158, 32, 0], 4000, ["US", "California", "San Jose", "37.3394", "-121.895"]),
    ];
    /// Hosting that actors rent. Neighbours in the list are in different countries.
    pub(crate) static HOSTING: [Network; 6] = [
        network(14_061, [188, 166, 16, 0], 4000, ["NL", "Noord-Holland", "Amsterdam", "52.374", "4.8897"]),
        network(9009, [146, 70, 20, 0], 1000, ["RO", "Bucuresti", "Bucharest", "44.4323", "26.1063"]),
        network(24_940, [95, 216, 32, 0], 4000, ["FI", "Uusimaa", "Helsinki", "60.1695", "24.9354"]),
        network(53_667, [198, 98, 50, 0], 1000, ["US", "New York", "New York", "40.7143", "-74.006"]),
        network(16_276, [51, 254, 32, 0], 4000, ["FR", "Hauts-De-France", "Roubaix", "50.6942", "3.1746"]),
        network(20_473, [45, 76, 8, 0], 2000, ["US", "Georgia", "Atlanta", "33.749", "-84.388"]),
    ];
}
pub(crate) use tables::{
    CLOUD, GATEWAY, HOMES_EAST, HOMES_WEST, HOSTING, MOBILE, OFFICE_OSAKA, OFFICE_TOKYO, RENTED_HOMES, SERVICE, TRIPS,
};

/// What somebody signs in with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Client {
    /// User agent.
    pub(crate) user_agent: &'static str,
    /// Operating system as the log names it.
    pub(crate) os: &'static str,
    /// Browser as the log names it.
    pub(crate) browser: &'static str,
    /// `BrowserType` of the audit log.
    pub(crate) browser_type: &'static str,
    /// Client kind.
    pub(crate) kind: &'static str,
    /// ClientInfoString of mailbox records.
    pub(crate) info: &'static str,
}

const BROWSER: &str = "Browser";
const NATIVE: &str = "Mobile Apps and Desktop clients";

#[rustfmt::skip] // a table
mod clients {
    use super::{BROWSER, Client, NATIVE};
    pub(crate) static LAPTOPS: [Client; 4] = [
        Client { user_agent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36 Edg/138.0.0.0", os: "Windows10", browser: "Edge 138.0.0", browser_type: "Edge", kind: BROWSER, info: "Client=MSExchangeRPC" },
        Client { user_agent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36", os: "Windows10", browser: "Chrome 138.0.0", browser_type: "Chrome", kind: BROWSER, info: "Client=OWA;Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36;" },
        Client { user_agent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36 Edg/137.0.0.0", os: "Windows10", browser: "Edge 137.0.0", browser_type: "Edge", kind: BROWSER, info: "Client=MSExchangeRPC" },
        Client { user_agent: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15", os: "MacOs", browser: "Safari 18.5", browser_type: "Safari", kind: BROWSER, info: "Client=WebServices;MacOutlook/16.98.25060824 (Intelx64 Mac OS X Version 15.5)" },
    ];
    pub(crate) static PHONES: [Client; 3] = [
        Client { user_agent: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Outlook-iOS/2.0", os: "Ios 18.5", browser: "Mobile Safari", browser_type: "Safari", kind: NATIVE, info: "Client=OutlookService;Outlook-iOS/2.0;" },
        Client { user_agent: "Mozilla/5.0 (Linux; Android 15; SO-53D) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Mobile Safari/537.36 Outlook-Android/2.0", os: "Android 15", browser: "Chrome Mobile 138.0.0", browser_type: "Chrome", kind: NATIVE, info: "Client=OutlookService;Outlook-Android/2.0;" },
        Client { user_agent: "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Outlook-iOS/2.0", os: "Ios 17.6", browser: "Mobile Safari", browser_type: "Safari", kind: NATIVE, info: "Client=OutlookService;Outlook-iOS/2.0;" },
    ];
    /// A script of the company's own.
    pub(crate) static SCRIPT: Client = Client { user_agent: "PowerShell/7.5.1 (Linux; Ubuntu 24.04)", os: "Linux", browser: "Other", browser_type: "Other", kind: NATIVE, info: "Client=REST;;" };
    /// An application that reads through the API.
    pub(crate) static API: Client = Client { user_agent: "", os: "", browser: "", browser_type: "Other", kind: NATIVE, info: "Client=REST;;" };
    /// Exchange signs in for a mail program that speaks IMAP.
    pub(crate) static LEGACY: Client = Client { user_agent: "BAV2ROPC", os: "", browser: "", browser_type: "Other", kind: NATIVE, info: "Client=POP3/IMAP4;Protocol=IMAP4" };
    /// A printer that fetches and sends mail.
    pub(crate) static PRINTER: Client = Client { user_agent: "", os: "", browser: "", browser_type: "Other", kind: NATIVE, info: "Client=POP3/IMAP4;Protocol=IMAP4" };
    /// What sprays passwords.
    pub(crate) static SPRAYER: Client = Client { user_agent: "python-requests/2.32.3", os: "", browser: "Python Requests 2.32", browser_type: "Other", kind: NATIVE, info: "Client=REST;;" };
    /// What relays a phished sign-in.
    pub(crate) static RELAY: Client = Client { user_agent: "axios/1.7.9", os: "", browser: "axios 1.7", browser_type: "Other", kind: BROWSER, info: "Client=OWA;axios/1.7.9;" };
    /// What an actor sits at.
    pub(crate) static ACTORS: [Client; 2] = [
        Client { user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", os: "Linux", browser: "Firefox 128.0", browser_type: "Firefox", kind: BROWSER, info: "Client=OWA;Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0;" },
        Client { user_agent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0", os: "Windows10", browser: "Firefox 128.0", browser_type: "Firefox", kind: BROWSER, info: "Client=OWA;Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0;" },
    ];
}
pub(crate) use clients::{ACTORS, API, LAPTOPS, LEGACY, PHONES, PRINTER, RELAY, SCRIPT, SPRAYER};

/// One machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Device {
    /// What runs on it.
    pub(crate) client: &'static Client,
    /// Its id in the directory, if the directory knows it.
    pub(crate) id: Option<Guid>,
}

/// Somebody at a machine in a place, in a session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seat {
    /// Where.
    pub(crate) place: Place,
    /// With what.
    pub(crate) device: Device,
    /// Session.
    pub(crate) session: Guid,
}

/// An application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct App {
    /// Client id.
    pub(crate) id: Guid,
    /// Name.
    pub(crate) name: &'static str,
}

#[rustfmt::skip] // a table
mod apps {
    use super::App;
    pub(crate) static EXCHANGE: App = App { id: 0x00000002_0000_0ff1_ce00_000000000000, name: "Office 365 Exchange Online" };
    pub(crate) static SHAREPOINT: App = App { id: 0x00000003_0000_0ff1_ce00_000000000000, name: "Office 365 SharePoint Online" };
    pub(crate) static OFFICE_HOME: App = App { id: 0x4765445b_32c6_49b0_83e6_1d93765276ca, name: "OfficeHome" };
    pub(crate) static OUTLOOK: App = App { id: 0xd3590ed6_52b3_4102_aeff_aad2292ab01c, name: "Microsoft Office" };
    pub(crate) static OUTLOOK_MOBILE: App = App { id: 0x27922004_5251_4030_b22d_91ecd9a37ea4, name: "Outlook Mobile" };
    pub(crate) static TEAMS: App = App { id: 0x1fec8e78_bce4_4aaf_ab1b_5451cc387264, name: "Microsoft Teams" };
    pub(crate) static ONEDRIVE: App = App { id: 0xab9b8c07_8f02_4f72_87fa_80105867a763, name: "OneDrive SyncEngine" };
    pub(crate) static PORTAL: App = App { id: 0xc44b4083_3bb0_49c1_b47d_974e53cbdf3c, name: "Azure Portal" };
    pub(crate) static POWERSHELL: App = App { id: 0x1b730954_1685_4b74_9bfd_dac224a7b894, name: "Azure Active Directory PowerShell" };
    pub(crate) static BROKER: App = App { id: 0x29d9ed98_a469_4536_ade2_f981bc1d605e, name: "Microsoft Authentication Broker" };
    pub(crate) static DEVICE_REGISTRATION: App = App { id: 0x01cb2876_7ebd_4aa4_9cc9_d28bd4d359a9, name: "Device Registration Service" };
    pub(crate) static COMMAND_LINE_APP: App = App { id: 0x04b07795_8ddb_461a_bbee_02f9e1bf7b46, name: "Microsoft Azure CLI" };
    pub(crate) static MANAGEMENT: App = App { id: 0x797f4846_ba00_4fd7_ba43_dac1f8f63013, name: "Windows Azure Service Management API" };
    pub(crate) static SECURITY_INFO: App = App { id: 0x19db86c3_b2b9_44cc_b339_36da233a3be2, name: "My Signins" };
    pub(crate) static GRAPH: App = App { id: 0x00000003_0000_0000_c000_000000000000, name: "Microsoft Graph" };
    pub(crate) static DIRECTORY: App = App { id: 0x00000002_0000_0000_c000_000000000000, name: "Windows Azure Active Directory" };
    pub(crate) static EXCHANGE_ADMIN: App = App { id: 0x497effe9_df71_4043_a8bb_14cf78c4b63b, name: "Exchange Admin Center" };
    /// Sales has used it for years.
    pub(crate) static CRM: App = App { id: 0x8d0f6a4e_1c52_4b7e_9a35_6f1e2c70b9d4, name: "Hachimonji CRM" };
    /// Rolled out in these weeks.
    pub(crate) static NOTES: App = App { id: 0x51b7c2d0_94ae_47f3_8c60_d2a9137e5f48, name: "Kaigi Notes" };
}
pub(crate) use apps::{
    BROKER, COMMAND_LINE_APP, CRM, DEVICE_REGISTRATION, DIRECTORY, EXCHANGE, EXCHANGE_ADMIN, GRAPH, MANAGEMENT, NOTES,
    OFFICE_HOME, ONEDRIVE, OUTLOOK, OUTLOOK_MOBILE, PORTAL, POWERSHELL, SECURITY_INFO, SHAREPOINT, TEAMS,
};
