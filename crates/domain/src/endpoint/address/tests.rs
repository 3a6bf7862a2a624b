use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::prelude::*;

use super::*;

/// Every entry of IANA's IPv4 special-purpose registry, and the ranges that are not for hosts.
const RANGES_V4: &[(&str, NotPublic)] = &[
    ("0.0.0.0/8", NotPublic::Unspecified),       // "this network"
    ("0.0.0.0/32", NotPublic::Unspecified),      // "this host on this network"
    ("10.0.0.0/8", NotPublic::Private),          // private use
    ("100.64.0.0/10", NotPublic::SharedNat),     // shared address space
    ("127.0.0.0/8", NotPublic::Loopback),        // loopback
    ("169.254.0.0/16", NotPublic::LinkLocal),    // link-local
    ("172.16.0.0/12", NotPublic::Private),       // private use
    ("192.0.0.0/24", NotPublic::Reserved),       // IETF protocol assignments
    ("192.0.0.0/29", NotPublic::Reserved),       // IPv4 service continuity prefix
    ("192.0.0.8/32", NotPublic::Reserved),       // IPv4 dummy address
    ("192.0.0.9/32", NotPublic::Reserved),       // port control protocol anycast
    ("192.0.0.10/32", NotPublic::Reserved),      // TURN anycast
    ("192.0.0.170/31", NotPublic::Reserved),     // NAT64/DNS64 discovery
    ("192.0.2.0/24", NotPublic::Reserved),       // documentation (TEST-NET-1)
    ("192.31.196.0/24", NotPublic::Reserved),    // AS112-v4
    ("192.52.193.0/24", NotPublic::Reserved),    // AMT
    ("192.88.99.0/24", NotPublic::Reserved),     // 6to4 relay anycast, deprecated
    ("192.88.99.2/32", NotPublic::Reserved),     // 6a44 relay anycast
    ("192.168.0.0/16", NotPublic::Private),      // private use
    ("192.175.48.0/24", NotPublic::Reserved),    // direct delegation AS112
    ("198.18.0.0/15", NotPublic::Reserved),      // benchmarking
    ("198.51.100.0/24", NotPublic::Reserved),    // documentation (TEST-NET-2)
    ("203.0.113.0/24", NotPublic::Reserved),     // documentation (TEST-NET-3)
    ("224.0.0.0/4", NotPublic::Multicast),       // multicast
    ("240.0.0.0/4", NotPublic::Reserved),        // reserved
    ("255.255.255.255/32", NotPublic::Reserved), // limited broadcast
];

/// The same for IPv6, without the ranges that are as public as the IPv4 address in them.
const RANGES_V6: &[(&str, NotPublic)] = &[
    ("::1/128", NotPublic::Loopback),         // loopback
    ("::/128", NotPublic::Unspecified),       // unspecified
    ("::2/127", NotPublic::Reserved),         // IPv4-compatible, deprecated
    ("::1:0:0/96", NotPublic::Reserved),      // not allocated
    ("::ffff:0:0:0/96", NotPublic::Reserved), // IPv4-translated
    ("64:ff9b:1::/48", NotPublic::Reserved),  // a network's own NAT64
    ("100::/64", NotPublic::Reserved),        // discard-only
    ("100:0:0:1::/64", NotPublic::Reserved),  // dummy prefix
    ("2001::/32", NotPublic::Tunnel),         // Teredo
    ("2001:1::/32", NotPublic::Reserved), // port control protocol, TURN and DNS-SD anycast are in it
    ("2001:2::/48", NotPublic::Reserved), // benchmarking
    ("2001:3::/32", NotPublic::Reserved), // AMT
    ("2001:4:112::/48", NotPublic::Reserved), // AS112-v6
    ("2001:10::/28", NotPublic::Reserved), // ORCHID, deprecated
    ("2001:20::/28", NotPublic::Reserved), // ORCHIDv2
    ("2001:30::/28", NotPublic::Reserved), // drone remote identification
    ("2001:2::/31", NotPublic::Reserved), // the rest of IETF protocol assignments (2001::/23), in six ranges
    ("2001:4::/30", NotPublic::Reserved),
    ("2001:8::/29", NotPublic::Reserved),
    ("2001:40::/26", NotPublic::Reserved),
    ("2001:80::/25", NotPublic::Reserved),
    ("2001:100::/24", NotPublic::Reserved),
    ("2001:db8::/32", NotPublic::Reserved), // documentation
    ("2620:4f:8000::/48", NotPublic::Reserved), // direct delegation AS112
    ("3fff::/20", NotPublic::Reserved),     // documentation
    ("4000::/2", NotPublic::Reserved),      // not allocated; SRv6's 5f00::/16 is in it
    ("5f00::/16", NotPublic::Reserved),     // SRv6 segment identifiers
    ("8000::/2", NotPublic::Reserved),      // not allocated
    ("fc00::/7", NotPublic::UniqueLocal),   // unique local
    ("fe80::/10", NotPublic::LinkLocal),    // link-local
    ("fec0::/10", NotPublic::UniqueLocal),  // site-local, deprecated
    ("ff00::/8", NotPublic::Multicast),     // multicast
];

