//! placeholder until the address rules land
use std::{net::IpAddr, str::FromStr};
use ipnet::IpNet;
/// Address ranges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedCidrs(Vec<IpNet>);
impl AllowedCidrs {
    /// In a range.
    pub fn permits(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|net| net.contains(&ip))
    }
}
impl FromStr for AllowedCidrs {
    type Err = ipnet::AddrParseError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}
