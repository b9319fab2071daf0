//! Sets of peers, each stored once however many services have it, and the classes that point to them.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, hash_map::Entry},
    net::{IpAddr, Ipv4Addr},
    ops::Range,
};

use foldhash::{HashMap, HashMapExt as _};
use ipnet::IpNet;
use portreeve_common::{
    Address,
    class::{Class, MAX_CLASSES, MAX_LENGTHS, MAX_PEERS, MAX_SHARED, PeerKey, Peering, RuleId},
    decide::{BROADCAST, GROUP, OWN, PROTECTED_SET},
    names::NameId,
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
    known: HashMap<Members, Set>,
    classes: HashMap<(u16, Vec<RuleId>), Class>,
}

/// Prefixes and names, each with its position among the rules.
type Members = (Vec<(IpNet, u16)>, Vec<(NameId, u16)>);

#[derive(Clone)]
struct Set {
    number: u16,
    /// Where its peers are among those of all sets.
    peers: Range<usize>,
    v4: [u8; MAX_LENGTHS],
    v6: [u8; MAX_LENGTHS],
}

impl Sets {
    /// With the set of protected addresses, and of groups that rules name.
    pub(super) fn new(protected: &[IpNet], groups: impl Iterator<Item = IpAddr>) -> Self {
        Self {
            peerings: vec![Peering::default()],
            peers: protected_peers(protected, groups),
            shared: Vec::new(),
            known: HashMap::new(),
            classes: HashMap::new(),
        }
    }

    /// The class of these peers, each with its position in `members`; the first of equal prefixes holds.
    pub(super) fn class(
        &mut self,
        mut prefixes: Vec<(IpNet, u16)>,
        names: Vec<(NameId, u16)>,
        members: Vec<RuleId>,
    ) -> Result<Class, ImageError> {
        prefixes.sort_by_key(|(net, _)| *net);
        prefixes.dedup_by_key(|(net, _)| *net);
        let has_names = !names.is_empty();
        let set = self.set((prefixes, names))?;
        let known = match self.classes.entry((set.number, members)) {
            Entry::Occupied(known) => return Ok(*known.get()),
            Entry::Vacant(new) => new,
        };
        let number =
            u16::try_from(self.peerings.len()).ok().filter(|number| u32::from(*number) < MAX_CLASSES);
        let class = Class::numbered(number.ok_or(ImageError::Classes)?);
        let rules = place(&mut self.shared, &known.key().1)?;
        let nearest = known.key().1.first().copied().unwrap_or_default();
        let peering = Peering::new(set.number, rules, nearest, set.v4, set.v6);
        let peers = self.peers.get(set.peers.clone()).unwrap_or_default();
        let peers: Vec<_> = peers.iter().map(|(key, _)| (key.address, key.length)).collect();
        let peering = if has_names { peering.with_names() } else { peering.with_peers(&peers) };
        self.peerings.push(peering);
        known.insert(class);
        Ok(class)
    }

    fn set(&mut self, members: Members) -> Result<Set, ImageError> {
        if let Some(set) = self.known.get(&members) {
            return Ok(set.clone());
        }
        let number = u16::try_from(self.known.len() + 1).map_err(|_too_many| ImageError::Classes)?;
        let first = self.peers.len();
        let (nets, names) = &members;
        let mut set = match plain(number, nets, &mut self.peers) {
            Some(set) => set,
            None => {
                self.peers.truncate(first);
                split(number, nets, &mut self.peers)?
            }
        };
        self.peers.extend(names.iter().map(|(name, member)| (name.peer(number), *member)));
        set.peers = first..self.peers.len();
        if self.peers.len() > MAX_PEERS as usize {
            return Err(ImageError::Peers);
        }
        self.known.insert(members, set.clone());
        Ok(set)
    }
}

/// Adds the rules of a class to the list of shared rules; where they begin there.
fn place(shared: &mut Vec<RuleId>, members: &[RuleId]) -> Result<u16, ImageError> {
    if shared.len() + members.len() > MAX_SHARED as usize {
        return Err(ImageError::Shared);
    }
    let place = u16::try_from(shared.len()).map_err(|_too_many| ImageError::Shared)?;
    shared.extend(members);
    Ok(place)
}

/// The set as it stands; `None` where prefixes have to be split.
fn plain(number: u16, nets: &[(IpNet, u16)], peers: &mut Vec<(PeerKey, u16)>) -> Option<Set> {
    let mut set = Set { number, peers: 0..0, v4: [0; MAX_LENGTHS], v6: [0; MAX_LENGTHS] };
    for (net, member) in nets {
        let address = Address::from(net.network());
        let (lengths, length) = match net {
            IpNet::V4(v4) => (&mut set.v4, v4.prefix_len() + MAPPED),
            // An IPv4 address in its IPv6 form is no IPv6 peer, see `drop_mapped`.
            IpNet::V6(v6) if address.is_v4() && v6.prefix_len() >= MAPPED => continue,
            IpNet::V6(v6) => (&mut set.v6, v6.prefix_len()),
        };
        let place = lengths.iter_mut().find(|place| **place == length || **place == 0);
        *place.filter(|_| length > 0)? = length;
        peers.push((PeerKey { address, set: number, length }, *member));
    }
    set.v4.sort_unstable_by_key(|length| Reverse(*length));
    set.v6.sort_unstable_by_key(|length| Reverse(*length));
    Some(set)
}

/// The set with prefixes split, so that there are no more lengths than are tried.
fn split(number: u16, nets: &[(IpNet, u16)], peers: &mut Vec<(PeerKey, u16)>) -> Result<Set, ImageError> {
    let [mut v4, mut v6] = by_family(nets);
    expand::fit(&mut v4)?;
    expand::fit(&mut v6)?;
    drop_mapped(&mut v6);
    for (length, of_length) in v4.iter().chain(&v6) {
        let key = |address: &Address| PeerKey { address: *address, set: number, length: *length };
        peers.extend(of_length.iter().map(|(address, member)| (key(address), *member)));
    }
    Ok(Set { number, peers: 0..0, v4: lengths(&v4), v6: lengths(&v6) })
}

/// The prefixes of IPv4 and of IPv6, by length in bits of the sixteen bytes.
fn by_family(nets: &[(IpNet, u16)]) -> [Prefixes; 2] {
    let (mut v4, mut v6) = (Prefixes::new(), Prefixes::new());
    for (net, member) in nets {
        let address = Address::from(net.network());
        match (net, net.prefix_len()) {
            (IpNet::V4(_), length) => insert(&mut v4, length + MAPPED, address, *member),
            // A length of 0 ends the list: the two halves are the whole.
            (IpNet::V6(_), 0) => {
                insert(&mut v6, 1, Address::UNSPECIFIED, *member);
                insert(&mut v6, 1, expand::from_bits(1 << 127), *member);
            }
            (IpNet::V6(_), length) => insert(&mut v6, length, address, *member),
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

/// Own addresses, the broadcast addresses of the networks that they are in, and the groups.
fn protected_peers(protected: &[IpNet], groups: impl Iterator<Item = IpAddr>) -> Vec<(PeerKey, u16)> {
    let key = |address| PeerKey { address: Address::from(address), set: PROTECTED_SET, length: 128 };
    let mut peers = BTreeMap::new();
    for net in protected {
        peers.insert(key(net.addr()), OWN);
    }
    let limited = IpAddr::V4(Ipv4Addr::BROADCAST);
    for address in protected.iter().filter_map(directed_broadcast).chain([limited]) {
        peers.entry(key(address)).or_insert(BROADCAST);
    }
    for group in groups {
        peers.insert(key(group), GROUP);
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
