//! Times with their unit, as in "60s" or "1h30m".

use std::time::Duration;

/// Reads "60s", "24h", "1h30m"; `None` for anything else.
pub fn parse(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at(digits);
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        seconds =
            seconds.checked_add(number.parse::<u64>().ok()?.checked_mul(unit_seconds(unit.trim())?)?)?;
        rest = after;
    }
    (!text.is_empty()).then(|| Duration::from_secs(seconds))
}

fn unit_seconds(unit: &str) -> Option<u64> {
    match unit {
        "s" => Some(1),
        "m" | "min" => Some(60),
        "h" => Some(3600),
        "d" => Some(86_400),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_needs_its_unit() {
        for (text, seconds) in
            [("60s", 60), ("0s", 0), ("3m", 180), ("24h", 86_400), ("1h30m", 5400), ("2d", 172_800)]
        {
            assert_eq!(parse(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "60", "s", "60x", "-60s", "1.5h", "99999999999999999999s", "999999999999999999d"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
