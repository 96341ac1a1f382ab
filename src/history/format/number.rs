//! Numbers: what they are, and one spelling for all that are equal.

use std::borrow::Cow;

/// A token as all others that are equal to it are spelled: `+1` and `1N` are `1`, `1.00` and `10e-1` are `1.0`, `1.50M` is `1.5M`.
/// Integers, doubles and decimals are never equal to each other, as in Clojure.
pub fn spelled(token: &str) -> Cow<'_, str> {
    let unsigned = token.strip_prefix(['+', '-']).unwrap_or(token);
    if !unsigned.starts_with(|first: char| first.is_ascii_digit()) {
        return token.into();
    }
    let bare = token.strip_prefix('+').unwrap_or(token);
    let whole = bare.strip_suffix('N').unwrap_or(bare);
    let is_integer = whole.strip_prefix('-').unwrap_or(whole).bytes().all(|byte| byte.is_ascii_digit());
    match is_integer {
        true if whole == "-0" => "0".into(),
        true => whole.into(),
        false if bare.ends_with('M') => decimal(bare).into(),
        false => double(bare).map_or(token.into(), Cow::Owned),
    }
}

/// A double without needless digits: `1.0`, `0.25`, `1.5e30`. (What differs beyond the digits that a double holds counts as
/// different.)
fn double(text: &str) -> Option<String> {
    let (sign, unsigned) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = format!("{whole}{fraction}");
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let exponent: i32 = exponent.parse().ok()?;
    let leading = digits.len() - digits.trim_start_matches('0').len();
    digits.drain(..leading);
    digits.truncate(digits.trim_end_matches('0').len());
    if digits.is_empty() {
        return Some("0.0".to_owned());
    }
    // How many digits stand before the point.
    let point = i64::from(exponent) + whole.len() as i64 - leading as i64;
    Some(match usize::try_from(point) {
        Ok(before) if before > 0 && before < digits.len() => {
            format!("{sign}{}.{}", &digits[..before], &digits[before..])
        }
        Ok(before) if before <= PLAIN_DIGITS_MAX && before >= digits.len() => format!("{sign}{digits:0<before$}.0"),
        _ if -3 < point && point <= 0 => format!("{sign}0.{:0>1$}{digits}", "", point.unsigned_abs() as usize),
        _ => {
            let rest = if digits.len() > 1 { &digits[1..] } else { "0" };
            format!("{sign}{}.{rest}e{}", &digits[..1], point - 1)
        }
    })
}

/// Without zeros at the end of the fraction, which make no other number of a decimal.
fn decimal(text: &str) -> String {
    let bare = text.trim_end_matches('M');
    let bare = match bare.contains('.') && !bare.contains(['e', 'E']) {
        true => bare.trim_end_matches('0').trim_end_matches('.'),
        false => bare,
    };
    format!("{bare}M")
}

/// Of a number without a fraction, so many digits are written without an exponent.
const PLAIN_DIGITS_MAX: usize = 21;

/// A whole number as tokens write it.
pub fn integer(token: &[u8]) -> Option<i64> {
    let (sign, digits) = match token {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        digits => (1, digits),
    };
    let digits = digits.strip_suffix(b"N").unwrap_or(digits);
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0i64, |number, &digit| {
        let digit = digit.is_ascii_digit().then(|| i64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(sign * digit)
    })
}

/// A whole number below 2⁶⁴.
pub fn natural(token: &[u8]) -> Option<u64> {
    if token.is_empty() {
        return None;
    }
    token.iter().try_fold(0u64, |number, &digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_are_spelled_alike() {
        let alike = [
            &["1", "+1", "1N", "+1N"][..],
            &["0", "-0", "+0", "0N"],
            &["1.0", "1.00", "+1.0", "10e-1", "1E0", "0.1e1"],
            &["0.0", "-0.0", "0e5"],
            &["1.5M", "1.50M", "+1.500M"],
            &["1M", "1.0M"],
            &["0.1", "1e-1", "0.0001e+3", "00.1"],
            &["-0.25", "-25e-2"],
            &["1e30", "1.0E30", "10e29"],
            &["1.5e-9", "15e-10", "0.0000000015"],
            &["123456.5", "1234565e-1"],
        ];
        for (index, group) in alike.iter().enumerate() {
            let spellings: Vec<_> = group.iter().map(|text| spelled(text)).collect();
            assert!(spellings.iter().all(|spelling| *spelling == spellings[0]), "{spellings:?}");
            let others = alike.iter().enumerate().filter(|&(other, _)| other != index);
            assert!(others.into_iter().all(|(_, other)| spelled(other[0]) != spellings[0]), "{spellings:?}");
        }
    }

    #[test]
    fn what_is_no_number_stays_as_it_is() {
        for text in ["1/2", "a", "-", "+", "1x", "inf", "nan", "-inf", ":1.00", "1e", "1e99999999999", "1.2.3"] {
            assert_eq!(spelled(text), text);
        }
    }
}
