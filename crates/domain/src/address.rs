//! Which addresses a webhook may reach: the globally reachable ones, by IANA's special-purpose registries
//! (<https://www.iana.org/assignments/iana-ipv4-special-registry>, <https://www.iana.org/assignments/iana-ipv6-special-registry>),
//! without those that clouds serve metadata on. What the deployment allows beside them is an [`AllowedCidrs`].

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use ipnet::IpNet;

/// What keeps an address from being public.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotPublic {
    /// 10/8, 172.16/12, 192.168/16.
    #[error("a private address")]
    Private,
    /// 127/8, ::1.
    #[error("a loopback address")]
    Loopback,
    /// 169.254/16, fe80::/10.
    #[error("a link-local address")]
    LinkLocal,
    /// 100.64/10.
    #[error("an address of carrier-grade NAT")]
    SharedNat,
    /// 224/4, ff00::/8.
    #[error("a multicast address")]
    Multicast,
    /// Documentation, benchmarking, protocol assignments, reserved and discard ranges.
    #[error("a reserved address")]
    Reserved,
    /// 0/8, ::.
    #[error("an unspecified address")]
    Unspecified,
    /// fc00::/7, fec0::/10.
    #[error("a unique local address")]
    UniqueLocal,
    /// A public-looking address that a cloud serves its metadata or its host's services on.
    #[error("a metadata address of a cloud")]
    Metadata,
    /// A tunnelling or translation range whose other end can't be judged.
    #[error("a tunnelling address")]
    Tunnel,
}

/// Checks that an address is public. IPv4 inside an IPv6 address (mapped, compatible, NAT64, 6to4) is judged as that IPv4.
pub fn check_public(ip: IpAddr) -> Result<(), NotPublic> {
    match ip {
        IpAddr::V4(ip) => check_v4(ip),
        IpAddr::V6(ip) => check_v6(ip),
    }
}

fn check_v4(ip: Ipv4Addr) -> Result<(), NotPublic> {
    let [a, b, c, d] = ip.octets();
    Err(match (a, b, c, d) {
        (0, ..) => NotPublic::Unspecified,
        (10, ..) | (172, 16..=31, ..) | (192, 168, ..) => NotPublic::Private,
        (127, ..) => NotPublic::Loopback,
        (169, 254, ..) => NotPublic::LinkLocal,
        // Azure's host, and Oracle's; Alibaba's 100.100.100.200 lies in the next range.
        (168, 63, 129, 16) => NotPublic::Metadata,
        (100, 64..=127, ..) => NotPublic::SharedNat,
        // Protocol assignments, the three documentation ranges, 6to4 relays, AS112 and benchmarking.
        (192, 0, 0 | 2, _) | (198, 51, 100, _) | (203, 0, 113, _) => NotPublic::Reserved,
        (192, 88, 99, _) | (192, 31, 196, _) | (192, 52, 193, _) | (192, 175, 48, _) | (198, 18..=19, ..) => {
            NotPublic::Reserved
        }
        (224..=239, ..) => NotPublic::Multicast,
        (240..=255, ..) => NotPublic::Reserved,
        _ => return Ok(()),
    })
}

fn check_v6(ip: Ipv6Addr) -> Result<(), NotPublic> {
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        check_v4(Ipv4Addr::new(a, b, c, d))
    };
    Err(match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => NotPublic::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => NotPublic::Loopback,
        // IPv4-mapped (RFC 4291, 2.5.5.2), NAT64's well-known prefix (RFC 6052), 6to4 (RFC 3056).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => return v4(high, low),
        [0x2002, high, low, ..] => return v4(high, low),
        // IPv4-compatible is deprecated (RFC 4291, 2.5.5.1); the rest of ::/16 and of 64::/16 is not allocated.
        [0, ..] | [0x64, ..] => NotPublic::Reserved,
        [0x100, ..] | [0x5f00, ..] | [0x3fff, 0..=0xfff, ..] | [0x2001, 0xdb8, ..] => NotPublic::Reserved,
        // Teredo embeds a relay and an obfuscated client; 2001::/23 is protocol assignments.
        [0x2001, 0, ..] => NotPublic::Tunnel,
        [0x2001, 0..=0x1ff, ..] | [0x2620, 0x4f, 0x8000, ..] => NotPublic::Reserved,
        [0xfc00..=0xfdff, ..] => NotPublic::UniqueLocal,
        [0xfe80..=0xfebf, ..] => NotPublic::LinkLocal,
        [0xfec0..=0xfeff, ..] => NotPublic::UniqueLocal,
        [0xff00..=0xffff, ..] => NotPublic::Multicast,
        // Only 2000::/3 is allocated for global unicast.
        [0x2000..=0x3fff, ..] => return Ok(()),
        _ => NotPublic::Reserved,
    })
}

/// Address ranges that a deployment lets webhooks reach although they are not public; none unless configured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedCidrs(Vec<IpNet>);

impl AllowedCidrs {
    /// Checks that an address may be reached: it is public, or in one of the ranges.
    pub fn check(&self, ip: IpAddr) -> Result<(), NotPublic> {
        // An IPv4 address is the same whether or not it comes as an IPv4-mapped IPv6 address.
        let canonical = ip.to_canonical();
        if self.0.iter().any(|range| range.contains(&canonical)) { Ok(()) } else { check_public(ip) }
    }
}

impl FromStr for AllowedCidrs {
    type Err = ipnet::AddrParseError;