/// Public neighbours of those ranges.
const PUBLIC: &[&str] = &[
    "1.0.0.0",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.0",
    "192.0.3.0",
    "192.31.195.255",
    "192.31.197.0",
    "192.52.192.255",
    "192.52.194.0",
    "192.88.98.255",
    "192.88.100.0",
    "192.167.255.255",
    "192.169.0.0",
    "192.175.47.255",
    "192.175.49.0",
    "198.17.255.255",
    "198.20.0.0",
    "198.51.99.255",
    "198.51.101.0",
    "203.0.112.255",
    "203.0.114.0",
    "223.255.255.255",
    "168.63.129.15",
    "168.63.129.17",
    "8.8.8.8",
    "52.95.110.1",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:808:808::1",
    "2000::",
    "2001:200::",
    "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001:db9::",
    "2606:4700:4700::1111",
    "2620:4f:7fff:ffff::",
    "2620:4f:8001::",
    "2a00:1450:4001::1",
    "2a00:1450:4001::5efe:8.8.8.8",
    "2a00::1:5efe:7f00:1",
    "3ffe:ffff::",
    "3fff:1000::",
];

/// The addresses at which clouds serve metadata, credentials and their hosts' services.
const METADATA: &[&str] = &[
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "169.254.100.1",
    "169.254.79.129",
    "169.254.0.23",
    "169.254.10.10",
    "169.254.42.42",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fd00:ec2::253",
    "fd00:ec2::123",
    "fd20:ce::254",
    "fd00:c1::a9fe:a9fe",
    "fd00:42::42",
    "fd00:a9fe:a9fe::1",
    "fd00:100::100:200",
    "fe80::a9fe:a9fe",
];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn ranges() -> impl Iterator<Item = (IpNet, NotPublic)> {
    RANGES_V4.iter().chain(RANGES_V6).map(|(range, why)| (range.parse().unwrap(), *why))
}

/// The ways to write an IPv4 address into an IPv6 address that leads to it, the last two below this
/// prefix.
fn embeddings(v4: Ipv4Addr, prefix: Ipv6Addr) -> [Ipv6Addr; 9] {
    let low = u128::from(v4.to_bits());
    let below_prefix = |interface: u128| prefix.to_bits() >> 64 << 64 | interface << 32 | low;
    [
        0xffff << 32 | low,                                      // mapped
        low,                                                     // compatible
        0xffff << 48 | low,                                      // translated
        0x64_ff9b << 96 | low,                                   // NAT64
        0x64_ff9b_0001 << 80 | low, // a network's own NAT64, with a prefix of 96 bits
        0x2002 << 112 | low << 80 | prefix.to_bits() >> 48, // 6to4
        0x2001 << 112 | 0x0808_0808 << 64 | (low ^ 0xffff_ffff), // Teredo, whose client is inverted
        below_prefix(0x5efe),       // ISATAP
        below_prefix(0x0200_5efe),  // and with an address that is unique in the world
    ]
    .map(Ipv6Addr::from_bits)
}

