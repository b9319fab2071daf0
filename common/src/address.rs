//! An IPv4 or IPv6 address in sixteen bytes.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The four bytes before an IPv4 address in its IPv6 form (RFC 4291, section 2.5.5.2).
const MAPPED: [u8; 4] = [0, 0, 0xff, 0xff];

/// An address in network byte order; IPv4 as `::ffff:a.b.c.d`, so that every table holds one form.
///
/// Two aligned words rather than sixteen bytes: the kernel programs compare and hash it by word.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    words: [u64; 2],
}

const _: () = assert!(size_of::<Address>() == 16);

impl Address {
    /// `::`, which no table holds.
    pub const UNSPECIFIED: Self = Self { words: [0, 0] };

    /// 0.0.0.0: a host that has no address yet.
    pub(crate) const NOBODY_V4: Self = Self::v4([0; 4]);
    /// All DHCP servers and relays of a link (RFC 8415, section 7.1).
    pub(crate) const ALL_DHCP_SERVERS: Self = Self::v6([0xff, 2, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1, 0, 2]);

    /// From the four bytes of an IPv4 header.
    #[inline(always)]
    #[must_use]
    pub const fn v4(octets: [u8; 4]) -> Self {
        let ([m0, m1, m2, m3], [a, b, c, d]) = (MAPPED, octets);
        Self { words: [0, u64::from_ne_bytes([m0, m1, m2, m3, a, b, c, d])] }
    }

    /// From the word of an IPv4 header, as it lies there.
    #[inline(always)]
    #[must_use]
    pub const fn v4_word(word: u32) -> Self {
        let [m0, m1, m2, m3] = MAPPED;
        if cfg!(target_endian = "little") {
            Self { words: [0, (word as u64) << 32 | u32::from_ne_bytes([m0, m1, m2, m3]) as u64] }
        } else {
            Self { words: [0, (u32::from_ne_bytes([m0, m1, m2, m3]) as u64) << 32 | word as u64] }
        }
    }

    /// From the two halves of the sixteen bytes of an IPv6 header.
    #[inline(always)]
    #[must_use]
    pub const fn v6(high: [u8; 8], low: [u8; 8]) -> Self {
        Self { words: [u64::from_ne_bytes(high), u64::from_ne_bytes(low)] }
    }

    /// The two halves as they lie in memory.
    #[inline(always)]
    #[must_use]
    pub const fn words(&self) -> [u64; 2] {
        self.words
    }

    /// From two halves as they lie in memory.
    #[inline(always)]
    #[must_use]
    pub const fn from_words(words: [u64; 2]) -> Self {
        Self { words }
    }

