//! Numbers that IANA and IEEE assigned.

/// EtherTypes (IEEE 802).
pub mod ethertype {
    /// IPv4.
    pub const IPV4: u16 = 0x0800;
    /// ARP.
    pub const ARP: u16 = 0x0806;
    /// IPv6.
    pub const IPV6: u16 = 0x86dd;
    /// A VLAN tag (IEEE 802.1Q).
    pub const VLAN: u16 = 0x8100;
    /// A provider's VLAN tag (IEEE 802.1ad).
    pub const PROVIDER_VLAN: u16 = 0x88a8;
    /// The stacked tag in use before 802.1ad.
    pub const OLD_STACKED_VLAN: u16 = 0x9100;
    /// Below it the field is a length: an LLC frame (IEEE 802.3).
    pub const FIRST: u16 = 0x0600;
}

/// IP protocols.
pub mod protocol {
    /// ICMP.
    pub const ICMP: u8 = 1;
    /// IGMP.
    pub const IGMP: u8 = 2;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// ICMPv6.
    pub const ICMPV6: u8 = 58;
}

/// IPv6 extension headers that are walked (RFC 8200, section 4.1); any other number is a final protocol.
pub mod extension {
    /// Hop-by-hop options.
    pub const HOP_BY_HOP: u8 = 0;
    /// Routing.
    pub const ROUTING: u8 = 43;
    /// Fragment.
    pub const FRAGMENT: u8 = 44;
    /// Destination options.
    pub const DESTINATION: u8 = 60;
    /// Mobility (RFC 6275).
    pub const MOBILITY: u8 = 135;
    /// Host identity (RFC 7401).
    pub const HIP: u8 = 139;
    /// Shim6 (RFC 5533).
    pub const SHIM6: u8 = 140;
}

/// ICMP types for IPv4 (RFC 792, RFC 1256).
pub mod icmp {
    /// Echo reply.
    pub const ECHO_REPLY: u8 = 0;
    /// Destination unreachable.
    pub const UNREACHABLE: u8 = 3;
    /// Redirect.
    pub const REDIRECT: u8 = 5;
    /// Echo request.
    pub const ECHO: u8 = 8;
    /// Time exceeded.
    pub const TIME_EXCEEDED: u8 = 11;
    /// Parameter problem.
    pub const PARAMETER_PROBLEM: u8 = 12;
}

/// ICMPv6 types (RFC 4443, RFC 4861, RFC 2710, RFC 3810).
pub mod icmpv6 {
    /// Destination unreachable: the first error.
    pub const UNREACHABLE: u8 = 1;
    /// Parameter problem: the last error in use.
    pub const PARAMETER_PROBLEM: u8 = 4;
    /// Echo request.
    pub const ECHO: u8 = 128;
    /// Echo reply.
    pub const ECHO_REPLY: u8 = 129;
    /// Multicast listener query.
    pub const LISTENER_QUERY: u8 = 130;
    /// Multicast listener report.
    pub const LISTENER_REPORT: u8 = 131;
    /// Multicast listener done.
    pub const LISTENER_DONE: u8 = 132;
    /// Router solicitation.
    pub const ROUTER_SOLICITATION: u8 = 133;
    /// Router advertisement.
    pub const ROUTER_ADVERTISEMENT: u8 = 134;
    /// Neighbour solicitation.
    pub const NEIGHBOUR_SOLICITATION: u8 = 135;
    /// Neighbour advertisement.
    pub const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
    /// Redirect.
    pub const REDIRECT: u8 = 137;
    /// Version 2 multicast listener report.
    pub const LISTENER_REPORT_V2: u8 = 143;
}

/// IGMP types (RFC 2236, RFC 3376).
pub mod igmp {
    /// Membership query.
    pub const QUERY: u8 = 0x11;
    /// Reports of versions 1 and 2, the leave, and the report of version 3.
    pub const REPORTS: [u8; 4] = [0x12, 0x16, 0x17, 0x22];
}

/// UDP ports of DHCP (RFC 2131, RFC 8415).
pub mod dhcp {
    /// Server, IPv4.
    pub const SERVER: u16 = 67;
    /// Client, IPv4.
    pub const CLIENT: u16 = 68;
    /// Client, IPv6.
    pub const CLIENT_V6: u16 = 546;
    /// Server, IPv6.
    pub const SERVER_V6: u16 = 547;
}