/// Two that are refused with the whole of their range: a NAT64 prefix of 48 bits, which parts the
/// address, and a Teredo server.
fn embeddings_elsewhere(v4: Ipv4Addr) -> [Ipv6Addr; 2] {
    let low = u128::from(v4.to_bits());
    [
        0x64_ff9b_0001 << 80 | low >> 16 << 64 | (low & 0xffff) << 40,
        0x2001 << 112 | low << 64 | 0xf7f7_f7f7,
    ]
    .map(Ipv6Addr::from_bits)
}

#[test]
fn every_special_range_is_refused_from_its_first_to_its_last_address() {
    for (range, why) in ranges() {
        for ip in [range.network(), range.broadcast()] {
            assert_eq!(check_public(ip), Err(why), "{ip} of {range}");
        }
    }
}

#[test]
fn the_neighbours_of_the_special_ranges_are_public() {
    for text in PUBLIC {
        assert_eq!(check_public(ip(text)), Ok(()), "{text}");
    }
}

#[test]
fn metadata_is_refused_in_every_embedding_and_whatever_is_allowed() {
    let everything: AllowedCidrs = "0.0.0.0/0,::/0".parse().unwrap();
    for text in METADATA {
        let mut forms = vec![ip(text)];
        if let IpAddr::V4(v4) = ip(text) {
            forms.extend(embeddings(v4, Ipv6Addr::from_bits(0x2a00 << 112)).map(IpAddr::V6));
        }
        for ip in forms {
            assert_eq!(check_public(ip), Err(NotPublic::Metadata), "{ip} of {text}");
            assert_eq!(everything.check(ip), Err(NotPublic::Metadata), "{ip} of {text}");
        }
    }
}

#[test]
fn a_deployment_can_allow_any_special_range() {
    for (range, _) in ranges() {
        let allowed: AllowedCidrs = range.to_string().parse().unwrap();
        for ip in [range.network(), range.broadcast()] {
            assert_eq!(allowed.check(ip), Ok(()), "{ip} of {range}");
        }
        // No range but one that overlaps is opened with it.
        for (other, why) in
            ranges().filter(|(other, _)| !range.contains(other) && !other.contains(&range))
        {
            assert_eq!(allowed.check(other.network()), Err(why), "{other} with {range}");
        }
    }
}

#[test]
fn an_allowed_range_counts_for_mapped_addresses_and_for_no_other_embedding() {
    let allowed: AllowedCidrs = "127.0.0.0/8, fd12::/16,169.254.0.0/16".parse().unwrap();
    for good in ["127.0.0.1", "::ffff:127.0.0.1", "fd12::1", "169.254.1.1", "8.8.8.8"] {
        assert_eq!(allowed.check(ip(good)), Ok(()), "{good}");
    }
    for bad in [
        "10.0.0.1",
        "::1",
        "fd13::1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2a00::5efe:7f00:1",
    ] {
        assert!(allowed.check(ip(bad)).is_err(), "{bad}");
    }
}

#[test]
fn ranges_are_read_as_they_are_written() {
    assert_eq!("".parse(), Ok(AllowedCidrs::default()));
    assert_eq!(" , ".parse(), Ok(AllowedCidrs::default()));
    for bad in ["10.0.0.0/33", "10.0.0.1", "10.0.0.0/8;127.0.0.0/8", "10.0/8", "::/129", "any"] {
        assert!(bad.parse::<AllowedCidrs>().is_err(), "{bad}");
    }
}

/// An address in a range, by chance.
fn within(range: IpNet, chance: u128) -> IpAddr {
    match range {
        IpNet::V4(range) => Ipv4Addr::from_bits(
            range.network().to_bits() | chance as u32 & range.hostmask().to_bits(),
        )
        .into(),
        IpNet::V6(range) => {
            Ipv6Addr::from_bits(range.network().to_bits() | chance & range.hostmask().to_bits())
                .into()
        }
    }
}

