//! Destination ports as documents and host files write them: a number, a range, or a list of both.

use std::ops::RangeInclusive;

/// One or more ranges of ports from 1 to 65535; ascending, without overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortSet(Vec<RangeInclusive<u16>>);

/// Why a port or range can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// Neither a number nor a range.
    #[error("`{0}` is neither a port nor a range like \"8000-8010\"")]
    Form(String),
    /// Zero, negative or too large.
    #[error("port {0} is out of range: ports go from 1 to 65535")]
    Number(String),
    /// The first port is the larger one.
    #[error("the range {0}-{1} is reversed: write \"{1}-{0}\"")]
    Reversed(u16, u16),
}

impl PortSet {
    /// Sorts and joins ranges that touch or overlap.
    #[must_use]
    pub fn new(mut ranges: Vec<RangeInclusive<u16>>) -> Self {
        ranges.sort_by_key(|range| *range.start());
        let mut joined: Vec<RangeInclusive<u16>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match joined.last_mut() {
                Some(last) if u32::from(*range.start()) <= u32::from(*last.end()) + 1 => {
                    *last = *last.start()..=*last.end().max(range.end());
                }
                Some(_) | None => joined.push(range),
            }
        }
        Self(joined)
    }

    /// A single port.
    #[must_use]
    pub fn one(port: u16) -> Self {
        Self(vec![port..=port])
    }

    /// The ranges, ascending.
    #[must_use]
    pub fn ranges(&self) -> &[RangeInclusive<u16>] {
        &self.0
    }

    /// Whether no port is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A port from a number.
///
/// # Errors
/// Zero, negative numbers and those above 65535.
pub fn port(number: i64) -> Result<u16, PortError> {
    match u16::try_from(number) {
        Ok(port @ 1..) => Ok(port),
        Ok(0) | Err(_) => Err(PortError::Number(number.to_string())),
    }
}

/// A range from "8000-8010", or from a single number.
///
/// # Errors
/// Anything else, ports out of range, and ranges that run backwards.
pub fn range(text: &str) -> Result<RangeInclusive<u16>, PortError> {
    let number = |part: &str| -> Result<u16, PortError> {
        let digits = part.trim();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(PortError::Form(text.into()));
        }
        // Only digits: what doesn't fit is too large for a port.
        port(digits.parse().unwrap_or(i64::MAX)).map_err(|_too_large| PortError::Number(digits.into()))
    };
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(text)?, number(text)?),
    };
    if first > last { Err(PortError::Reversed(first, last)) } else { Ok(first..=last) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_joined() {
        let set =
            PortSet::new(vec![9444..=9444, 80..=80, 9443..=9443, 8000..=8010, 8005..=8020, 65535..=65535]);
        assert_eq!(set.ranges(), [80..=80, 8000..=8020, 9443..=9444, 65535..=65535]);
    }

    #[test]
    fn bad_ports_say_why() {
        assert_eq!(port(0), Err(PortError::Number("0".into())));
        assert_eq!(port(70000), Err(PortError::Number("70000".into())));
        assert_eq!(range("8010-8000"), Err(PortError::Reversed(8010, 8000)));
        assert_eq!(range("http"), Err(PortError::Form("http".into())));
        assert_eq!(range("1-70000"), Err(PortError::Number("70000".into())));
        assert_eq!(range("1024-65535"), Ok(1024..=65535));
    }
}