    /// Ranges as `10.0.0.0/8`, parted by commas; an empty text is none.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let ranges = text.split(',').map(str::trim).filter(|range| !range.is_empty());
        ranges.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn public_addresses_are_public() {
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "52.95.110.1",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.1.1",
            "100.63.0.1",
            "100.128.0.1",
            "223.255.255.255",
        ] {
            assert_eq!(check_public(ip(public)), Ok(()), "{public}");
        }
        for public in
            ["2606:4700:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"]
        {
            assert_eq!(check_public(ip(public)), Ok(()), "{public}");
        }
    }

    #[test]
    fn everything_else_is_named() {
        let cases = [
            ("0.0.0.0", NotPublic::Unspecified),
            ("0.1.2.3", NotPublic::Unspecified),
            ("::", NotPublic::Unspecified),
            ("10.0.0.1", NotPublic::Private),
            ("172.16.0.0", NotPublic::Private),
            ("172.31.255.255", NotPublic::Private),
            ("192.168.0.1", NotPublic::Private),
            ("127.0.0.1", NotPublic::Loopback),
            ("127.255.255.254", NotPublic::Loopback),
            ("::1", NotPublic::Loopback),
            ("169.254.169.254", NotPublic::LinkLocal),
            ("169.254.170.2", NotPublic::LinkLocal),
            ("fe80::1", NotPublic::LinkLocal),
            ("febf::1", NotPublic::LinkLocal),
            ("100.64.0.1", NotPublic::SharedNat),
            ("100.100.100.200", NotPublic::SharedNat),
            ("100.127.255.255", NotPublic::SharedNat),
            ("168.63.129.16", NotPublic::Metadata),
            ("fd00:ec2::254", NotPublic::UniqueLocal),
            ("fc00::1", NotPublic::UniqueLocal),
            ("fec0::1", NotPublic::UniqueLocal),
            ("192.0.0.192", NotPublic::Reserved),
            ("192.0.2.1", NotPublic::Reserved),
            ("198.51.100.1", NotPublic::Reserved),
            ("203.0.113.1", NotPublic::Reserved),
            ("198.18.0.1", NotPublic::Reserved),
            ("198.19.255.255", NotPublic::Reserved),
            ("240.0.0.1", NotPublic::Reserved),
            ("255.255.255.255", NotPublic::Reserved),
            ("224.0.0.1", NotPublic::Multicast),
            ("239.255.255.255", NotPublic::Multicast),
            ("ff02::1", NotPublic::Multicast),
            ("::ffff:127.0.0.1", NotPublic::Loopback),
            ("::ffff:169.254.169.254", NotPublic::LinkLocal),
            ("64:ff9b::10.0.0.1", NotPublic::Private),
            ("64:ff9b:1::1", NotPublic::Reserved),
            ("2002:7f00:1::", NotPublic::Loopback),
            ("2002:a9fe:a9fe::1", NotPublic::LinkLocal),
            ("::127.0.0.1", NotPublic::Reserved),
            ("2001::1", NotPublic::Tunnel),
            ("2001:db8::1", NotPublic::Reserved),
            ("2001:10::1", NotPublic::Reserved),
            ("3fff::1", NotPublic::Reserved),
            ("100::1", NotPublic::Reserved),
            ("5f00::1", NotPublic::Reserved),
            ("4000::1", NotPublic::Reserved),
            ("8000::1", NotPublic::Reserved),
        ];
        for (text, why) in cases {
            assert_eq!(check_public(ip(text)), Err(why), "{text}");
        }
    }

    #[test]
    fn a_deployment_can_allow_ranges() {
        let allowed: AllowedCidrs = "127.0.0.0/8, fd12::/16".parse().unwrap();
        for good in ["127.0.0.1", "::ffff:127.0.0.1", "fd12::1", "8.8.8.8"] {
            assert_eq!(allowed.check(ip(good)), Ok(()), "{good}");
        }
        for bad in ["10.0.0.1", "::1", "fd13::1", "169.254.169.254"] {
            assert!(allowed.check(ip(bad)).is_err(), "{bad}");
        }
        assert_eq!("".parse(), Ok(AllowedCidrs::default()));
        assert!("10.0.0.0/33".parse::<AllowedCidrs>().is_err());
        assert!("10.0.0.1".parse::<AllowedCidrs>().is_err());
    }

    proptest! {
        #[test]
        fn ipv4_is_judged_alike_in_every_ipv6_form(bits: u32) {
            let v4 = Ipv4Addr::from_bits(bits);
            let [a, b, c, d] = v4.octets().map(u16::from);
            let (high, low) = (a << 8 | b, c << 8 | d);
            let plain = check_public(v4.into());
            prop_assert_eq!(check_public(v4.to_ipv6_mapped().into()), plain);
            prop_assert_eq!(check_public(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low).into()), plain);
            prop_assert_eq!(check_public(Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1).into()), plain);
        }

        #[test]
        fn what_the_standard_library_calls_special_is_never_public(bits: u32) {
            let v4 = Ipv4Addr::from_bits(bits);
            let special = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast() || v4.is_broadcast() || v4.is_documentation() || v4.is_unspecified();
            prop_assert!(!special || check_public(v4.into()).is_err());
        }

        #[test]
        fn only_2000_3_and_embedded_ipv4_are_public_ipv6(bits: u128) {
            let v6 = Ipv6Addr::from_bits(bits);
            let first = v6.segments()[0];
            prop_assert!(check_public(v6.into()).is_err() || (0x2000..=0x3fff).contains(&first) || first == 0 || first == 0x64);
        }
    }
}
