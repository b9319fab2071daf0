//! Fewer prefix lengths for the same peers: a set may have no more than the kernel tries.

use std::collections::BTreeMap;

use portreeve_common::{Address, class::MAX_LENGTHS};

use super::ImageError;

/// More prefixes than this never fit the peer table.
const MOST: u64 = portreeve_common::class::MAX_PEERS as u64;

/// Prefixes of one family, by length in bits of the sixteen bytes and masked address.
pub(super) type Prefixes = BTreeMap<u8, BTreeMap<Address, u16>>;

/// Splits the prefixes of lengths that are beyond the limit into those of the next longer length; where a longer
/// prefix stands already, it stays. What is covered stays exactly the same.
///
/// # Errors
/// There would be more prefixes than the peer table holds.
pub(super) fn fit(prefixes: &mut Prefixes) -> Result<(), ImageError> {
    prefixes.retain(|_, of_length| !of_length.is_empty());
    if prefixes.len() <= MAX_LENGTHS {
        return Ok(());
    }
    let lengths = prefixes.len();
    drop_covered(prefixes);
    while prefixes.len() > MAX_LENGTHS {
        let Some((length, next)) = cheapest(prefixes) else { return Ok(()) };
        if !split(prefixes, length, next) {
            return Err(ImageError::Lengths { lengths });
        }
    }
    Ok(())
}

/// Leaves out prefixes that say the same as the next shorter one around them.
fn drop_covered(prefixes: &mut Prefixes) {
    let lengths: Vec<u8> = prefixes.keys().rev().copied().collect();
    for (at, length) in lengths.iter().enumerate() {
        let shorter = lengths.get(at + 1..).unwrap_or_default();
        let Some(mut of_length) = prefixes.remove(length) else { continue };
        of_length.retain(|address, member| {
            let around =
                shorter.iter().find_map(|length| prefixes.get(length)?.get(&address.masked(*length)));
            around != Some(member)
        });
        prefixes.insert(*length, of_length);
    }
    prefixes.retain(|_, of_length| !of_length.is_empty());
}

/// The length that makes the fewest prefixes when it is split, and the next longer one.
fn cheapest(prefixes: &Prefixes) -> Option<(u8, u8)> {
    let cost = |(length, next): &(u8, u8)| {
        let count = prefixes.get(length).map_or(0, |of_length| of_length.len() as u64);
        count.saturating_mul(1_u64.checked_shl((next - length).into()).unwrap_or(u64::MAX))
    };
    prefixes.keys().copied().zip(prefixes.keys().copied().skip(1)).min_by_key(cost)
}

/// `false` where that would make too many.
fn split(prefixes: &mut Prefixes, length: u8, next: u8) -> bool {
    let Some(short) = prefixes.remove(&length) else { return false };
    let parts = 1_u64.checked_shl((next - length).into()).unwrap_or(u64::MAX);
    if (short.len() as u64).saturating_mul(parts) > MOST {
        return false;
    }
    let long = prefixes.entry(next).or_default();
    for (address, member) in short {
        let first = u128::from_be_bytes(address.octets());
        for part in 0..parts {
            let bits = first | u128::from(part) << (128 - u32::from(next));
            long.entry(from_bits(bits)).or_insert(member);
        }
    }
    true
}

/// From the sixteen bytes as a number.
pub(super) fn from_bits(bits: u128) -> Address {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bits.to_be_bytes();
    Address::v6([a, b, c, d, e, f, g, h], [i, j, k, l, m, n, o, p])
}