/// Tells whether a table has the address, which is how the rules are told from the ranges alone.
fn is_special(ip: IpAddr) -> bool {
    ranges().any(|(range, _)| range.contains(&ip))
        || METADATA.iter().any(|text| ip == text.parse::<IpAddr>().unwrap())
}

fn any_special() -> impl Strategy<Value = (IpNet, NotPublic)> {
    proptest::sample::select(ranges().collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn every_address_of_a_special_range_is_refused((range, why) in any_special(), chance: u128) {
        let refused = check_public(within(range, chance));
        prop_assert!(refused == Err(why) || refused == Err(NotPublic::Metadata), "{:?}", refused);
    }

    #[test]
    fn an_ipv4_address_is_public_unless_a_range_has_it(bits: u32, (range, _) in any_special()) {
        let below = |range: &Ipv4Net| range.network().to_bits().wrapping_sub(1 + (bits & 0xff));
        let above = |range: &Ipv4Net| range.broadcast().to_bits().wrapping_add(1 + (bits & 0xff));
        let neighbours = if let IpNet::V4(range) = &range {
            vec![bits, below(range), above(range)]
        } else { vec![bits] };
        for ip in neighbours.into_iter().map(Ipv4Addr::from_bits) {
            prop_assert_eq!(check_public(ip.into()).is_err(), is_special(ip.into()), "{}", ip);
        }
    }

    #[test]
    fn a_global_ipv6_address_is_public_unless_a_range_has_it(
        bits: u128, (range, _) in any_special()
    ) {
        let global = 0x2000 << 112 | bits >> 3;
        let below = |range: &Ipv6Net| range.network().to_bits().wrapping_sub(1 + (bits & 0xff));
        let above = |range: &Ipv6Net| range.broadcast().to_bits().wrapping_add(1 + (bits & 0xff));
        let neighbours = if let IpNet::V6(range) = &range {
            vec![global, below(range), above(range)]
        } else { vec![global] };
        for ip in neighbours.into_iter().map(Ipv6Addr::from_bits) {
            let is_global = (0x2000..=0x3fff).contains(&ip.segments()[0]);
            let embeds = embedded(ip).next().is_some();
            prop_assert!(
                embeds || check_public(ip.into()).is_err() == (!is_global || is_special(ip.into())),
                "{}", ip
            );
        }
    }

    #[test]
    fn an_ipv4_address_that_is_refused_is_refused_in_every_embedding(
        (range, _) in any_special(), chance: u128, prefix: u128
    ) {
        let v4 = match within(range, chance) {
            IpAddr::V4(v4) => v4,
            IpAddr::V6(v6) => Ipv4Addr::from_bits(v6.to_bits() as u32),
        };
        let prefix = Ipv6Addr::from_bits(0x2000 << 112 | prefix >> 3);
        if check_public(v4.into()).is_err() {
            for v6 in embeddings(v4, prefix).into_iter().chain(embeddings_elsewhere(v4)) {
                prop_assert!(check_public(v6.into()).is_err(), "{} of {}", v6, v4);
            }
        }
    }

    #[test]
    fn an_ipv4_address_is_judged_alike_where_it_is_all_that_counts(bits: u32) {
        let v4 = Ipv4Addr::from_bits(bits);
        let forms = embeddings(v4, Ipv6Addr::from_bits(0x2a00 << 112));
        for v6 in [forms[0], forms[3], forms[5], forms[7], forms[8]] {
            prop_assert_eq!(check_public(v6.into()), check_public(v4.into()), "{}", v6);
        }
    }

    #[test]
    fn what_the_standard_library_calls_special_is_never_public(bits: u32, v6: u128) {
        let v4 = Ipv4Addr::from_bits(bits);
        let special = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast() || v4.is_broadcast() || v4.is_documentation() || v4.is_unspecified();
        prop_assert!(!special || check_public(v4.into()).is_err());
        let v6 = Ipv6Addr::from_bits(v6);
        let special = v6.is_loopback() || v6.is_multicast() || v6.is_unspecified() || v6.is_unique_local() || v6.is_unicast_link_local();
        prop_assert!(!special || check_public(v6.into()).is_err());
    }
}
