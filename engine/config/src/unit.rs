//! Durations and sizes with their units.

use std::time::Duration;

/// `200ms`, `5m`, `24h`.
pub fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = cut(text)?;
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

/// `64KiB`, `16MiB`, `2GiB`.
pub fn size(text: &str) -> Option<u64> {
    let (number, unit) = cut(text)?;
    let bytes: u64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(bytes)
}

fn cut(text: &str) -> Option<(u64, &str)> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(at)?;
    Some((number.parse().ok()?, unit.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_needed_and_known() {
        assert_eq!(duration("200ms"), Some(Duration::from_millis(200)));
        assert_eq!(duration("5m"), Some(Duration::from_secs(300)));
        assert_eq!(
            (duration("5"), duration("m"), duration("5w"), duration("99999999999999999d")),
            (None, None, None, None)
        );
        assert_eq!((size("16MiB"), size("16MB")), (Some(16 << 20), None));
    }
}
