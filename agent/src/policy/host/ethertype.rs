//! EtherTypes by name or number.

/// Names that a host file may use, with their numbers (IEEE registration authority).
pub(super) const NAMES: [(&str, u16); 16] = [
    ("profinet", 0x8892),
    ("lldp", 0x88cc),
    ("eapol", 0x888e),
    ("ptp", 0x88f7),
    ("goose", 0x88b8),
    ("gse", 0x88b9),
    ("sv", 0x88ba),
    ("ethercat", 0x88a4),
    ("powerlink", 0x88ab),
    ("sercos", 0x88cd),
    ("mrp", 0x88e3),
    ("prp", 0x88fb),
    ("hsr", 0x892f),
    ("cfm", 0x8902),
    ("slow", 0x8809),
    ("macsec", 0x88e5),
];

/// IPv4, ARP, 802.1Q, IPv6 and 802.1ad: what the policy itself takes apart.
const JUDGED: [u16; 5] = [0x0800, 0x0806, 0x8100, 0x86dd, 0x88a8];

/// Why a number is no EtherType that a list can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Neither a name nor a number.
    Unknown,
    /// Below 0x0600 the field is a length, and above 0xffff there is none.
    Range,
    /// Judged by other rules already.
    Judged,
}

/// Reads a name, or a number like "0x8892".
pub(super) fn parse(text: &str) -> Result<u16, Refused> {
    if let Some((_, number)) = NAMES.iter().find(|(name, _)| *name == text) {
        return Ok(*number);
    }
    let digits = text.strip_prefix("0x").ok_or(Refused::Unknown)?;
    number(i64::from_str_radix(digits, 16).map_err(|_not_hex| Refused::Unknown)?)
}

/// Checks a number.
pub(super) fn number(number: i64) -> Result<u16, Refused> {
    let number = u16::try_from(number).map_err(|_too_large| Refused::Range)?;
    match number {
        0..0x0600 => Err(Refused::Range),
        judged if JUDGED.contains(&judged) => Err(Refused::Judged),
        number => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(parse("lldp"), Ok(0x88cc));
        assert_eq!(parse("0x8892"), Ok(0x8892));
        assert_eq!(parse("0x0800"), Err(Refused::Judged));
        assert_eq!(parse("0x05ff"), Err(Refused::Range));
        assert_eq!(parse("0x10000"), Err(Refused::Range));
        assert_eq!(parse("llpd"), Err(Refused::Unknown));
    }
}
