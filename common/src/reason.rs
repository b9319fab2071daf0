//! Why a packet passed or was dropped: one list for both sides.

/// The cause of a verdict. The numbers are positions in the kernel's counters: append only.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// A documented flow begins.
    Rule = 0,
    /// Part of a live flow.
    Established = 1,
    /// An ICMP error that quotes a live flow, a data connection of one, or a fragment of a passed packet.
    Related = 2,
    /// Met in the middle of a connection that policy would have let begin, in the adoption window.
    Adopted = 3,
    /// Not IP: industrial real-time Ethernet, LLDP, EAPOL and the like.
    BaselineEthertype = 4,
    /// ARP.
    BaselineArp = 5,
    /// IPv6 neighbour discovery.
    BaselineNdp = 6,
    /// IPv6 multicast listener discovery.
    BaselineMld = 7,
    /// This host's DHCP client.
    BaselineDhcp = 8,
    /// IGMP of the control groups, or for a flow that needs multicast.
    BaselineIgmp = 9,
    /// Headers that contradict themselves or the frame's length, or end too early.
    Malformed = 16,
    /// More than two VLAN tags.
    VlanDepth = 17,
    /// More than six IPv6 extension headers, or one that no host may send.
    ExtHeader = 18,
    /// An EtherType that the host file doesn't list.
    Ethertype = 19,
    /// A fragment without its first one, or a first one too short to hold the transport header.
    Fragment = 20,
    /// An ICMP redirect.
    Redirect = 21,
    /// Neighbour or listener discovery from farther than the link.
    HopLimit = 22,
    /// An ICMP error that quotes no live flow.
    IcmpUnrelated = 23,
    /// Nothing documents this port.
    NoRule = 24,
    /// Documented, but not for this peer.
    WrongPeer = 25,
    /// Mid-stream, or a reply without its flow.
    NoState = 26,
    /// Nothing documents this IP protocol.
    Protocol = 27,
    /// Neither from nor to one of the protected addresses.
    NotLocal = 28,
    /// A source address that no packet on a wire may have.
    Martian = 29,
    /// A table of our own was not there: a defect, counted so that it is seen.
    Internal = 30,
    /// Documented, but bound to another interface.
    WrongInterface = 31,
}

impl Reason {
    /// One more than the highest number: the counters' size.
    pub const COUNT: u32 = 32;

    /// The lowest number of a drop.
    pub const FIRST_DROP: u8 = Self::Malformed as u8;

    /// All, in order.
    pub const ALL: [Self; 26] = [
        Self::Rule,
        Self::Established,
        Self::Related,
        Self::Adopted,
        Self::BaselineEthertype,
        Self::BaselineArp,
        Self::BaselineNdp,
        Self::BaselineMld,
        Self::BaselineDhcp,
        Self::BaselineIgmp,
        Self::Malformed,
        Self::VlanDepth,
        Self::ExtHeader,
        Self::Ethertype,
        Self::Fragment,
        Self::Redirect,
        Self::HopLimit,
        Self::IcmpUnrelated,
        Self::NoRule,
        Self::WrongPeer,
        Self::NoState,
        Self::Protocol,
        Self::NotLocal,
        Self::Martian,
        Self::Internal,
        Self::WrongInterface,
    ];

    /// Whether the packet passes where the policy is enforced.
    #[inline(always)]
    #[must_use]
    pub const fn passes(self) -> bool {
        (self as u8) < Self::FIRST_DROP
    }

    /// Position in the counters.
    #[inline(always)]
    #[must_use]
    pub const fn index(self) -> u32 {
        self as u32
    }

    /// The reason with this number, where there is one.
    #[must_use]
    pub fn from_index(index: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| *reason as u8 == index)
    }

    /// The word of outputs and metrics; all baseline classes share one.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Established => "established",
            Self::Related => "related",
            Self::Adopted => "adopted",
            Self::BaselineEthertype
            | Self::BaselineArp
            | Self::BaselineNdp
            | Self::BaselineMld
            | Self::BaselineDhcp
            | Self::BaselineIgmp => "baseline",
            Self::Malformed => "malformed",
            Self::VlanDepth => "vlan-depth",
            Self::ExtHeader => "ext-header",
            Self::Ethertype => "ethertype",
            Self::Fragment => "fragment",
            Self::Redirect => "redirect",
            Self::HopLimit => "hop-limit",
            Self::IcmpUnrelated => "icmp-unrelated",
            Self::NoRule => "no-rule",
            Self::WrongPeer => "wrong-peer",
            Self::NoState => "no-state",
            Self::Protocol => "protocol",
            Self::NotLocal => "not-local",
            Self::Martian => "martian",
            Self::Internal => "internal",
            Self::WrongInterface => "wrong-interface",
        }
    }

    /// The reason in a sentence, for people.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Rule => "a documented flow begins",
            Self::Established => "part of a live flow",
            Self::Related => "belongs to a live flow",
            Self::Adopted => "in the middle of a connection that may begin, within the adoption window",
            Self::BaselineEthertype => "not IP, passed by EtherType",
            Self::BaselineArp => "ARP",
            Self::BaselineNdp => "IPv6 neighbour discovery",
            Self::BaselineMld => "IPv6 multicast listener discovery",
            Self::BaselineDhcp => "this host's DHCP client",
            Self::BaselineIgmp => "IGMP that a multicast flow needs",
            Self::Malformed => "headers that contradict themselves or end too early",
            Self::VlanDepth => "more than two VLAN tags",
            Self::ExtHeader => "too many or forbidden IPv6 extension headers",
            Self::Ethertype => "an EtherType that the host file does not list",
            Self::Fragment => "a fragment without a first one that passed",
            Self::Redirect => "an ICMP redirect",
            Self::HopLimit => "neighbour or listener discovery from beyond the link",
            Self::IcmpUnrelated => "an ICMP error about no live flow",
            Self::NoRule => "nothing documents this port",
            Self::WrongPeer => "documented, but not for this peer",
            Self::NoState => "mid-stream, or a reply without its flow",
            Self::Protocol => "nothing documents this IP protocol",
            Self::NotLocal => "not one of this host's protected addresses",
            Self::Martian => "a source address that may not appear on a wire",
            Self::Internal => "a table of Portreeve's own is missing",
            Self::WrongInterface => "documented, but bound to another interface",
        }
    }
}

impl core::fmt::Display for Reason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_positions_in_the_counters_and_do_not_change() {
        assert!(Reason::ALL.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(Reason::ALL.iter().all(|reason| reason.index() < Reason::COUNT));
        assert_eq!(Reason::ALL.map(Reason::index)[10..14], [16, 17, 18, 19]);
        assert_eq!(
            (Reason::NoRule as u8, Reason::Internal as u8, Reason::WrongInterface as u8),
            (24, 30, 31)
        );
    }

    #[test]
    fn exactly_the_first_ten_pass() {
        let passing = Reason::ALL.into_iter().filter(|reason| reason.passes()).count();
        assert_eq!(passing, 10);
    }
}
