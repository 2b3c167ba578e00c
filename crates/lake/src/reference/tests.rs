//! The whole way: packages in a folder, the file, look-ups.

use std::fs;
use std::net::IpAddr;
use std::sync::atomic::AtomicBool;

use matagi_model::Progress;
use tempfile::TempDir;

use super::*;

fn ip(text: &str) -> Ip {
    Ip::from(text.parse::<IpAddr>().unwrap())
}

/// 48 /24 networks of 198.18.0.0/15 (benchmarking) with a gap after each, one wide network with one inside, and two of IPv6.
fn asn_csv() -> (String, String) {
    let line =
        |n: u32| format!("198.18.{at}.0,198.18.{at}.255,{asn},\"Net {n}, Inc.\"\n", at = n * 2, asn = 64_500 + n);
    let mut v4: String = (0..48).map(line).collect::<Vec<_>>().concat();
    v4.push_str("203.0.113.0,203.0.113.255,64600,Wide\n203.0.113.64,203.0.113.127,64601,Narrow\n");
    (v4, "2001:db8::,2001:db8:0:ffff:ffff:ffff:ffff:ffff,64700,Six\n2a09:bac5::,2a09:bac5:ffff:ffff:ffff:ffff:ffff:ffff,13335,Relay\n".into())
}

