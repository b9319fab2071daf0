//! Sets of peers, each stored once however many services have it, and the classes that point to them.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv4Addr},
};

use ipnet::IpNet;
use portreeve_common::{
    Address,
    class::{Class, MAX_CLASSES, MAX_LENGTHS, MAX_PEERS, MAX_SHARED, PeerKey, Peering, RuleId},
    decide::{BROADCAST, OWN, PROTECTED_SET},
};

use super::{
    ImageError,
    expand::{self, Prefixes},
};

/// Bits before an IPv4 address in its IPv6 form.
const MAPPED: u8 = 96;

/// Peers of all sets, and the classes that use them.
pub(super) struct Sets {
    /// By class number.
    pub(super) peerings: Vec<Peering>,
    /// Of all sets.
    pub(super) peers: Vec<(PeerKey, u16)>,
    /// Rules of the classes.
    pub(super) shared: Vec<RuleId>,
    known: HashMap<Vec<(IpNet, u16)>, Set>,
    classes: HashMap<(u16, Vec<RuleId>), Class>,
    places: HashMap<Vec<RuleId>, u16>,
}

#[derive(Clone, Copy)]
struct Set {
    number: u16,
    v4: [u8; MAX_LENGTHS],
    v6: [u8; MAX_LENGTHS],
}

impl Sets {
    /// With the set of protected addresses.
    pub(super) fn new(protected: &[IpNet]) -> Self {
        Self {
            peerings: vec![Peering::default()],
            peers: protected_peers(protected),
            shared: Vec::new(),
            known: HashMap::new(),
            classes: HashMap::new(),
            places: HashMap::new(),
        }
    }

    /// The class of these peers; `prefixes` names members by their position in `members`.
    pub(super) fn class(
        &mut self,
        prefixes: &HashMap<IpNet, u16>,
        members: &[RuleId],
    ) -> Result<Class, ImageError> {
        let set = self.set(prefixes)?;
        let key = (set.number, members.to_vec());
        if let Some(class) = self.classes.get(&key) {
            return Ok(*class);
        }
        let rules = self.place(members)?;
        let number =
            u16::try_from(self.peerings.len()).ok().filter(|number| u32::from(*number) < MAX_CLASSES);
        let class = Class::numbered(number.ok_or(ImageError::Classes)?);
        self.peerings.push(Peering::new(set.number, rules, set.v4, set.v6));
        self.classes.insert(key, class);
        Ok(class)
    }

    fn set(&mut self, prefixes: &HashMap<IpNet, u16>) -> Result<Set, ImageError> {
        let mut key: Vec<(IpNet, u16)> = prefixes.iter().map(|(net, member)| (*net, *member)).collect();
        key.sort_unstable();
        if let Some(set) = self.known.get(&key) {
            return Ok(*set);
        }
        let number = u16::try_from(self.known.len() + 1).map_err(|_too_many| ImageError::Classes)?;
        let [mut v4, mut v6] = by_family(&key);
        expand::fit(&mut v4)?;
        expand::fit(&mut v6)?;
        drop_mapped(&mut v6);
        self.add(number, &v4)?;
        self.add(number, &v6)?;
        let set = Set { number, v4: lengths(&v4), v6: lengths(&v6) };
        self.known.insert(key, set);
        Ok(set)
    }

    fn add(&mut self, set: u16, prefixes: &Prefixes) -> Result<(), ImageError> {
        for (length, of_length) in prefixes {
            let peer = |(address, member): (&Address, &u16)| {
                (PeerKey { address: *address, set, length: *length }, *member)
            };
            self.peers.extend(of_length.iter().map(peer));
        }
        if self.peers.len() > MAX_PEERS as usize { Err(ImageError::Peers) } else { Ok(()) }
    }

    /// Where these rules stand in the list of shared rules.
    fn place(&mut self, members: &[RuleId]) -> Result<u16, ImageError> {
        if let Some(place) = self.places.get(members) {
            return Ok(*place);
        }
        if self.shared.len() + members.len() > MAX_SHARED as usize {
            return Err(ImageError::Shared);
        }
        let place = u16::try_from(self.shared.len()).map_err(|_too_many| ImageError::Shared)?;
        self.shared.extend(members);
        self.places.insert(members.to_vec(), place);
        Ok(place)
    }
}

/// The prefixes of IPv4 and of IPv6, by length in bits of the sixteen bytes.
fn by_family(nets: &[(IpNet, u16)]) -> [Prefixes; 2] {
    let (mut v4, mut v6) = (Prefixes::new(), Prefixes::new());
    for (net, member) in nets {
        let address = Address::from(net.network());
        let family = if matches!(net, IpNet::V4(_)) { &mut v4 } else { &mut v6 };
        match (net, net.prefix_len()) {
            (IpNet::V4(_), length) => insert(family, length + MAPPED, address, *member),
            // A length of 0 ends the list: the two halves are the whole.
            (IpNet::V6(_), 0) => {
                insert(family, 1, Address::UNSPECIFIED, *member);
                insert(family, 1, expand::from_bits(1 << 127), *member);
            }
            (IpNet::V6(_), length) => insert(family, length, address, *member),
        }
    }
    [v4, v6]
}

/// The halves of `::/0` give way to prefixes of that length.
fn insert(family: &mut Prefixes, length: u8, address: Address, member: u16) {
    family.entry(length).or_default().insert(address, member);
}

/// An IPv4 address in its IPv6 form stands for IPv4 in every table, and is no IPv6 peer.
fn drop_mapped(prefixes: &mut Prefixes) {
    for (_, of_length) in prefixes.range_mut(MAPPED..) {
        of_length.retain(|address, _| !address.is_v4());
    }
    prefixes.retain(|_, of_length| !of_length.is_empty());
}

/// Longest first, ended by 0.
fn lengths(prefixes: &Prefixes) -> [u8; MAX_LENGTHS] {
    let mut lengths = [0; MAX_LENGTHS];
    for (place, length) in lengths.iter_mut().zip(prefixes.keys().rev()) {
        *place = *length;
    }
    lengths
}

/// Own addresses, and the broadcast addresses of the networks that they are in.
fn protected_peers(protected: &[IpNet]) -> Vec<(PeerKey, u16)> {
    let key = |address| PeerKey { address: Address::from(address), set: PROTECTED_SET, length: 128 };
    let mut peers = BTreeMap::new();
    for net in protected {
        peers.insert(key(net.addr()), OWN);
    }
    let limited = IpAddr::V4(Ipv4Addr::BROADCAST);
    for address in protected.iter().filter_map(directed_broadcast).chain([limited]) {
        peers.entry(key(address)).or_insert(BROADCAST);
    }
    peers.into_iter().collect()
}

/// Networks of two addresses have none (RFC 3021).
fn directed_broadcast(net: &IpNet) -> Option<IpAddr> {
    match net {
        IpNet::V4(v4) if v4.prefix_len() < 31 => Some(v4.broadcast().into()),
        IpNet::V4(_) | IpNet::V6(_) => None,
    }
}
