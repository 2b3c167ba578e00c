//! Internet addresses and what is known about them.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// An address as the lake stores it: 16 bytes, IPv4 mapped into `::ffff:0:0/96`.
///
/// One form for both families makes a network a byte range, which min/max statistics understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ip(pub [u8; 16]);

impl Ip {
    /// The standard library's form, with IPv4 unmapped.
    pub fn addr(self) -> IpAddr {
        Ipv6Addr::from(self.0).to_canonical()
    }

    /// The network that stands for one place: /24 of IPv4, /48 of IPv6, host bits cleared.
    #[must_use]
    pub fn place(self) -> Self {
        let mut bytes = self.0;
        let keep = if self.addr().is_ipv4() { 15 } else { 6 };
        bytes[keep..].fill(0);
        Self(bytes)
    }

    /// Loopback, private, link-local, unique-local or unspecified: says nothing about where somebody is.
    pub fn is_internal(self) -> bool {
        match self.addr() {
            IpAddr::V4(v4) => {
                v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || v4.is_broadcast()
            }
            IpAddr::V6(v6) => {
                v6.is_loopback() || v6.is_unspecified() || v6.is_unique_local() || v6.is_unicast_link_local()
            }
        }
    }
}

impl From<IpAddr> for Ip {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self(v4.to_ipv6_mapped().octets()),
            IpAddr::V6(v6) => Self(v6.octets()),
        }
    }
}

impl fmt::Display for Ip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.addr().fmt(f)
    }
}

/// What reference data says about an address.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressFacts {
    /// Autonomous system number.
    pub asn: Option<u32>,
    /// Registered name of the autonomous system.
    pub as_name: Option<String>,
    /// ISO 3166-1 alpha-2, upper case. Weak for hosting and VPN ranges: the databases disagree about them.
    pub country: Option<String>,
    /// On a list of hosting, VPN or Tor ranges.
    pub hosting: bool,
    /// Belongs to Microsoft, so it says nothing about where a user is.
    pub microsoft: bool,
    /// A privacy relay or security gateway (iCloud Private Relay, Zscaler) that many honest users share.
    pub relay: bool,
}

/// Looks addresses up. Without reference data [`NoAddressBook`] stands in, and everything still runs.
pub trait AddressBook: Send + Sync {
    /// What is known about this address; empty facts if nothing is.
    fn facts(&self, ip: Ip) -> AddressFacts;

    /// Whether any reference data is behind this book.
    fn is_empty(&self) -> bool {
        false
    }
}

/// Knows only what needs no data: Microsoft's published IPv6 range for Exchange Online back ends.
#[derive(Debug, Default, Clone, Copy)]
pub struct NoAddressBook;

impl AddressBook for NoAddressBook {
    fn facts(&self, ip: Ip) -> AddressFacts {
        AddressFacts { microsoft: is_exchange_backend(ip), ..AddressFacts::default() }
    }

    fn is_empty(&self) -> bool {
        true
    }
}

/// 2603:10a6::/32 and its siblings 2603:1000::/24: Exchange Online talking to itself.
pub fn is_exchange_backend(ip: Ip) -> bool {
    ip.0.starts_with(&[0x26, 0x03, 0x10])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Ip {
        Ip::from(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn both_families_have_one_form() {
        assert_eq!(ip("192.0.2.7"), ip("::ffff:192.0.2.7"));
        assert_eq!(ip("::ffff:192.0.2.7").to_string(), "192.0.2.7");
    }

    #[test]
    fn a_place_is_a_network() {
        assert_eq!(ip("192.0.2.7").place(), ip("192.0.2.0"));
        assert_eq!(ip("2001:db8:1:2::3").place(), ip("2001:db8:1::"));
    }
}
