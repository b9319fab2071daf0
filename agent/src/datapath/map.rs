//! Pinned maps, opened by name.

use aya::maps::{Map, MapData, MapError};

use super::{DatapathError, Pins};

/// A pinned map.
pub(super) fn pinned(pins: &Pins, name: &'static str) -> Result<Map, DatapathError> {
    let data = MapData::from_pin(pins.map(name)).map_err(|error| failed(name, error))?;
    Map::from_map_data(data).map_err(|error| failed(name, error))
}

/// A map of this form.
pub(super) fn typed<T: TryFrom<Map, Error = MapError>>(
    name: &'static str,
    map: Map,
) -> Result<T, DatapathError> {
    T::try_from(map).map_err(|error| failed(name, error))
}

/// What went wrong with a map, by its name.
pub(super) fn failed(name: &'static str, source: MapError) -> DatapathError {
    DatapathError::Map { name, source: Box::new(source) }
}
