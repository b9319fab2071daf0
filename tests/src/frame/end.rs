//! One end of a flow: an address, and a port where the protocol has them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Address and port; port 0 where it doesn't matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// IPv4 or IPv6.
    pub address: IpAddr,
    /// In host byte order.
    pub port: u16,
}

impl End {
    /// The address as IPv6; an IPv4 address is mapped.
    #[must_use]
    pub fn ipv6(self) -> Ipv6Addr {
        match self.address {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        }
    }

    /// The address as IPv4; 0.0.0.0 where it is none.
    #[must_use]
    pub fn ipv4(self) -> Ipv4Addr {
        match self.address {
            IpAddr::V4(address) => address,
            IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
        }
    }
}

impl From<IpAddr> for End {
    fn from(address: IpAddr) -> Self {
        Self { address, port: 0 }
    }
}

impl From<(IpAddr, u16)> for End {
    fn from((address, port): (IpAddr, u16)) -> Self {
        Self { address, port }
    }
}

/// # Panics
/// When the text is neither an address nor an address with a port: it is an expression in a test.
impl From<&str> for End {
    fn from(text: &str) -> Self {
        if let Ok(address) = text.parse::<IpAddr>() {
            return address.into();
        }
        let Ok(end) = text.parse::<SocketAddr>() else {
            panic!("`{text}` is not an address or address:port")
        };
        (end.ip(), end.port()).into()
    }
}
