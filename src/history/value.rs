//! How the values of a history are numbered, and called in words.
//!
//! A value must be unique in its history, or an offset could not be told from another by what stands there. The upper
//! half of the number says who appended it, the lower half which of that client's values it is.

use std::fmt;

use crate::history::ClientId;

/// The number of a client's value. Clients have fewer than 2³¹ numbers, which leaves the top bit to [`foreign`].
pub fn number(client: ClientId, sequence: u32) -> u64 {
    assert!(client.0 < 1 << 31, "client {client} has no numbers of its own");
    u64::from(client.0) << 32 | u64::from(sequence)
}

/// The number of a value that no client of the history can have appended, from a fingerprint of its bytes.
pub fn foreign(fingerprint: u64) -> u64 {
    fingerprint | FOREIGN
}

/// Whether no client of the history can have appended it.
pub fn is_foreign(number: u64) -> bool {
    number & FOREIGN != 0
}

/// A value in words: `c3-17` is value 17 of client 3.
pub fn name(number: u64) -> String {
    let mut name = String::new();
    write_name(number, &mut name).expect("invariant: a string takes everything");
    name
}

/// A value of a key in words. Small numbers are values that anybody may put there, and are called by their digits; the
/// others are called after the client that they are of.
pub fn word(number: u64) -> String {
    if number >> 32 == 0 { number.to_string() } else { name(number) }
}

/// The number of a value that [`name`] has named.
pub fn parse(name: &str) -> Option<u64> {
    if let Some(digits) = name.strip_prefix("foreign-") {
        return u64::from_str_radix(digits, 16).ok().filter(|&number| is_foreign(number));
    }
    let (client, sequence) = name.strip_prefix('c')?.split_once('-')?;
    let (client, sequence) = (client.parse().ok()?, sequence.parse().ok()?);
    (client < 1 << 31).then(|| number(ClientId(client), sequence))
}

/// Writes what [`name`] returns.
pub fn write_name(number: u64, out: &mut impl fmt::Write) -> fmt::Result {
    match number & FOREIGN {
        0 => {
            out.write_char('c')?;
            write_decimal(number >> 32, out)?;
            out.write_char('-')?;
            write_decimal(number & u64::from(u32::MAX), out)
        }
        _ => write!(out, "foreign-{number:016x}"),
    }
}

/// What `write!(out, "{number}")` writes, in a fraction of its time: every reader of a log names every value in it.
fn write_decimal(mut number: u64, out: &mut impl fmt::Write) -> fmt::Result {
    let mut digits = [0; u64::MAX.ilog10() as usize + 1];
    let mut from = digits.len();
    loop {
        from -= 1;
        digits[from] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return out.write_str(str::from_utf8(&digits[from..]).expect("invariant: digits are ASCII"));
        }
    }
}

const FOREIGN: u64 = 1 << 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_called_by_client_and_sequence() {
        assert_eq!(name(number(ClientId(3), 17)), "c3-17");
        assert_eq!(name(number(ClientId(0), u32::MAX)), "c0-4294967295");
        assert_eq!(name(foreign(0x10)), "foreign-8000000000000010");
    }

    #[test]
    fn a_name_says_the_number() {
        for value in [number(ClientId(3), 17), number(ClientId((1 << 31) - 1), u32::MAX), foreign(0x10), 0] {
            assert_eq!(parse(&name(value)), Some(value));
        }
        assert_eq!(["c3", "c2147483648-1", "foreign-1", "x"].map(parse), [None; 4]);
    }
}
