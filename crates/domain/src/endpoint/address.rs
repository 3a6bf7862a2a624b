//! A webhook may reach globally reachable addresses only, by IANA's special-purpose registries
//! (<https://www.iana.org/assignments/iana-ipv4-special-registry>,
//! <https://www.iana.org/assignments/iana-ipv6-special-registry>), without those at which clouds
//! serve metadata. A deployment can allow further ones with [`AllowedCidrs`].

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use ipnet::IpNet;

/// The reason why an address is not public.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotPublic {
    /// 10/8, 172.16/12 and 192.168/16.
    #[error("a private address")]
    Private,
    /// 127/8 and ::1.
    #[error("a loopback address")]
    Loopback,
    /// 169.254/16 and fe80::/10.
    #[error("a link-local address")]
    LinkLocal,
    /// 100.64/10, which carriers share among their customers.
    #[error("an address of carrier-grade NAT")]
    SharedNat,
    /// 224/4 and ff00::/8.
    #[error("a multicast address")]
    Multicast,
    /// Documentation, benchmarking, protocol assignments, reserved and discard ranges.
    #[error("a reserved address")]
    Reserved,
    /// 0/8 and ::.
    #[error("an unspecified address")]
    Unspecified,
    /// fc00::/7 and fec0::/10.
    #[error("a unique local address")]
    UniqueLocal,
    /// An address at which a cloud serves metadata, credentials or its host's services.
    #[error("a metadata address of a cloud")]
    Metadata,
    /// A tunnelling or translation range whose other end can't be judged.
    #[error("a tunnelling address")]
    Tunnel,
}

/// The addresses at which clouds serve metadata, credentials and their hosts' services. They stay
/// closed whatever a deployment allows.
const METADATA_V4: [Ipv4Addr; 11] = [
    // AWS, Azure, Google, Oracle, DigitalOcean, Hetzner, OpenStack and others.
    Ipv4Addr::new(169, 254, 169, 254),
    // AWS: credentials of ECS tasks and of EKS pods; Lambda's runtime API and its X-Ray daemon.
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    Ipv4Addr::new(169, 254, 100, 1),
    Ipv4Addr::new(169, 254, 79, 129),
    // Tencent, Scaleway, Alibaba.
    Ipv4Addr::new(169, 254, 0, 23),
    Ipv4Addr::new(169, 254, 10, 10),
    Ipv4Addr::new(169, 254, 42, 42),
    Ipv4Addr::new(100, 100, 100, 200),
    // Azure's host, which looks public, and Oracle's.
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];

/// The IPv6 addresses of this sort; see also [`serves_metadata`].
const METADATA_V6: [Ipv6Addr; 6] = [
    // Google, Oracle, Scaleway, Linode, Alibaba, OpenStack.
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe),
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),
    Ipv6Addr::new(0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0xfd00, 0x100, 0, 0, 0, 0, 0x100, 0x200),
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe),
];

/// Checks that an address is public. An IPv6 address that leads to an IPv4 address (mapped, NAT64,
/// 6to4, ISATAP) is public if both are.
pub fn check_public(ip: IpAddr) -> Result<(), NotPublic> {
    if serves_metadata(ip) {
        return Err(NotPublic::Metadata);
    }
    match ip {
        IpAddr::V4(ip) => check_v4(ip),
        IpAddr::V6(ip) => {
            check_v6(ip)?;
            embedded(ip).try_for_each(check_v4)
        }
    }
}

fn serves_metadata(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => METADATA_V4.contains(&ip),
        // All services of an EC2 instance's host are in fd00:ec2::/32.
        IpAddr::V6(ip) => {
            matches!(ip.segments(), [0xfd00, 0xec2, ..])
                || METADATA_V6.contains(&ip)
                || embedded(ip).any(|ip| METADATA_V4.contains(&ip))
        }
    }
}

