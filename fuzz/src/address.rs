//! The judgement of an address, compared with the ranges of IANA's registries as a list.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::LazyLock,
};

use ipnet::IpNet;
use posthaste_domain::endpoint::address::{AllowedCidrs, check_public};

use crate::choices::Choices;

/// The range of IPv6 that is allocated for addresses of the whole world.
const GLOBAL: &str = "2000::/3";
/// The ranges of IPv4, and those within [`GLOBAL`], that no webhook may reach.
const CLOSED: [&str; 30] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    // Azure's host.
    "168.63.129.16/32",
    "2001::/32",
    "2001:1::/32",
    "2001:2::/48",
    "2001:3::/32",
    "2001:4:112::/48",
    "2001:10::/28",
    "2001:20::/28",
    "2001:30::/28",
    "2001:db8::/32",
    "2620:4f:8000::/48",
    "3fff::/20",
];

static GLOBAL_RANGE: LazyLock<IpNet> = LazyLock::new(|| GLOBAL.parse().expect("a range"));
static RANGES: LazyLock<Vec<IpNet>> =
    LazyLock::new(|| CLOSED.iter().map(|range| range.parse().expect("a range")).collect());

/// Tells whether an address is in a closed range, by itself or by the IPv4 address that it leads
/// to.
pub(crate) fn is_closed(ip: IpAddr) -> bool {
    let is_listed = RANGES.iter().any(|range| range.contains(&ip));
    match ip {
        IpAddr::V4(_) => is_listed,
        IpAddr::V6(v6) => match leads_to(v6) {
            Some(v4) => is_closed(v4.into()),
            None => is_listed || !GLOBAL_RANGE.contains(&ip),
        },
    }
}

/// The IPv4 address behind one that is mapped, translated (RFC 6052) or tunnelled (RFC 3056).
fn leads_to(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let bits = ip.to_bits();
    let last = Ipv4Addr::from_bits(bits as u32);
    match ip.segments() {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(last),
        [0x2002, ..] => Some(Ipv4Addr::from_bits((bits >> 80) as u32)),
        _ => None,
    }
}

/// No address of a closed range is public, however it is written as IPv6. Of IPv4, every other one
/// is. What a deployment allows is reached, but for metadata.
pub(crate) fn is_public_by_the_lists(input: &[u8]) -> bool {
    let mut choices = Choices::new(input);
    let v4 = Ipv4Addr::from(choices.bytes::<4>());
    let prefix = choices.one_of(&[0, 0xffff << 32, 0x64_ff9b << 96, 0x2002 << 112]);
    let v6 = match prefix {
        0 => Ipv6Addr::from(choices.bytes::<16>()),
        _ if prefix >> 112 == 0x2002 => {
            Ipv6Addr::from_bits(prefix | u128::from(v4.to_bits()) << 80)
        }
        _ => Ipv6Addr::from_bits(prefix | u128::from(v4.to_bits())),
    };
    let is_public = check_public(v4.into()).is_ok();
    assert_eq!(is_public, !is_closed(v4.into()), "{v4}");
    let is_v6_public = check_public(v6.into()).is_ok();
    assert!(!(is_v6_public && is_closed(v6.into())), "{v6} is accepted");
    if prefix != 0 {
        assert_eq!(is_v6_public, is_public, "{v6} is {v4}");
    }

    let allowed: AllowedCidrs = "0.0.0.0/0,::/0".parse().expect("two ranges");
    for metadata in ["169.254.169.254", "fd00:ec2::254", "::ffff:169.254.169.254"] {
        let ip: IpAddr = metadata.parse().expect("an address");
        assert!(allowed.check(ip).is_err(), "{metadata} is opened");
    }
    let none = AllowedCidrs::default();
    for ip in [IpAddr::from(v4), IpAddr::from(v6)] {
        assert_eq!(none.check(ip), check_public(ip), "nothing is allowed unless configured");
        assert!(check_public(ip).is_err() || allowed.check(ip).is_ok(), "{ip} is closed again");
    }
    is_public || is_v6_public
}
