//! Tables as they lie in a map: in pages, each generation's in one half of the map.

use std::collections::BTreeMap;

use aya::{
    Pod,
    maps::{Array, MapData, MapError},
};

use portreeve_common::page::{HALVES, half};

use super::super::{DatapathError, map::failed};
use crate::crash;

/// Pages by number.
pub(super) type Pages<V, const N: usize> = BTreeMap<u32, Box<[V; N]>>;

/// A page of a table; what the table doesn't reach is empty.
fn page<V: Pod + Default, const N: usize>(table: &[V], number: u32) -> [V; N] {
    let mut page = [V::default(); N];
    for (to, from) in page.iter_mut().zip(rest(table, number, N)) {
        *to = *from;
    }
    page
}

/// A table from a page on.
fn rest<V>(table: &[V], number: u32, length: usize) -> &[V] {
    let begin = usize::try_from(number).unwrap_or(usize::MAX).saturating_mul(length);
    table.get(begin..).unwrap_or_default()
}

fn fits<V: Pod, const N: usize>(map: &Array<MapData, [V; N]>, table: &[V]) -> Result<u32, MapError> {
    let count = map.len() / HALVES;
    let needed = u32::try_from(table.len().div_ceil(N)).unwrap_or(u32::MAX);
    if needed > count {
        return Err(MapError::OutOfBounds { index: needed, max_entries: count });
    }
    Ok(count)
}

pub(super) fn pages<V: Pod + Default + PartialEq, const N: usize>(
    map: &mut Array<MapData, [V; N]>,
    generation: u16,
    table: &[V],
) -> Result<(), MapError> {
    let count = fits(map, table)?;
    let first = half(generation) * count;
    for number in 0..count {
        let now = map.get(&(first + number), 0)?;
        // Most pages stand there already, and most are whole: they are compared where they lie.
        let same = match rest(table, number, N).first_chunk::<N>() {
            Some(page) => now == *page,
            None => now == page(table, number),
        };
        if !same {
            crash::point();
            map.set(first + number, page(table, number), 0)?;
        }
    }
    Ok(())
}

pub(super) fn filled<V: Pod + Default + PartialEq, const N: usize>(table: &[V]) -> Pages<V, N> {
    let mut pages = Pages::new();
    for (number, of_table) in (0..).zip(table.chunks(N)) {
        if of_table.iter().any(|value| *value != V::default()) {
            pages.insert(number, Box::new(page(table, number)));
        }
    }
    pages
}

pub(super) fn same<V: Pod + Default + PartialEq, const N: usize>(
    name: &'static str,
    map: &Array<MapData, [V; N]>,
    generation: u16,
    pages: &Pages<V, N>,
) -> Result<bool, DatapathError> {
    let count = map.len() / HALVES;
    let first = half(generation) * count;
    for number in 0..count {
        let now = map.get(&(first + number), 0).map_err(|error| failed(name, error))?;
        let same = match pages.get(&number) {
            Some(page) => **page == now,
            None => now.iter().all(|value| *value == V::default()),
        };
        if !same {
            return Ok(false);
        }
    }
    Ok(pages.keys().all(|number| *number < count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_beyond_the_table_is_empty() {
        let table: Vec<u16> = (1..=5).collect();
        assert_eq!(page::<u16, 4>(&table, 0), [1, 2, 3, 4]);
        assert_eq!(page::<u16, 4>(&table, 1), [5, 0, 0, 0]);
        assert_eq!(page::<u16, 4>(&table, 2), [0; 4]);
    }
}
