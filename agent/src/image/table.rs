//! The peer table: every peer within the few buckets that a look-up tries.

use portreeve_common::class::{MAX_PEERS, MAX_PROBES, PEER_BUCKETS, PeerBucket, PeerKey};

use super::ImageError;

/// Half full, a table fails for one seed in thousands.
const SEEDS: u64 = 64;
/// Seeds are far apart in all bits.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The seed and the buckets.
///
/// # Errors
/// Too many peers, or no seed that places them all.
pub(super) fn place(peers: &[(PeerKey, u16)]) -> Result<(u64, Vec<PeerBucket>), ImageError> {
    if peers.len() > MAX_PEERS as usize {
        return Err(ImageError::Peers);
    }
    let seeds = (1..=SEEDS).map(|n| n.wrapping_mul(STEP));
    let placed = seeds.into_iter().find_map(|seed| fill(peers, seed).map(|buckets| (seed, buckets)));
    placed.ok_or(ImageError::Unplaced { peers: peers.len() })
}

fn fill(peers: &[(PeerKey, u16)], seed: u64) -> Option<Vec<PeerBucket>> {
    let mut buckets = vec![PeerBucket::default(); PEER_BUCKETS as usize];
    for (key, member) in peers {
        let first = key.bucket(seed);
        let taken = (first..first + MAX_PROBES).any(|at| {
            let bucket = buckets.get_mut((at & (PEER_BUCKETS - 1)) as usize);
            bucket.is_some_and(|bucket| bucket.insert(key, *member))
        });
        if !taken {
            return None;
        }
    }
    Some(buckets)
}
