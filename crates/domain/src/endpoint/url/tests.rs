use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

const ACCEPTED: &str = include_str!("accepted.txt");
const REFUSED: [&str; 2] = [include_str!("refused.txt"), include_str!("refused_addresses.txt")];

fn parse(text: &str) -> Result<String, UrlError> {
    PublicUrl::parse(text, &UrlPolicy::default()).map(String::from)
}

/// The lines of a table, without its comments and empty lines.
fn lines(table: &'static str) -> impl Iterator<Item = &'static str> {
    table.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// A text that a table writes plainly, or as a JSON string.
fn unquoted(text: &str) -> String {
    if text.starts_with('"') { serde_json::from_str(text).unwrap() } else { text.to_owned() }
}

#[test]
fn the_table_of_what_is_accepted_in_its_normal_form() {
    let mut wrong = Vec::new();
    for line in lines(ACCEPTED) {
        let (url, normal) =
            line.split_once(" -> ").unwrap_or_else(|| panic!("no normal form: {line}"));
        let said = [parse(&unquoted(url)), parse(normal)];
        if said != [Ok(normal.to_owned()), Ok(normal.to_owned())] {
            wrong.push(format!("{line}: {said:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_table_of_what_is_refused_and_why() {
    let (mut why, mut wrong) = ("nothing", Vec::new());
    for line in REFUSED.into_iter().flat_map(lines) {
        if let Some(reason) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            why = reason;
            continue;
        }
        let said = parse(&unquoted(line))
            .map_or_else(|error| error.to_string(), |normal| format!("accepted as {normal}"));
        if !said.starts_with(why) {
            wrong.push(format!("{line}: {said}, not {why}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_tables_are_long() {
    let refused = REFUSED.into_iter().flat_map(lines).filter(|line| !line.starts_with('['));
    assert!(lines(ACCEPTED).count() + refused.count() >= 350);
}

#[test]
fn lengths_are_bounded() {
    let path = |length| format!("https://example.com/{}", "x".repeat(length));
    assert!(parse(&path(2028)).is_ok());
    assert_eq!(parse(&path(2029)), Err(UrlError::TooLong));
    let grows = format!("https://example.com/{}", "é".repeat(500));
    assert_eq!(parse(&grows), Err(UrlError::TooLong), "its normal form is three times as long");

    let label = |length| format!("https://{}.com/", "x".repeat(length));
    assert!(parse(&label(63)).is_ok());
    assert_eq!(parse(&label(64)), Err(UrlError::InvalidName));
    let name = |length: usize| format!("{}{}.com", "xxx.".repeat(62), "x".repeat(length - 252));
    assert!(parse(&format!("https://{}/", name(253))).is_ok());
    assert!(parse(&format!("https://{}./", name(253))).is_ok());
    assert_eq!(parse(&format!("https://{}/", name(254))), Err(UrlError::InvalidName));
}

#[test]
fn a_deployment_can_allow_http_and_addresses() {
    let policy = UrlPolicy { allow_http: true, allowed: "127.0.0.0/8".parse().unwrap() };
    let parse = |text| PublicUrl::parse(text, &policy).map(String::from);
    assert_eq!(parse("http://127.0.0.1:9000/inbox/a").unwrap(), "http://127.0.0.1:9000/inbox/a");
    assert_eq!(parse("http://127.1/").unwrap(), "http://127.0.0.1/");
    assert_eq!(parse("http://[::ffff:127.0.0.1]/").unwrap(), "http://[::ffff:7f00:1]/");
    assert_eq!(parse("http://10.0.0.1/"), Err(UrlError::Address(NotPublic::Private)));
    assert_eq!(parse("http://[64:ff9b::7f00:1]/"), Err(UrlError::Address(NotPublic::Loopback)));
    assert_eq!(parse("http://localhost/"), Err(UrlError::LocalName("localhost".into())));
    assert_eq!(parse("ftp://127.0.0.1/"), Err(UrlError::NeitherHttp));
    assert_eq!(parse("http:/\\127.0.0.1/"), Err(UrlError::NotAUrl));
}

#[test]
fn a_stored_url_is_read_back_and_can_be_checked_again() {
    let url: PublicUrl = serde_json::from_str(r#""http://127.0.0.1:9/a""#).unwrap();
    assert_eq!(serde_json::to_string(&url).unwrap(), r#""http://127.0.0.1:9/a""#);
    let local = UrlPolicy { allow_http: true, allowed: "127.0.0.0/8".parse().unwrap() };
    assert_eq!(url.check(&local), Ok(()));
    assert_eq!(url.check(&UrlPolicy { allow_http: false, ..local }), Err(UrlError::NotHttps));
    let public = UrlPolicy { allow_http: true, ..UrlPolicy::default() };
    assert_eq!(url.check(&public), Err(UrlError::Address(NotPublic::Loopback)));
}

/// A number as C reads it: in a base, with some leading zeros.
fn number(value: u32) -> impl Strategy<Value = String> {
    (0..3, 0..4_usize).prop_map(move |(base, zeros)| match base {
        0 => value.to_string(),
        1 => format!("0{}{value:o}", "0".repeat(zeros)),
        _ => format!("0x{}{value:X}", "0".repeat(zeros)),
    })
}

/// An IPv4 address in one to four numbers, of which the last takes all bytes that are left.
fn spelt_v4(ip: Ipv4Addr) -> impl Strategy<Value = String> {
    let dotted = |ip: Ipv4Addr, parts: u32| {
        let bits = ip.to_bits();
        let mut numbers: Vec<_> =
            ip.octets()[..parts as usize - 1].iter().map(|byte| number((*byte).into())).collect();
        numbers.push(number(if parts == 1 {
            bits
        } else {
            bits & (u32::MAX >> (8 * (parts - 1)))
        }));
        numbers.prop_map(|numbers| numbers.join("."))
    };
    let plain = (1..=4_u32).prop_flat_map(move |parts| dotted(ip, parts));
    (plain, 0..6).prop_map(|(plain, disguise)| match disguise {
        0 => plain + ".",
        1 => plain.replace('.', "。"),
        2 => plain.replace('.', "%2E"),
        3 => plain.chars().map(|c| if c == '.' { c } else { fullwidth(c) }).collect(),
        4 => plain.bytes().map(|byte| format!("%{byte:02x}")).collect(),
        _ => plain,
    })
}

fn fullwidth(c: char) -> char {
    char::from_u32(u32::from(c) - 0x20 + 0xff00).unwrap()
}

fn spelt_v6(ip: Ipv6Addr, form: usize) -> String {
    let segments = ip.segments();
    let [.., high, low] = segments;
    let padded = segments.map(|segment| format!("{segment:04x}")).join(":");
    let tail = Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match form {
        0 => format!("[{ip}]"),
        1 => format!("[{padded}]"),
        2 => format!("[{}]", padded.to_uppercase()),
        3 => format!("[{}]", segments.map(|segment| format!("{segment:x}")).join(":")),
        _ => format!("[{}:{tail}]", &padded[..29]),
    }
}

/// Any address, or one in a range that is often not public.
fn any_v4() -> impl Strategy<Value = Ipv4Addr> {
    const SPECIAL: &[u32] = &[
        0x7f00_0000,
        0x0a00_0000,
        0xa9fe_0000,
        0xc0a8_0000,
        0x6440_0000,
        0xa83f_8110,
        0xa9fe_a9fe,
    ];
    prop_oneof![
        any::<u32>(),
        (proptest::sample::select(SPECIAL), any::<u16>())
            .prop_map(|(range, low)| range | u32::from(low)),
        proptest::sample::select(SPECIAL),
    ]
    .prop_map(Ipv4Addr::from_bits)
}

fn judged(host: &str) -> Result<IpAddr, UrlError> {
    PublicUrl::parse(&format!("https://{host}/"), &UrlPolicy::default()).map(|url| {
        match url.as_url().host().unwrap() {
            Host::Ipv4(ip) => ip.into(),
            Host::Ipv6(ip) => ip.into(),
            Host::Domain(name) => panic!("{host} is the name {name}"),
        }
    })
}

fn expected(ip: IpAddr) -> Result<IpAddr, UrlError> {
    crate::endpoint::address::check_public(ip).map(|()| ip).map_err(UrlError::Address)
}

proptest! {
    #[test]
    fn every_spelling_of_an_ipv4_address_is_judged_alike((ip, host) in any_v4().prop_flat_map(|ip| (Just(ip), spelt_v4(ip)))) {
        prop_assert_eq!(judged(&host), expected(ip.into()), "{}", host);
    }

    #[test]
    fn every_spelling_of_an_ipv6_address_is_judged_alike(
        bits: u128, v4 in any_v4(), prefix in 0..5_usize, form in 0..5_usize
    ) {
        let prefix = [
            bits >> 32 << 32, 0, 0xffff << 32, 0x64_ff9b << 96,
            0x2002 << 112 | u128::from(v4.to_bits()) << 80
        ][prefix];
        let ip = Ipv6Addr::from_bits(prefix | u128::from(v4.to_bits()));
        let host = spelt_v6(ip, form);
        prop_assert_eq!(judged(&host), expected(ip.into()), "{}", host);
    }

    #[test]
    fn no_text_is_accepted_that_its_normal_form_is_not(
        text in "(https?|HTTPS):?[/\\\\]{0,3}[0-9a-zA-Z.:@%\\[\\]#?\\-\t]{0,20}"
    ) {
        if let Ok(normal) = parse(&text) {
            prop_assert_eq!(parse(&normal), Ok(normal));
        }
    }
}

#[test]
fn others_see_no_more_than_the_origin() {
    let policy = UrlPolicy { allow_http: true, ..UrlPolicy::default() };
    for (url, shown) in [
        ("https://hooks.slack.com/services/T000/B000/secret", "https://hooks.slack.com/…"),
        ("https://example.com:8443/?token=secret", "https://example.com:8443/…"),
        ("https://example.com?", "https://example.com/…"),
        ("https://example.com:443/", "https://example.com"),
        ("http://[2606:4700::1111]:8080", "http://[2606:4700::1111]:8080"),
    ] {
        let url = PublicUrl::parse(url, &policy).unwrap();
        assert_eq!((url.shown().as_str(), format!("{url:?}").as_str()), (shown, shown));
    }
}

#[test]
fn a_url_is_written_in_its_normal_form() {
    let url = crate::testing::url("HTTPS://Example.com:443/a?token=secret");
    let normal = "https://example.com/a?token=secret";
    assert_eq!(
        (url.as_str(), url.as_url().as_str(), url.to_string().as_str()),
        (normal, normal, normal)
    );
}