    /// The sixteen bytes, network byte order.
    #[inline(always)]
    #[must_use]
    pub const fn octets(&self) -> [u8; 16] {
        let [a, b, c, d, e, f, g, h] = self.words[0].to_ne_bytes();
        let [i, j, k, l, m, n, o, p] = self.words[1].to_ne_bytes();
        [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
    }

    /// Whether it is an IPv4 address in its IPv6 form.
    #[inline(always)]
    #[must_use]
    pub const fn is_v4(&self) -> bool {
        let [m0, m1, m2, m3] = MAPPED;
        let mask = u64::from_ne_bytes([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        self.words[0] == 0 && self.words[1] & mask == u64::from_ne_bytes([m0, m1, m2, m3, 0, 0, 0, 0])
    }

    /// The first `length` bits kept, the rest zero. `length` counts from the start of the sixteen bytes: an
    /// IPv4 prefix of 24 bits has 120.
    #[inline(always)]
    #[must_use]
    pub const fn masked(&self, length: u8) -> Self {
        let high = mask_word(if length < 64 { length } else { 64 });
        let low = mask_word(length.saturating_sub(64));
        Self { words: [self.words[0] & high, self.words[1] & low] }
    }

    /// Multicast, of either family (RFC 5771, RFC 4291).
    #[inline(always)]
    #[must_use]
    pub const fn is_multicast(&self) -> bool {
        if self.is_v4() { self.octets()[12] & 0xf0 == 0xe0 } else { self.octets()[0] == 0xff }
    }

    /// 255.255.255.255.
    #[inline(always)]
    #[must_use]
    pub const fn is_limited_broadcast(&self) -> bool {
        let all = Self::v4([0xff; 4]);
        self.words[0] == all.words[0] && self.words[1] == all.words[1]
    }

    /// ff02::1:2.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn is_all_dhcp_servers(&self) -> bool {
        let all = Self::ALL_DHCP_SERVERS;
        self.words[0] == all.words[0] && self.words[1] == all.words[1]
    }

    /// 224.0.0.0/24, which no router forwards (RFC 5771, section 4).
    #[inline(always)]
    #[must_use]
    pub const fn is_local_control(&self) -> bool {
        let masked = self.masked(120);
        let block = Self::v4([224, 0, 0, 0]);
        masked.words[0] == block.words[0] && masked.words[1] == block.words[1]
    }

    /// 0.0.0.0/8 or `::`: a host that has no address yet (RFC 1122, section 3.2.1.3).
    #[inline(always)]
    #[must_use]
    pub const fn is_nowhere(&self) -> bool {
        self.is_unspecified() || self.is_v4() && self.octets()[12] == 0
    }

    /// 0.0.0.0 or `::`.
    #[inline(always)]
    #[must_use]
    pub const fn is_unspecified(&self) -> bool {
        self.words[0] == 0 && (self.words[1] == 0 || self.words[1] == Self::v4([0; 4]).words[1])
    }

    /// 127.0.0.0/8 or `::1`.
    #[inline(always)]
    #[must_use]
    pub const fn is_loopback(&self) -> bool {
        if self.is_v4() {
            self.octets()[12] == 127
        } else {
            self.words[0] == 0 && self.words[1] == u64::from_ne_bytes([0, 0, 0, 0, 0, 0, 0, 1])
        }
    }

    /// fe80::/10.
    #[inline(always)]
    #[must_use]
    pub const fn is_link_local_v6(&self) -> bool {
        let octets = self.octets();
        octets[0] == 0xfe && octets[1] & 0xc0 == 0x80
    }
}

/// A mask of the first `bits` of a word as it lies in memory; 0 to 64.
#[inline(always)]
const fn mask_word(bits: u8) -> u64 {
    if bits == 0 { 0 } else { u64::to_be(u64::MAX << ((64 - bits) as u32 & 63)) }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        let octets = match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = octets;
        Self::v6([a, b, c, d, e, f, g, h], [i, j, k, l, m, n, o, p])
    }
}

impl From<Address> for IpAddr {
    fn from(address: Address) -> Self {
        let octets = address.octets();
        if address.is_v4() {
            let [.., a, b, c, d] = octets;
            Self::V4(Ipv4Addr::new(a, b, c, d))
        } else {
            Self::V6(Ipv6Addr::from(octets))
        }
    }
}

impl core::fmt::Display for Address {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        IpAddr::from(*self).fmt(f)
    }
}

#[cfg(feature = "user")]
// SAFETY: `repr(C)`, two words, no padding, every bit pattern is a value.
unsafe impl aya::Pod for Address {}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::from(text.parse::<IpAddr>().expect("an address"))
    }

    #[test]
    fn both_families_keep_their_bytes() {
        for text in ["192.0.2.10", "2001:db8:1::10", "::", "0.0.0.0", "255.255.255.255"] {
            assert_eq!(IpAddr::from(address(text)).to_string(), text);
        }
        assert_eq!(address("192.0.2.10"), Address::v4([192, 0, 2, 10]));
        assert_eq!(address("192.0.2.10"), Address::v4_word(u32::from_ne_bytes([192, 0, 2, 10])));
        assert!(address("192.0.2.10").is_v4());
        assert!(!address("::192.0.2.10").is_v4());
    }

    #[test]
    fn a_mask_keeps_its_bits_and_no_more() {
        for (text, length, masked) in [
            ("192.0.2.10", 120, "192.0.2.0"),
            ("192.0.2.10", 128, "192.0.2.10"),
            ("192.0.2.130", 121, "192.0.2.128"),
            ("2001:db8:1::10", 48, "2001:db8:1::"),
            ("2001:db8:1:ff80::10", 57, "2001:db8:1:ff80::"),
            ("2001:db8:1::4000:0:0:10", 65, "2001:db8:1::"),
            ("2001:db8:1:0:8000::10", 65, "2001:db8:1:0:8000::"),
            ("2001:db8::1", 0, "::"),
        ] {
            assert_eq!(address(text).masked(length), address(masked), "{text}/{length}");
        }
    }

    #[test]
    fn kinds_are_told_apart() {
        assert!(address("224.0.0.1").is_multicast() && address("ff02::1").is_multicast());
        assert!(!address("223.255.255.255").is_multicast() && !address("240.0.0.1").is_multicast());
        assert!(address("255.255.255.255").is_limited_broadcast());
        assert!(address("0.0.0.0").is_unspecified() && address("::").is_unspecified());
        assert!(address("224.0.0.22").is_local_control() && !address("224.0.1.22").is_local_control());
        assert!(
            address("0.0.0.1").is_nowhere() && address("::").is_nowhere() && !address("1.0.0.0").is_nowhere()
        );
        assert!(!address("0.0.0.1").is_unspecified() && !address("::1").is_unspecified());
        assert!(address("127.0.0.1").is_loopback() && address("::1").is_loopback());
        assert!(address("fe80::1").is_link_local_v6() && !address("fec0::1").is_link_local_v6());
    }
}