fn check_v4(ip: Ipv4Addr) -> Result<(), NotPublic> {
    let [a, b, c, d] = ip.octets();
    Err(match (a, b, c, d) {
        (0, ..) => NotPublic::Unspecified,
        (10, ..) | (172, 16..=31, ..) | (192, 168, ..) => NotPublic::Private,
        (127, ..) => NotPublic::Loopback,
        (169, 254, ..) => NotPublic::LinkLocal,
        (100, 64..=127, ..) => NotPublic::SharedNat,
        // Protocol assignments, the three documentation ranges, 6to4 relays, AS112 and
        // benchmarking.
        (192, 0, 0 | 2, _) | (198, 51, 100, _) | (203, 0, 113, _) => NotPublic::Reserved,
        (192, 88, 99, _)
        | (192, 31, 196, _)
        | (192, 52, 193, _)
        | (192, 175, 48, _)
        | (198, 18..=19, ..) => NotPublic::Reserved,
        (224..=239, ..) => NotPublic::Multicast,
        (240..=255, ..) => NotPublic::Reserved,
        _ => return Ok(()),
    })
}

/// Checks the range of an IPv6 address, whatever IPv4 address is in it.
fn check_v6(ip: Ipv6Addr) -> Result<(), NotPublic> {
    Err(match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => NotPublic::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => NotPublic::Loopback,
        // These are as public as the address that they embed: IPv4-mapped, NAT64's well-known
        // prefix, 6to4.
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x2002, ..] => {
            return Ok(());
        }
        // IPv4-compatible is deprecated (RFC 4291, 2.5.5.1), 64:ff9b:1::/48 is for a network's own
        // translation (RFC 8215), and the rest of ::/16 and of 64::/16 is not allocated.
        [0, ..] | [0x64, ..] => NotPublic::Reserved,
        [0x100, ..] | [0x5f00, ..] | [0x3fff, 0..=0xfff, ..] | [0x2001, 0xdb8, ..] => {
            NotPublic::Reserved
        }
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

/// The IPv4 addresses that an IPv6 address leads to, where it is translated or where its tunnel
/// ends: by its prefix, and by its interface identifier.
fn embedded(ip: Ipv6Addr) -> impl Iterator<Item = Ipv4Addr> {
    let segments = ip.segments();
    let by_prefix = match segments {
        // Compatible (RFC 4291, 2.5.5.1), translated (RFC 2765), mapped (RFC 4291, 2.5.5.2).
        [0, 0, 0, 0, 0 | 0xffff, 0, high, low] | [0, 0, 0, 0, 0, 0xffff, high, low] => {
            Some(ipv4(high, low))
        }
        // NAT64 (RFC 6052; RFC 8215's prefix with 96 bits), 6to4 (RFC 3056), Teredo (RFC 4380,
        // whose client is inverted).
        [0x64, 0xff9b, 0 | 1, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            Some(ipv4(high, low))
        }
        [0x2001, 0, _, _, _, _, high, low] => Some(ipv4(!high, !low)),
        _ => None,
    };
    // ISATAP (RFC 5214), below any prefix. The bit that differs says whether the IPv4 address is
    // unique in the world.
    let by_interface = match segments {
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => Some(ipv4(high, low)),
        _ => None,
    };
    by_prefix.into_iter().chain(by_interface)
}

fn ipv4(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}

/// Address ranges that a deployment lets webhooks reach although they are not public; none unless
/// configured. The addresses at which clouds serve metadata stay closed, so that a range such as
/// `fd00::/8` does not open them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedCidrs(Vec<IpNet>);

impl AllowedCidrs {
    /// Checks that an address may be reached: it is public, or in one of the ranges and no metadata
    /// address.
    pub fn check(&self, ip: IpAddr) -> Result<(), NotPublic> {
        // An IPv4 address is the same whether or not it comes as an IPv4-mapped IPv6 address.
        let canonical = ip.to_canonical();
        let is_allowed =
            self.0.iter().any(|range| range.contains(&canonical)) && !serves_metadata(ip);
        if is_allowed { Ok(()) } else { check_public(ip) }
    }
}

impl FromStr for AllowedCidrs {
    type Err = ipnet::AddrParseError;

    /// Reads ranges such as `10.0.0.0/8`, separated by commas; an empty text allows nothing.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let ranges = text.split(',').map(str::trim).filter(|range| !range.is_empty());
        ranges.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests;
