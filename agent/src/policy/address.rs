//! One remote end as people write it: an address, a prefix, or a name.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
    str::FromStr,
};

use ipnet::IpNet;

/// An address or prefix, or a name that is resolved while the agent runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Remote {
    /// A prefix without host bits; an address is a prefix of full length.
    Net(IpNet),
    /// Lower case, without a final dot; exact or `*.name`.
    Name(String),
}

/// Why a text names no remote end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// The number after the slash is too large.
    #[error("the prefix length of `{text}` is out of range")]
    Length {
        /// As written.
        text: String,
        /// 4 or 6.
        family: u8,
        /// 32 or 128.
        longest: u8,
    },
    /// Bits are set that the prefix does not cover.
    #[error("the prefix `{text}` has host bits set")]
    HostBits {
        /// As written.
        text: String,
        /// The prefix that it lies in.
        masked: IpNet,
        /// The address before the slash.
        address: IpAddr,
    },
    /// Looks like an address, but isn't one.
    #[error("`{0}` is not an IP address")]
    Address(String),
    /// Neither an address nor a name.
    #[error("`{0}` is neither an address, a prefix nor a domain name")]
    Name(String),
    /// A group, broadcast or placeholder address, which no host sends from.
    #[error("`{0}` is not the address of a host")]
    NotAHost(IpAddr),
}

impl RemoteError {
    /// What would be right.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::Length { text: _, family, longest } => {
                format!("IPv{family} prefixes go from /0 to /{longest}")
            }
            Self::HostBits { text: _, masked, address } => {
                format!("write \"{masked}\" for the network, or \"{address}\" for the host")
            }
            Self::NotAHost(_) => "groups, broadcast and 0.0.0.0 send nothing: write who does".into(),
            Self::Address(_) | Self::Name(_) => {
                "write an address, a prefix, a full name like \"api.example.com\", or \"*.example.com\""
                    .into()
            }
        }
    }
}

impl FromStr for Remote {
    type Err = RemoteError;

    fn from_str(text: &str) -> Result<Self, RemoteError> {
        if let Some((address, length)) = text.split_once('/') {
            return prefix(text, address, length).map(Self::Net);
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return host(address).map(|address| Self::Net(address.into()));
        }
        let numeric = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        if numeric || text.contains(':') {
            return Err(RemoteError::Address(text.into()));
        }
        domain(text).map(Self::Name).ok_or_else(|| RemoteError::Name(text.into()))
    }
}

fn prefix(text: &str, address: &str, length: &str) -> Result<IpNet, RemoteError> {
    let address: IpAddr = address.parse().map_err(|_not_an_address| RemoteError::Address(text.into()))?;
    let (family, longest) = if address.is_ipv4() { (4, 32) } else { (6, 128) };
    let out_of_range = || RemoteError::Length { text: text.into(), family, longest };
    if length.is_empty() || !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(RemoteError::Address(text.into()));
    }
    let length = length.parse().map_err(|_too_large| out_of_range())?;
    let net = IpNet::new(address, length).map_err(|_too_long| out_of_range())?;
    if net.trunc() == net {
        // A prefix that holds hosts beside groups, like 0.0.0.0/0, is one all the same.
        let groups_only = net.network().is_multicast();
        let single = net.prefix_len() == net.max_prefix_len();
        return if groups_only || single { host(address).map(|_host| net) } else { Ok(net) };
    }
    Err(RemoteError::HostBits { text: text.into(), masked: net.trunc(), address })
}

fn host(address: IpAddr) -> Result<IpAddr, RemoteError> {
    let broadcast = address == IpAddr::V4(Ipv4Addr::BROADCAST);
    if address.is_multicast() || address.is_unspecified() || broadcast {
        return Err(RemoteError::NotAHost(address));
    }
    Ok(address)
}

/// A domain name in lower case without its final dot, if `text` is one; `*.` may stand before it.
#[must_use]
pub fn domain(text: &str) -> Option<String> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let exact = name.strip_prefix("*.").unwrap_or(&name);
    // RFC 1035, 2.3.4: labels of 63 octets, names of 255 on the wire, which is 253 in text.
    let fits = exact.len() <= 253 && exact.contains('.');
    (fits && exact.split('.').all(is_label)).then_some(name)
}

fn is_label(label: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=63).contains(&label.len())
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(net) => f.write_str(&show(net)),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// A prefix as people write it: a single host without its length.
#[must_use]
pub fn show(net: &IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
}

/// Whether no router of the public internet carries this prefix (RFC 6890 and its registries).
#[must_use]
pub fn is_private(net: &IpNet) -> bool {
    const PRIVATE: [&str; 13] = [
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.2.0/24",
        "192.168.0.0/16",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "::1/128",
        "2001:db8::/32",
        "fc00::/7",
        "fe80::/10",
    ];
    PRIVATE.iter().filter_map(|text| text.parse::<IpNet>().ok()).any(|private| private.contains(net))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(text: &str) -> Result<String, String> {
        text.parse::<Remote>().map(|r| r.to_string()).map_err(|e| e.to_string())
    }

    #[test]
    fn addresses_prefixes_and_names() {
        for (text, shown) in [
            ("198.51.100.7", "198.51.100.7"),
            ("198.51.100.0/24", "198.51.100.0/24"),
            ("2001:DB8::10", "2001:db8::10"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("API.example.com.", "api.example.com"),
            ("*.example.com", "*.example.com"),
        ] {
            assert_eq!(remote(text).as_deref(), Ok(shown));
        }
    }

    #[test]
    fn each_mistake_has_its_words() {
        for (text, part) in [
            ("198.51.100.0/33", "go from /0 to /32"),
            ("2001:db8::/129", "go from /0 to /128"),
            (
                "198.51.100.7/24",
                "write \"198.51.100.0/24\" for the network, or \"198.51.100.7\" for the host",
            ),
            ("198.51.100.256", "is not an IP address"),
            ("198.51.100", "is not an IP address"),
            ("2001:db8:::1", "is not an IP address"),
            ("198.51.100.0/x", "is not an IP address"),
            ("relay", "neither an address"),
            ("a..example", "neither an address"),
            ("*", "neither an address"),
            ("x.*.example", "neither an address"),
            ("224.10.10.25", "not the address of a host"),
            ("224.0.0.0/4", "not the address of a host"),
            ("0.0.0.0/32", "not the address of a host"),
            ("255.255.255.255", "not the address of a host"),
            ("::", "not the address of a host"),
        ] {
            let error = text.parse::<Remote>().unwrap_err();
            let words = format!("{error}; {}", error.help());
            assert!(words.contains(part), "{text}: {words}");
        }
    }

    #[test]
    fn private_means_not_routed() {
        for (text, private) in
            [("10.1.0.0/16", true), ("fd00::1/128", true), ("8.8.8.8/32", false), ("0.0.0.0/0", false)]
        {
            assert_eq!(is_private(&text.parse().unwrap()), private, "{text}");
        }
    }
}
