//! A product's version as its vendor counts: feature releases, main releases and their cumulative updates.

use std::{fmt, str::FromStr};

/// `x.y.z`, with `CUn` where the vendor updates a main release; ordered by number, then by update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    numbers: [u32; 3],
    update: u32,
}

/// Not a version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a version: write three numbers like \"10.3.6\", or an updated one like \"10.3.0 CU3\"")]
pub struct NotAVersion(String);

impl Version {
    /// Whether this version has what arrived in `since`, one threshold a line of releases.
    ///
    /// "10.3.6 or 10.3.0 CU3" means: feature releases from 10.3.6, main releases (`x.y.0`) from 10.3.0 CU3. A line
    /// that no threshold names is compared with all of them.
    #[must_use]
    pub fn at_least(&self, since: &[Self]) -> bool {
        let same_line = |other: &&Self| other.is_main() == self.is_main();
        if since.iter().any(|other| same_line(&other)) {
            since.iter().filter(same_line).any(|other| self >= other)
        } else {
            since.iter().any(|other| self >= other)
        }
    }

    /// Whether it is a cumulative update of a release.
    #[must_use]
    pub const fn is_updated(&self) -> bool {
        self.update > 0
    }

    const fn is_main(&self) -> bool {
        let [_, _, patch] = self.numbers;
        patch == 0
    }
}

impl FromStr for Version {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        parse(text).ok_or_else(|| NotAVersion(text.into()))
    }
}

fn parse(text: &str) -> Option<Version> {
    let (numbers, update) = match text.split_once(" CU") {
        Some((numbers, update)) => (numbers, number(update)?),
        None => (text, 0),
    };
    let mut parts = numbers.split('.');
    let numbers = [number(parts.next()?)?, number(parts.next()?)?, number(parts.next()?)?];
    parts.next().is_none().then_some(Version { numbers, update })
}

fn number(text: &str) -> Option<u32> {
    // `u32::from_str` takes "+1", which no version has.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(f, "{major}.{minor}.{patch}")?;
        if self.update > 0 { write!(f, " CU{}", self.update) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn numbers_count_not_letters() {
        assert!(version("10.1.11") > version("10.1.9"));
        assert!(version("10.1.0 CU10") > version("10.1.0 CU9"));
        assert!(version("10.1.1") > version("10.1.0 CU10"));
        assert_eq!(version("10.1.0 CU10").to_string(), "10.1.0 CU10");
    }

    #[test]
    fn a_main_release_has_its_own_threshold() {
        let since = [version("10.3.6"), version("10.3.0 CU3")];
        for (text, has) in [
            ("10.3.6", true),
            ("10.3.5", false),
            ("10.3.0 CU3", true),
            ("10.3.0 CU2", false),
            ("10.4.0", true),
            ("10.2.0 CU15", false),
        ] {
            assert_eq!(version(text).at_least(&since), has, "{text}");
        }
        assert!(version("10.2.0").at_least(&[version("10.1.1")]));
    }

    #[test]
    fn other_forms_are_refused() {
        for text in ["", "10", "10.1", "10.1.2.3", "10.1.x", "10.1.+2", "10.1.0 CU", "10.1.0CU3", "v10.1.0"] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }
}
