//! IPv6 extension headers, each in its shortest form (RFC 8200, section 4).

/// A kind of extension header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    /// Hop-by-hop options, only padding.
    HopByHop,
    /// Hop-by-hop options with a Router Alert, as MLD has it (RFC 2711).
    RouterAlert,
    /// Routing, type 0 with no segments left.
    Routing,
    /// Fragment: where [`super::Frame::fragment`] goes, or an atomic fragment (RFC 6946).
    Fragment,
    /// Authentication (RFC 4302), whose length counts in other units than all the others.
    Authentication,
    /// Destination options, only padding.
    Destination,
    /// Mobility (RFC 6275).
    Mobility,
}

impl Extension {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::HopByHop,
        Self::Destination,
        Self::Routing,
        Self::Fragment,
        Self::Authentication,
        Self::RouterAlert,
        Self::Mobility,
    ];

    /// Its number in a next-header field.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::HopByHop | Self::RouterAlert => 0,
            Self::Routing => 43,
            Self::Fragment => 44,
            Self::Authentication => 51,
            Self::Destination => 60,
            Self::Mobility => 135,
        }
    }

    /// The header in front of what `next` numbers.
    pub(super) fn bytes(self, next: u8) -> Vec<u8> {
        match self {
            // PadN of six bytes in all.
            Self::HopByHop | Self::Destination => vec![next, 0, 1, 4, 0, 0, 0, 0],
            // Router Alert for MLD, then PadN of two.
            Self::RouterAlert => vec![next, 0, 5, 2, 0, 0, 1, 0],
            Self::Routing | Self::Fragment | Self::Mobility => vec![next, 0, 0, 0, 0, 0, 0, 0],
            // Four words: length 2, SPI, sequence number, a check value of four bytes.
            Self::Authentication => vec![next, 2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0],
        }
    }
}
