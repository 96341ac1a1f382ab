//! The key-value machine: puts and compare-and-sets, in the order of the log.
//!
//! A command is the value of a record, so the log needs to know nothing of keys, and a Produce is answered before anybody
//! has looked at it: *results come from the log*. Who wants to know what became of a compare-and-set applies the log up to
//! it, with this same code, and looks.
//!
//! ```text
//!  0        8 9 10   14       22       30
//!  ├────────┼─┼─┼────┼────────┼────────┼── value_bytes
//!  number   k tag key value              zeros            tag 0, put
//!  number   k tag key to       from      zeros            tag 1, compare-and-set
//!  number   k tag key to                 zeros            tag 2, compare-and-set where nothing was put
//! ```
//!
//! Numbers are big-endian. The first is the client's own and must be unique in the log: it tells two commands with the same
//! text apart, and stands where the workloads' other values have theirs. Whatever else stands in the log is no command and
//! is passed over.
//!
//! **Invariants**: the state, what a command finds and the digest are functions of the commands before it alone, and not of
//! how they were grouped into batches.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes};

use crate::digest::Digest;
use crate::ids::Offset;
use crate::machine::StateMachine;
use crate::quirk::{Quirk, Quirks};
use crate::record::RecordBatch;

/// What is asked of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum Command {
    /// The key holds this value from here on.
    Put { key: u32, value: u64 },
    /// If the key holds `from` (`None`: nothing was put there yet), it holds `to` from here on.
    Cas { key: u32, from: Option<u64>, to: u64 },
}

impl Command {
    /// The bytes of a command with a number of the client's, at least `value_bytes` of them.
    pub fn encode(self, number: u64, value_bytes: usize) -> Bytes {
        let mut bytes = Vec::with_capacity(value_bytes.max(COMMAND_BYTES));
        bytes.put_u64(number);
        bytes.put_u8(MARK);
        match self {
            Command::Put { key, value } => {
                bytes.put_u8(PUT);
                bytes.put_u32(key);
                bytes.put_u64(value);
            }
            Command::Cas { key, from, to } => {
                bytes.put_u8(if from.is_some() { CAS } else { CAS_FROM_NOTHING });
                bytes.put_u32(key);
                bytes.put_u64(to);
                from.into_iter().for_each(|from| bytes.put_u64(from));
            }
        }
        bytes.resize(bytes.len().max(value_bytes), 0);
        Bytes::from(bytes)
    }

    /// The command of some bytes, and its number; `None` when they are none.
    pub fn parse(bytes: &[u8]) -> Option<(u64, Command)> {
        let (number, rest) = bytes.split_first_chunk()?;
        let (&[MARK, tag], rest) = rest.split_first_chunk()? else { return None };
        let (key, rest) = rest.split_first_chunk()?;
        let (to, rest) = rest.split_first_chunk()?;
        let (key, to) = (u32::from_be_bytes(*key), u64::from_be_bytes(*to));
        let (command, rest) = match tag {
            PUT => (Command::Put { key, value: to }, rest),
            CAS => {
                let (from, rest) = rest.split_first_chunk()?;
                (Command::Cas { key, from: Some(u64::from_be_bytes(*from)), to }, rest)
            }
            CAS_FROM_NOTHING => (Command::Cas { key, from: None, to }, rest),
            _ => return None,
        };
        rest.iter().all(|&byte| byte == 0).then_some((u64::from_be_bytes(*number), command))
    }

    /// Which key it is about.
    pub fn key(self) -> u32 {
        let (Command::Put { key, .. } | Command::Cas { key, .. }) = self;
        key
    }
}

/// The state that a log's commands lead to.
#[derive(Clone, Debug, Default)]
pub struct KvMachine {
    held: BTreeMap<u32, u64>,
    digest: Digest,
    quirks: Quirks,
}

impl KvMachine {
    /// A machine that has applied nothing.
    pub fn new(quirks: Quirks) -> KvMachine {
        KvMachine { quirks, ..KvMachine::default() }
    }

    /// What a key holds.
    pub fn get(&self, key: u32) -> Option<u64> {
        self.held.get(&key).copied()
    }

    /// Carries out the command at this offset; the answer is what the key held before. (A compare-and-set that found what it
    /// expected has succeeded.)
    pub fn execute(&mut self, offset: Offset, command: Command) -> Option<u64> {
        let found = self.get(command.key());
        let sets_all = self.quirks.has(Quirk::FailedCasSets);
        match command {
            Command::Put { key, value } => _ = self.held.insert(key, value),
            Command::Cas { key, from, to } if from == found || sets_all => _ = self.held.insert(key, to),
            Command::Cas { .. } => {}
        }
        self.digest.word(offset.0);
        self.digest.word(u64::from(command.key()));
        let holds = self.get(command.key());
        self.digest.word(holds.is_some().into());
        self.digest.word(holds.unwrap_or_default());
        found
    }
}

impl StateMachine for KvMachine {
    fn apply(&mut self, batch: &RecordBatch, _out: &mut Vec<String>) {
        if batch.is_control() {
            return;
        }
        let execute = |offset, value: Option<&[u8]>| {
            if let Some((_, command)) = value.and_then(Command::parse) {
                self.execute(offset, command);
            }
        };
        // Leaders walk what they append, so a batch that cannot be read is none that was committed.
        let _ = batch.each_value(execute);
    }

