//! The addresses and ports that frames by chance are made of.

use std::net::IpAddr;

/// Few of each, so that chance meets rules and flows. No list of addresses and ports
/// may be empty, but those about names.
#[derive(Clone, Debug)]
pub struct Pool {
    /// The host's own, and groups and broadcast addresses that it listens to.
    pub locals: Vec<IpAddr>,
    /// Everyone else's.
    pub peers: Vec<IpAddr>,
    /// Of services, on either side.
    pub services: Vec<u16>,
    /// Of clients.
    pub clients: Vec<u16>,
    /// What TCP segments carry, one letter a flag.
    pub flags: Vec<&'static str>,
    /// Whom the host asks for names, may it or not.
    pub resolvers: Vec<IpAddr>,
    /// What it asks for; none: it asks nobody.
    pub named: Vec<Named>,
    /// Where it connects to what it was told.
    pub named_services: Vec<u16>,
}

/// A name, and the addresses that it may have.
#[derive(Clone, Debug)]
pub struct Named {
    /// In lower case.
    pub name: &'static str,
    /// Of both families.
    pub addresses: Vec<IpAddr>,
}

/// What the verdict cases use most.
impl Default for Pool {
    fn default() -> Self {
        Self {
            locals: vec![[192, 0, 2, 10].into(), [0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x10].into()],
            peers: vec![
                [198, 51, 100, 20].into(),
                [0x2001, 0xdb8, 2, 0, 0, 0, 0, 0x20].into(),
                [192, 0, 2, 53].into(),
                [192, 0, 2, 200].into(),
                [203, 0, 113, 10].into(),
                [192, 0, 2, 20].into(),
                [0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x50].into(),
            ],
            services: vec![443, 53, 123, 80, 22, 161, 5481, 20, 21, 23],
            clients: vec![49_200, 49_201, 49_400],
            flags: vec!["S", "SA", "A", "PA", "FA", "R", "RA", "", "SF", "SR"],
            resolvers: Vec::new(),
            named: Vec::new(),
            named_services: Vec::new(),
        }
    }
}

impl Pool {
    /// With addresses that no flow may have: not the host's, groups, broadcast, loopback; and some on the link.
    #[must_use]
    pub fn with_strangers() -> Self {
        let mut pool = Self::default();
        // Mostly the host's own.
        pool.locals = pool.locals.repeat(16);
        let locals = ["192.0.2.77", "192.0.2.255", "224.0.0.1", "2001:db8:1::77", "ff02::1", "fe80::10"];
        let peers = ["127.0.0.1", "192.0.2.10", "0.0.0.0", "fe80::1", "::", "2001:db8:1::10"];
        pool.peers = pool.peers.repeat(6);
        pool.locals.extend(locals.map(|text| text.parse::<IpAddr>().expect("an address")));
        pool.peers.extend(peers.map(|text| text.parse::<IpAddr>().expect("an address")));
        pool
    }
}
