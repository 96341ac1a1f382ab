//! How durations, rates and ratios are spelled, and how they are spelled back.
//!
//! All three are strings of whole numbers (a duration may have a decimal fraction, `"1.5s"`, which is read exactly), so
//! that no value of a scenario ever passes through a floating-point number.

use std::time::Duration;

/// The units of a duration, ascending, in nanoseconds.
pub const UNITS: [(&str, u64); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// A duration in nanoseconds and the unit it was spelled in: `"500ms"`, `"1.5s"`, `"2h"`.
pub fn parse_nanos(text: &str) -> Option<(u64, u64)> {
    let unit_at = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
    let (number, unit) = text.split_at(unit_at);
    let &(_, unit) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.len() > 12 {
        return None;
    }
    let whole = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    let parts = u128::from(fraction.parse::<u64>().ok()?) * u128::from(unit);
    let scale = 10u128.pow(fraction.len() as u32);
    if parts % scale != 0 {
        return None;
    }
    Some((whole.checked_add((parts / scale) as u64)?, unit))
}

/// A duration: `"500ms"`, `"1.5s"`, `"2h"`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    parse_nanos(text).map(|(nanos, _)| Duration::from_nanos(nanos))
}

/// A duration in the largest unit that leaves it a whole number: `1500ms`.
pub fn show_duration(duration: Duration) -> String {
    let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let units = UNITS.iter().rev();
    let (name, unit) = units.clone().find(|(_, unit)| nanos != 0 && nanos % unit == 0).unwrap_or(&("s", 1));
    format!("{}{name}", nanos / unit)
}

/// A rate: a count and the time it is for: `"20/s"`, `"1/2s"`, `"5/100ms"`.
pub fn parse_rate(text: &str) -> Option<(u64, Duration)> {
    let (count, period) = text.split_once('/')?;
    let spelled = if period.starts_with(|letter: char| letter.is_ascii_digit()) { "" } else { "1" };
    let period = parse_duration(&format!("{spelled}{period}"))?;
    Some((whole(count)?, period)).filter(|(_, period)| !period.is_zero())
}

/// A rate as it is spelled.
pub fn show_rate((count, period): (u64, Duration)) -> String {
    let period = show_duration(period);
    match period.strip_prefix('1') {
        Some(unit) if !unit.starts_with(|letter: char| letter.is_ascii_digit()) => format!("{count}/{unit}"),
        _ => format!("{count}/{period}"),
    }
}

/// A probability: `"2/100"`, from `"0/1"` to `"1/1"`.
pub fn parse_ratio(text: &str) -> Option<(u64, u64)> {
    let (numerator, denominator) = text.split_once('/')?;
    Some((whole(numerator)?, whole(denominator)?)).filter(|(part, all)| part <= all && *all > 0)
}

/// Digits and nothing else.
pub fn whole(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_exact_both_ways() {
        assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_duration("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(parse_duration("0.000000001s"), Some(Duration::from_nanos(1)));
        assert_eq!(parse_duration("2h"), Some(Duration::from_secs(7200)));
        for bad in ["", "5", "ms", "-5ms", "5 ms", "1.s", ".5s", "0.5ns", "5 s", "1e3s", "5days", "99999999999h"] {
            assert_eq!(parse_duration(bad), None, "{bad} was accepted");
        }
        for nanos in [0, 1, 999, 1_000, 1_500_000, 60_000_000_000, 90_000_000_000, 3_600_000_000_001] {
            let duration = Duration::from_nanos(nanos);
            assert_eq!(parse_duration(&show_duration(duration)), Some(duration));
        }
        assert_eq!(show_duration(Duration::ZERO), "0s");
        assert_eq!(show_duration(Duration::from_secs(90)), "90s");
    }

    #[test]
    fn rates_and_ratios_are_whole_numbers() {
        assert_eq!(parse_rate("20/s"), Some((20, Duration::from_secs(1))));
        assert_eq!(parse_rate("1/2s"), Some((1, Duration::from_secs(2))));
        for rate in ["20/s", "1/2s", "5/100ms", "7/10s", "1/h"] {
            assert_eq!(show_rate(parse_rate(rate).expect("is a rate")), rate);
        }
        for bad in ["20", "20/", "/s", "0.5/s", "1/0s", "-1/s", "1/s/s"] {
            assert_eq!(parse_rate(bad), None, "{bad} was accepted");
        }
        assert_eq!(parse_ratio("2/100"), Some((2, 100)));
        assert_eq!(parse_ratio("3/2"), None);
        assert_eq!(parse_ratio("0/0"), None);
        assert_eq!(parse_ratio("0.02"), None);
    }
}
