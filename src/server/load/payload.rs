//! What records hold: letters, lines of a file, or numbers that count up; and their keys. (Kafka: `ProducerPerformance`.)

use std::io::Write;

use bytes::Bytes;

use crate::client::values;
use crate::history::{ClientId, value};
use crate::record::Shape;
use crate::server::load::random::SplittableRandom;
use crate::time::Timestamp;

/// Where values come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// So many random letters. (`--record-size`)
    Letters(usize),
    /// One of these, drawn. (`--payload-file`)
    Texts(Vec<Bytes>),
    /// The record's number, in decimals. (`--payload-monotonic`)
    Numbers,
    /// What a history tells apart, in so many bytes: who wrote it, and as the how-manieth.
    Named(usize),
}

/// How keys are chosen. (KIP-1299: `--key-distribution` and `--record-key-range`.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// None.
    None,
    /// 0, 1, … below the number, and from 0 again.
    Range(u32),
    /// Drawn below the number.
    Random(u32),
}

/// Makes the records of one client, in order.
#[derive(Clone, Debug)]
pub struct Payloads {
    source: Source,
    keys: Keys,
    random: SplittableRandom,
    client: ClientId,
    /// The number of the next record.
    number: u64,
    /// The distance between the numbers of one client's records.
    stride: u64,
    value: Value,
    key: Option<Vec<u8>>,
}

/// The value of the record that is next.
#[derive(Clone, Debug)]
enum Value {
    Letters(usize),
    Bytes(Bytes),
}

impl Payloads {
    /// The records that client `client` of `clients` sends; with one client, the same as Kafka's tool with that seed.
    pub fn new(source: Source, keys: Keys, seed: u64, client: u32, clients: u32) -> Payloads {
        let mut payloads = Payloads {
            value: Value::Letters(0),
            source,
            keys,
            random: SplittableRandom::new(seed.wrapping_add(u64::from(client))),
            client: ClientId(client),
            number: u64::from(client),
            stride: u64::from(clients),
            key: None,
        };
        payloads.prepare();
        payloads
    }

    /// The next record, made at `timestamp`: its shape, and what writes its value.
    #[inline]
    pub fn next(&mut self, timestamp: Timestamp) -> (Shape<'_>, impl FnMut(&mut [u8])) {
        let Payloads { value, key, random, .. } = self;
        let value_bytes = match value {
            Value::Letters(count) => *count,
            Value::Bytes(bytes) => bytes.len(),
        };
        let write = |place: &mut [u8]| match value {
            Value::Letters(_) => random.letters(place),
            Value::Bytes(bytes) => place.copy_from_slice(bytes),
        };
        (Shape { timestamp, key: key.as_deref(), value_bytes }, write)
    }

    /// What a history calls the next record's value.
    pub fn value_number(&self) -> u64 {
        let sequence = self.number / self.stride;
        value::number(self.client, u32::try_from(sequence).expect("invariant: a history has fewer than 2³² records"))
    }

    /// Goes on to the record after it.
    #[inline]
    pub fn advance(&mut self) {
        self.number += self.stride;
        if !matches!((&self.source, self.keys), (Source::Letters(_), Keys::None)) {
            self.prepare();
        }
    }

    /// Draws what has to be known before the value is written. Kafka's tool draws the payload first, then the key; letters
    /// are drawn where they are written, so a random key before them is drawn from a copy that has run ahead.
    fn prepare(&mut self) {
        self.value = match &self.source {
            Source::Letters(count) => Value::Letters(*count),
            Source::Texts(texts) => {
                let count = u32::try_from(texts.len()).expect("invariant: fewer than 2³¹ payloads were read");
                Value::Bytes(texts[self.random.below(count) as usize].clone())
            }
            Source::Numbers => Value::Bytes(Bytes::from(self.number.to_string())),
            Source::Named(bytes) => Value::Bytes(values::encode(self.value_number(), *bytes)),
        };
        let mut key = self.key.take().unwrap_or_default();
        key.clear();
        let number = match (self.keys, &self.value) {
            (Keys::None, _) => return,
            (Keys::Range(range), _) => self.number % u64::from(range),
            (Keys::Random(range), Value::Letters(count)) => {
                let mut letters = vec![0; *count];
                self.random.letters(&mut letters);
                self.value = Value::Bytes(Bytes::from(letters));
                u64::from(self.random.below(range))
            }
            (Keys::Random(range), Value::Bytes(_)) => u64::from(self.random.below(range)),
        };
        write!(key, "{number}").expect("invariant: a vector takes everything");
        self.key = Some(key);
    }
}

/// Payloads of a file, as Java's `Scanner` splits it: texts between delimiters, none after the last one.
pub fn split(text: &str, delimiter: &str) -> Vec<Bytes> {
    let text = text.strip_suffix(delimiter).unwrap_or(text);
    text.split(delimiter).map(|payload| Bytes::copy_from_slice(payload.as_bytes())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(source: Source, keys: Keys, count: usize) -> Vec<(Option<String>, String)> {
        let mut payloads = Payloads::new(source, keys, 0, 0, 1);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        let mut next = || {
            let (shape, mut write) = payloads.next(Timestamp(0));
            let (mut value, key) = (vec![0; shape.value_bytes], shape.key.map(text));
            write(&mut value);
            drop(write);
            payloads.advance();
            (key, text(&value))
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn letters_go_on_from_record_to_record() {
        let values: String = records(Source::Letters(8), Keys::None, 4).into_iter().map(|(_, value)| value).collect();
        assert_eq!(values, "YQHHNEBSEPDNSEIFGAMSUJXKOLTXSPLG");
    }

    #[test]
    fn numbers_count_up_and_keys_turn_round() {
        let found = records(Source::Numbers, Keys::Range(2), 3);
        let expected = [("0", "0"), ("1", "1"), ("0", "2")];
        assert_eq!(found, expected.map(|(key, value)| (Some(key.to_owned()), value.to_owned())));
    }

    #[test]
    fn a_random_key_is_drawn_after_its_payload() {
        let mut random = SplittableRandom::new(0);
        let mut letters = [0; 4];
        let mut expected = Vec::new();
        for _ in 0..3 {
            random.letters(&mut letters);
            expected.push((Some(random.below(100).to_string()), String::from_utf8_lossy(&letters).into_owned()));
        }
        assert_eq!(records(Source::Letters(4), Keys::Random(100), 3), expected);
    }

    #[test]
    fn files_are_split_between_delimiters() {
        assert_eq!(split("a\nb\n", "\n"), ["a", "b"]);
        assert_eq!(split("a::b::c", "::"), ["a", "b", "c"]);
        assert_eq!(split("a\n\nb", "\n"), ["a", "", "b"]);
    }
}