fn write(dir: &Path, path: &str, content: impl AsRef<[u8]>) {
    let path = dir.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn packages() -> TempDir {
    let dir = TempDir::new().unwrap();
    let (v4, v6) = asn_csv();
    let at = dir.path();
    write(at, "asn/package/package.json", r#"{"name":"@ip-location-db/asn","version":"2.3.2026061719","license":"x"}"#);
    write(at, "asn/package/DBIP-LICENSE", "attribution is needed");
    write(at, "asn/package/asn-ipv4.csv", v4);
    write(at, "asn/package/asn-ipv6.csv", v6);
    write(at, "asn/package/asn-ipv4-num.csv", "1,2,3,the same data again, which must not be read\n");
    write(at, "country/package/package.json", r#"{"name":"countries","version":"1.0","license":"CC0-1.0"}"#);
    write(at, "country/package/small-country.mmdb", mmdb());
    write(
        at,
        "lists/p-1.0.dist-info/METADATA",
        "Name: p\nVersion: 1.0\nLicense-Expression: BSD-3-Clause\n\nName: not this\n",
    );
    let lists = [
        (
            "vpn-ipv4",
            r#"{"version":20251223,"list":["198.18.2.0/24","203.0.113.0/25","203.0.113.64","not a network"]}"#,
        ),
        ("microsoft-office365-ip", r#"{"version":"20251101","list":["203.0.113.100/32"]}"#),
        ("zscaler", r#"{"list":["203.0.113.120/29"]}"#),
        ("dynamic-dns", r#"{"list":[".Dyn.Example", "home.test"]}"#),
        ("rfc1918", r#"{"list":["10.0.0.0/8"]}"#),
    ];
    for (name, list) in lists {
        write(at, &format!("lists/p/data/misp/lists/{name}/list.json"), list);
    }
    write(
        at,
        "names/g/data/clusters/threat-actor.json",
        r#"{"values":[{"value":"APT1","meta":{"synonyms":["Comment Crew"]}},{"value":"Nameless"},{"value":" "}]}"#,
    );
    write(at, "names/g/data/clusters/sector.json", r#"{"values":[{"value":"Banks"}]}"#);
    write(
        at,
        "attack/a/data/attack-patterns-lookup-v18.1.json",
        r#"{"_metadata":{"extracted_at":"2026-02-16T23:04:32Z"},"attack_patterns":[
            {"external_id":"T1114","name":"Email Collection","tactics":["collection"]},
            {"external_id":"T1114.003","name":"Email Forwarding Rule","tactics":["collection","exfiltration"]},
            {"external_id":"T1","name":"Old","revoked":true}]}"#,
    );
    write(at, "other/readme.txt", "not a package that we know");
    dir
}

fn built(packages: &TempDir) -> (PathBuf, Reference, Vec<PackageInfo>) {
    let out = packages.path().join("out/reference.db");
    let summary = build_from(packages.path(), &out, &()).unwrap();
    let reference = Reference::open(&out).unwrap().unwrap();
    (out, reference, summary)
}

/// A small MMDB, written from the format's description: 198.18.0.0/15 is JP, 203.0.113.0/24 is SE, the rest is nothing.
fn mmdb() -> Vec<u8> {
    let text = |text: &str| [&[0x40 | u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let record = |code: &str| [vec![0xe1], text("country_code"), text(code)].concat();
    let data = [record("JP"), record("SE")].concat();
    let (japan, sweden) = (0_u32, u32::try_from(record("JP").len()).unwrap());
    let mut tree: Vec<[Option<(bool, u32)>; 2]> = vec![[None, None]];
    for (network, bits, offset) in [([198, 18, 0, 0], 15, japan), ([203, 0, 113, 0], 24, sweden)] {
        let address = u32::from_be_bytes(network);
        let mut node = 0;
        for bit in 0..bits {
            let side = (address >> (31 - bit) & 1) as usize;
            if bit + 1 == bits {
                tree[node][side] = Some((true, offset));
            } else if let Some((_, next)) = tree[node][side] {
                node = next as usize;
            } else {
                tree.push([None, None]);
                let next = tree.len() - 1;
                tree[node][side] = Some((false, u32::try_from(next).unwrap()));
                node = next;
            }
        }
    }
    let count = u32::try_from(tree.len()).unwrap();
    let mut file = Vec::new();
    for side in tree.iter().flatten() {
        let value = match side {
            None => count,
            Some((true, offset)) => count + 16 + offset,
            Some((false, node)) => *node,
        };
        file.extend(&value.to_be_bytes()[1..]);
    }
    file.extend([0; 16]);
    file.extend(data);
    file.extend(b"\xab\xcd\xefMaxMind.com");
    file.push(0xe9);
    // node_count is a uint32 (0xc0), the other numbers are uint16 (0xa0), each in two bytes.
    let numbers = [
        ("binary_format_major_version", 0xa2, 2),
        ("binary_format_minor_version", 0xa2, 0),
        ("ip_version", 0xa2, 4),
        ("record_size", 0xa2, 24),
        ("node_count", 0xc2, u16::try_from(count).unwrap()),
    ];
    for (key, kind, value) in numbers {
        file.extend(text_long(key));
        file.push(kind);
        file.extend(value.to_be_bytes());
    }
    file.extend([text("description"), vec![0xe0], text("languages"), vec![0x00, 0x04]].concat());
    file.extend(text("database_type"));
    file.extend(text("Test"));
    file.extend(text("build_epoch"));
    // uint64 is an extended type (9 = 7 + 2): 4 bytes for 2026-01-02.
    file.extend([0x04, 0x02]);
    file.extend(1_767_312_000_u32.to_be_bytes());
    file
}

/// A text of up to 284 bytes in the data format of MMDB.
fn text_long(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    let head = if length < 29 { vec![0x40 | length] } else { vec![0x5d, length - 29] };
    [head, text.as_bytes().to_vec()].concat()
}

#[test]
fn absent_data_is_said_not_fatal() {
    let dir = TempDir::new().unwrap();
    assert!(Reference::open(&dir.path().join("reference.db")).unwrap().is_none());
}

#[test]
fn addresses_are_found_with_their_network() {
    let packages = packages();
    let (_, reference, _) = built(&packages);
    for n in 0..48 {
        let facts = reference.facts(ip(&format!("198.18.{}.255", n * 2)));
        assert_eq!(facts.asn, Some(64_500 + n));
        assert_eq!(facts.as_name, Some(format!("Net {n}, Inc.")));
        assert_eq!(facts.country.as_deref(), Some("JP"));
        assert_eq!(reference.facts(ip(&format!("198.18.{}.0", n * 2 + 1))).asn, None, "a gap belongs to nobody");
    }
    assert_eq!(reference.facts(ip("203.0.113.63")).asn, Some(64_600));
    assert_eq!(reference.facts(ip("203.0.113.64")).asn, Some(64_601), "the narrower network speaks");
    assert_eq!(reference.facts(ip("203.0.113.128")).asn, Some(64_600));
    assert_eq!(reference.facts(ip("203.0.113.1")).country.as_deref(), Some("SE"));
    assert_eq!(reference.facts(ip("2001:db8::1")).asn, Some(64_700));
    assert_eq!(reference.facts(ip("2001:db8:1::")).asn, None);
    assert_eq!(reference.facts(ip("9.9.9.9")), AddressFacts::default());
    assert_eq!(reference.facts(ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")), AddressFacts::default());
}

#[test]
fn hosting_microsoft_and_relays_are_told_apart() {
    let packages = packages();
    let (_, reference, _) = built(&packages);
    let flags = |text: &str| {
        let facts = reference.facts(ip(text));
        (facts.hosting, facts.microsoft, facts.relay)
    };
    assert_eq!(flags("198.18.2.9"), (true, false, false));
    assert_eq!(flags("198.18.4.9"), (false, false, false));
    assert_eq!(flags("203.0.113.64"), (true, false, false));
    assert_eq!(flags("203.0.113.100"), (false, true, false), "on both lists, so it is Microsoft");
    assert_eq!(flags("203.0.113.121"), (false, false, true), "on both lists, so it is a gateway");
    assert_eq!(flags("2603:10a6::1"), (false, true, false));
    assert_eq!(flags("2a09:bac5::7"), (false, false, true));
    assert_eq!(flags("10.0.0.1"), (false, false, false));
}

#[test]
fn names_and_lists_are_found_whatever_their_case() {
    let packages = packages();
    let (_, reference, _) = built(&packages);
    assert_eq!(reference.technique_name("T1114.003").as_deref(), Some("Email Collection: Email Forwarding Rule"));
    assert_eq!(reference.technique("T1114.003").unwrap().tactics, ["collection", "exfiltration"]);
    assert_eq!(reference.technique_name("T1"), None, "revoked");
    assert_eq!(reference.known_as("COMMENT crew"), [KnownName { kind: "threat-actor".into(), name: "APT1".into() }]);
    assert!(reference.known_as("banks").is_empty());
    assert!(reference.is_listed("dynamic-dns", "Office.dyn.example."));
    assert!(reference.is_listed("dynamic-dns", "home.test"));
    assert!(!reference.is_listed("dynamic-dns", "athome.test"));
    assert!(!reference.is_listed("disposable-email", "home.test"));
}

#[test]
fn every_package_keeps_its_licence_and_date() {
    let packages = packages();
    let (_, reference, summary) = built(&packages);
    assert_eq!(summary, reference.summary().unwrap());
    let asn = summary.iter().find(|package| package.name == "@ip-location-db/asn").unwrap();
    assert_eq!((asn.rows, asn.date.as_str(), asn.licence.as_str()), (53, "2026-06-17", "CC-BY-4.0"));
    let country = summary.iter().find(|package| package.name == "countries").unwrap();
    assert_eq!((country.rows, country.date.as_str()), (2, "2026-01-02"));
    let lists = summary.iter().find(|package| package.name == "p").unwrap();
    assert_eq!((lists.rows, lists.date.as_str(), lists.licence.as_str()), (7, "2025-12-23", "BSD-3-Clause"));
    assert_eq!(summary.len(), 5);
    let licences = reference.licences().unwrap();
    assert!(licences.contains("attribution is needed"), "{licences}");
    assert!(licences.contains("DB-IP"), "{licences}");
}

#[test]
fn two_builds_are_equal() {
    let packages = packages();
    let (out, ..) = built(&packages);
    let first = fs::read(&out).unwrap();
    let (out, ..) = built(&packages);
    assert!(first == fs::read(&out).unwrap());
}

#[test]
fn importing_replaces_one_part_only() {
    let packages = packages();
    let (out, ..) = built(&packages);
    let own = packages.path().join("own.csv");
    fs::write(&own, "network,number,name\n203.0.113.0/24,AS64999,\"Ours, now\"\n\n# comment\n").unwrap();
    let added = import(&out, Part::Asn, &own).unwrap();
    assert_eq!((added.rows, added.rejected), (1, 1), "the heading is no range");
    let reference = Reference::open(&out).unwrap().unwrap();
    let facts = reference.facts(ip("203.0.113.64"));
    assert_eq!((facts.asn, facts.as_name.as_deref()), (Some(64_999), Some("Ours, now")));
    assert_eq!(facts.country.as_deref(), Some("SE"));
    assert!(facts.hosting);
    assert_eq!(reference.facts(ip("198.18.0.1")).asn, None);
    let names: Vec<_> = reference.summary().unwrap().into_iter().map(|package| package.name).collect();
    assert!(names.contains(&"own.csv (imported)".to_owned()) && !names.contains(&"@ip-location-db/asn".to_owned()));
}

#[test]
fn a_first_import_needs_no_packages() {
    let dir = TempDir::new().unwrap();
    write(dir.path(), "c.csv", "203.0.113.0,203.0.113.255,se\n203.0.114.0,203.0.114.9,not a code\n");
    let out = dir.path().join("new/reference.db");
    assert_eq!(import(&out, Part::Country, &dir.path().join("c.csv")).unwrap().rows, 1);
    let reference = Reference::open(&out).unwrap().unwrap();
    assert_eq!(reference.facts(ip("203.0.113.9")).country.as_deref(), Some("SE"));
}

#[test]
fn an_input_of_the_wrong_kind_leaves_the_old_data_alone() {
    let packages = packages();
    let (out, ..) = built(&packages);
    let before = fs::read(&out).unwrap();
    for (name, content) in
        [("text.csv", b"hello\nworld\n".as_slice()), ("cut.mmdb", &mmdb()[..200]), ("empty.csv", b"")]
    {
        write(packages.path(), name, content);
        let error = import(&out, Part::Asn, &packages.path().join(name)).unwrap_err();
        assert!(matches!(error, ReferenceError::Input { .. }), "{name}: {error}");
    }
    assert!(before == fs::read(&out).unwrap());
    let left: Vec<_> = fs::read_dir(out.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["reference.db"], "no temporary file stays");
}

#[test]
fn a_folder_without_packages_is_refused() {
    let dir = TempDir::new().unwrap();
    write(dir.path(), "x/y.txt", "nothing");
    let out = dir.path().join("reference.db");
    assert!(matches!(build_from(dir.path(), &out, &()), Err(ReferenceError::Input { .. })));
    assert!(!out.exists());
}

#[test]
fn stopping_leaves_nothing_behind() {
    struct Stop(AtomicBool);
    impl Progress for Stop {
        fn bytes(&self, _: u64) {}
        fn rows(&self, _: u64) {
            self.0.store(true, Ordering::Relaxed);
        }
        fn stage(&self, _: &str) {}
        fn is_cancelled(&self) -> bool {
            self.0.load(Ordering::Relaxed)
        }
    }
    let packages = packages();
    let out = packages.path().join("out/reference.db");
    let stopped = build_from(packages.path(), &out, &Stop(AtomicBool::new(false)));
    assert!(matches!(stopped, Err(ReferenceError::Cancelled)));
    assert_eq!(fs::read_dir(out.parent().unwrap()).unwrap().count(), 0);
}

#[test]
fn a_damaged_or_newer_file_is_an_error_not_an_answer() {
    let dir = TempDir::new().unwrap();
    write(dir.path(), "noise.db", b"this is no database, only noise that is long enough to be looked at ".repeat(20));
    assert!(matches!(Reference::open(&dir.path().join("noise.db")), Err(ReferenceError::Open { .. })));
    let newer = dir.path().join("newer.db");
    Connection::open(&newer).unwrap().pragma_update(None, "user_version", FORMAT + 1).unwrap();
    assert!(matches!(Reference::open(&newer), Err(ReferenceError::Format { found, .. }) if found == FORMAT + 1));
}

#[test]
fn the_cache_is_bounded_and_forgets_the_oldest() {
    let mut cache = Cache::default();
    let address = |n: usize| Ip::from(IpAddr::from(u32::try_from(n).unwrap().to_be_bytes()));
    for n in 0..CACHE_ADDRESSES_MAX * 3 {
        cache.put(address(n), AddressFacts::default());
        assert!(cache.young.len() + cache.old.len() <= 2 * CACHE_ADDRESSES_MAX);
    }
    assert!(cache.get(address(0)).is_none());
    assert!(cache.get(address(CACHE_ADDRESSES_MAX * 3 - 1)).is_some());
}

/// The real packages, where `cargo xtask reference` has put them.
#[test]
fn real_data_knows_the_landmarks() {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let Some(dir) = cache.map(|cache| cache.join("matagi/reference/packages")).filter(|dir| dir.is_dir()) else {
        eprintln!("SKIPPED: real reference data is absent; `cargo xtask reference` fetches it");
        return;
    };
    let out = TempDir::new().unwrap();
    let out = out.path().join("reference.db");
    build_from(&dir, &out, &()).unwrap();
    let reference = Reference::open(&out).unwrap().unwrap();
    let facts = |text: &str| reference.facts(ip(text));
    assert_eq!(facts("8.8.8.8").asn, Some(15_169));
    assert_eq!(facts("175.45.176.99").asn, Some(131_279));
    assert_eq!(facts("175.45.176.99").country.as_deref(), Some("KP"));
    assert_eq!(facts("104.28.196.199").asn, Some(13_335));
    assert!(facts("104.28.196.199").relay);
    assert_eq!(facts("2a09:bac5::1").asn, Some(13_335));
    assert!(facts("2603:10a6::1").microsoft);
    assert!(facts("165.22.1.1").hosting);
    assert_eq!(reference.technique_name("T1110.003").as_deref(), Some("Brute Force: Password Spraying"));
    assert_eq!(reference.failures(), 0);
}
