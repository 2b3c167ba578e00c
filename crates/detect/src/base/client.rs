//! Which program a user agent stands for.

use std::cell::RefCell;
use std::collections::HashMap;

/// A user agent, reduced to what a person would recognise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Client {
    /// Family: `Chrome`, `Outlook`, `python-requests`.
    pub family: String,
    /// Operating system: `Windows`, `macOS`, `iOS`, `Android`, `Linux`, or empty.
    pub system: &'static str,
    /// A scripting or attack tool that no person reads mail with.
    pub is_tool: bool,
}

impl Client {
    /// `family/system`, or only the family.
    pub fn name(&self) -> String {
        if self.system.is_empty() { self.family.clone() } else { format!("{}/{}", self.family, self.system) }
    }

    /// A web browser: half the world has the same, so that knowing it proves little.
    pub fn is_browser(&self) -> bool {
        matches!(self.family.as_str(), "Edge" | "Opera" | "Firefox" | "Chrome" | "Safari" | "Internet Explorer")
    }
}

/// Marks of tools, lower case, with the name to show. Scripting libraries are here because mail is not read with them.
const TOOLS: &[(&str, &str)] = &[
    ("python-requests", "python-requests"),
    ("python/", "Python"),
    ("aiohttp", "aiohttp"),
    ("axios", "axios"),
    ("node-fetch", "node-fetch"),
    ("undici", "undici"),
    ("fasthttp", "fasthttp"),
    ("go-http-client", "Go-http-client"),
    ("okhttp", "okhttp"),
    ("curl/", "curl"),
    ("wget/", "wget"),
    ("postmanruntime", "Postman"),
    ("bav2ropc", "BAV2ROPC"),
    ("cbainprod", "CBAInPROD"),
    ("azurehound", "AzureHound"),
    ("bloodhound", "BloodHound"),
    ("aadinternals", "AADInternals"),
    ("roadtools", "ROADtools"),
    ("teamfiltration", "TeamFiltration"),
    ("rclone", "rclone"),
    ("windowspowershell", "PowerShell"),
    ("powershell/", "PowerShell"),
    ("libwww-perl", "libwww-perl"),
    ("java/", "Java"),
    ("headlesschrome", "HeadlessChrome"),
];

/// Marks of programs that people use, most telling first.
const PROGRAMS: &[(&str, &str)] = &[
    ("outlook-ios", "Outlook mobile"),
    ("outlook-android", "Outlook mobile"),
    ("microsoft outlook", "Outlook"),
    ("msexchangerpc", "Outlook"),
    ("microsoft office", "Office"),
    ("activesync", "ActiveSync"),
    ("thunderbird", "Thunderbird"),
    ("teams", "Teams"),
    ("onedrive", "OneDrive"),
    ("edg/", "Edge"),
    ("edge/", "Edge"),
    ("edga/", "Edge"),
    ("edgios/", "Edge"),
    ("opr/", "Opera"),
    ("firefox/", "Firefox"),
    ("fxios/", "Firefox"),
    ("crios/", "Chrome"),
    ("chrome/", "Chrome"),
    ("safari/", "Safari"),
    ("trident/", "Internet Explorer"),
    ("msie", "Internet Explorer"),
];

const SYSTEMS: &[(&str, &str)] = &[
    ("iphone", "iOS"),
    ("ipad", "iOS"),
    ("ios", "iOS"),
    ("android", "Android"),
    ("windows", "Windows"),
    ("mac os", "macOS"),
    ("macintosh", "macOS"),
    ("cros", "ChromeOS"),
    ("linux", "Linux"),
];

/// User agents remembered by [`client`]: an organisation has a few hundred, evidence repeats them a million times.
const REMEMBERED_MAX: usize = 4_096;

thread_local! {
    static REMEMBERED: RefCell<HashMap<String, Client>> = RefCell::default();
}

/// Reads a user agent or client description. What was read lately is remembered; the answer is the same.
pub fn client(user_agent: &str) -> Client {
    REMEMBERED.with_borrow_mut(|remembered| {
        if let Some(client) = remembered.get(user_agent) {
            return client.clone();
        }
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        let client = read(user_agent);
        remembered.insert(user_agent.to_owned(), client.clone());
        client
    })
}

fn read(user_agent: &str) -> Client {
    let lower = user_agent.to_lowercase();
    let system = SYSTEMS.iter().find(|(mark, _)| lower.contains(mark)).map_or("", |(_, name)| name);
    if let Some((_, name)) = TOOLS.iter().find(|(mark, _)| lower.contains(mark)) {
        return Client { family: (*name).to_owned(), system, is_tool: true };
    }
    let family = PROGRAMS.iter().find(|(mark, _)| lower.contains(mark)).map_or_else(
        || lower.split(['/', ' ', ';']).next().unwrap_or_default().chars().take(40).collect(),
        |(_, name)| (*name).to_owned(),
    );
    Client { family, system, is_tool: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_do_not_matter() {
        let one = client(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/104.0.0.0 Safari/537.36",
        );
        let two = client(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
        );
        assert_eq!(one, two);
        assert_eq!(one.name(), "Chrome/Windows");
    }

    #[test]
    fn tools_are_known() {
        assert!(client("python-requests/2.28.2").is_tool);
        assert!(client("Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.19041.3031").is_tool);
        assert!(!client("Client=OWA;Mozilla/5.0 (Macintosh) Safari/605").is_tool);
    }
}