    fn digest(&self) -> u64 {
        self.digest.value()
    }
}

/// What stands behind the number of every command; names of other values begin with another letter.
const MARK: u8 = b'k';

const PUT: u8 = 0;
const CAS: u8 = 1;
const CAS_FROM_NOTHING: u8 = 2;

/// The longest command, without padding.
const COMMAND_BYTES: usize = 30;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prng::Prng;
    use crate::record::BatchBuilder;
    use crate::time::Timestamp;

    fn draw(prng: &mut Prng) -> Command {
        let (key, value) = (prng.below(3) as u32, prng.below(3));
        match prng.below(3) {
            0 => Command::Put { key, value },
            1 => Command::Cas { key, from: None, to: value },
            _ => Command::Cas { key, from: Some(prng.below(3)), to: value },
        }
    }

    fn batch(base: u64, values: &[Bytes]) -> RecordBatch {
        let mut builder = BatchBuilder::new(Timestamp(0));
        values.iter().for_each(|value| builder.push(None, Some(value)));
        builder.build().stamped(Offset(base), crate::ids::Epoch(1))
    }

    #[test]
    fn a_command_comes_back_from_its_bytes_and_from_no_others() {
        let mut prng = Prng::new(1, 0);
        for round in 0..200 {
            let (command, number) = (draw(&mut prng), prng.word());
            let value_bytes = prng.below(64) as usize;
            let bytes = command.encode(number, value_bytes);
            assert!(bytes.len() >= value_bytes);
            assert_eq!(Command::parse(&bytes), Some((number, command)), "round {round}");
            let shortest = command.encode(number, 0);
            assert!((0..shortest.len()).all(|length| Command::parse(&shortest[..length]).is_none()));
            assert_eq!(Command::parse(&[&bytes[..], b"."].concat()), None);
        }
        assert_eq!(Command::parse(b"\0\0\0\x03\0\0\0\x11c3-17..................."), None);
    }

    /// The state as a list of what was put, the latest of a key being what it holds.
    #[derive(Default)]
    struct Twin(Vec<(u32, u64)>);

    impl Twin {
        fn get(&self, key: u32) -> Option<u64> {
            self.0.iter().rev().find(|(known, _)| *known == key).map(|(_, value)| *value)
        }

        fn execute(&mut self, command: Command) -> Option<u64> {
            let found = self.get(command.key());
            match command {
                Command::Put { key, value } => self.0.push((key, value)),
                Command::Cas { key, from, to } if found == from => self.0.push((key, to)),
                Command::Cas { .. } => {}
            }
            found
        }
    }

    #[test]
    fn commands_find_what_a_list_of_all_puts_says() {
        for seed in 0..50 {
            let (mut prng, mut machine, mut twin) = (Prng::new(seed, 0), KvMachine::default(), Twin::default());
            for offset in 0..100 {
                let command = draw(&mut prng);
                let found = machine.execute(Offset(offset), command);
                assert_eq!(found, twin.execute(command), "seed {seed}, offset {offset}: {command:?}");
            }
            assert!((0..3).all(|key| machine.get(key) == twin.get(key)), "seed {seed}");
        }
    }

    #[test]
    fn the_quirk_sets_whatever_was_found() {
        let mut machine = KvMachine::new(Quirks::NONE.with(Quirk::FailedCasSets));
        let cas = Command::Cas { key: 1, from: Some(4), to: 5 };
        assert_eq!((machine.execute(Offset(0), cas), machine.get(1)), (None, Some(5)));
    }

    #[test]
    fn the_digest_does_not_depend_on_how_commands_are_grouped_and_tells_states_apart() {
        let put = |value| Command::Put { key: 1, value }.encode(7, 0);
        let digest = |batches: &[RecordBatch]| {
            let mut machine = KvMachine::default();
            batches.iter().for_each(|batch| machine.apply(batch, &mut Vec::new()));
            machine.digest()
        };
        let together = digest(&[batch(0, &[put(1), put(2)])]);
        assert_eq!(digest(&[batch(0, &[put(1)]), batch(1, &[put(2)])]), together);
        assert_ne!(digest(&[batch(0, &[put(2), put(1)])]), together);
        assert_ne!(digest(&[batch(1, &[put(1), put(2)])]), together);
    }

    #[test]
    fn what_is_no_command_is_passed_over() {
        let mut machine = KvMachine::default();
        let before = machine.digest();
        let strange = [Bytes::new(), Bytes::from_static(b"hello"), Bytes::from(vec![0xff; 40])];
        machine.apply(&batch(0, &strange), &mut Vec::new());
        assert_eq!(machine.digest(), before);
        let put = Command::Put { key: 1, value: 5 }.encode(7, 0);
        machine.apply(&batch(3, &[Bytes::from_static(b"hello"), put]), &mut Vec::new());
        assert_eq!(machine.get(1), Some(5));
        // A body that cannot be walked ends the walk.
        let mut torn = batch(5, &[Command::Put { key: 1, value: 6 }.encode(8, 0)]);
        torn.body = torn.body.slice(..torn.body.len() - 3);
        machine.apply(&torn, &mut Vec::new());
        assert_eq!(machine.get(1), Some(5));
    }
}
