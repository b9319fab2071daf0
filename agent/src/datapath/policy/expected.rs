//! What a half of the maps should hold.

use std::collections::BTreeMap;

use portreeve_common::{
    class::{PeerBucket, Peering},
    clause::Clause,
    names::{NameId, NameKey},
    settings::Settings,
};

use super::{
    BUCKETS, CLAUSES, PEERINGS, Tables, WORDS,
    documented::documented,
    page::{Pages, filled},
};

/// What a half should hold, as little as that takes: pages that are empty are left out.
pub struct Expected {
    pub(super) settings: Settings,
    pub(super) documented: Vec<u8>,
    pub(super) classes: Pages<u16, WORDS>,
    pub(super) peerings: Pages<Peering, PEERINGS>,
    pub(super) peers: Pages<PeerBucket, BUCKETS>,
    pub(super) shared: Pages<u16, WORDS>,
    pub(super) clauses: Pages<Clause, CLAUSES>,
    pub(super) names: Vec<String>,
}

impl Expected {
    /// Of these tables.
    #[must_use]
    pub fn of(tables: &Tables<'_>) -> Self {
        let Tables { classes, peerings, peers, shared, clauses, names, settings } = tables;
        Self {
            settings: *settings,
            documented: documented(classes),
            classes: filled(classes),
            peerings: filled(peerings),
            peers: filled(peers),
            shared: filled(shared),
            clauses: filled(clauses),
            names: names.to_vec(),
        }
    }
}

/// Ids by where their patterns stand.
pub(super) type Patterns = BTreeMap<NameKey, u64>;

/// Of these names and wildcards.
pub(super) fn patterns(generation: u16, names: &[String]) -> Patterns {
    names.iter().map(|name| (NameKey::of(generation, name), NameId::of(name).word())).collect()
}
