//! What a property wants to see, as a set of bits: the judge asks nobody who does not care.

use std::ops::BitOr;

/// A set of kinds of observation, or of kinds of change that a look at a node can reveal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interests(u32);

impl Interests {
    /// Nothing: a property that judges only the end.
    pub const NONE: Interests = Interests(0);
    /// A node started.
    pub const STARTED: Interests = Interests(1);
    /// Role, epoch, leader, vote or `is_recovering` of a node changed.
    pub const ELECTION: Interests = Interests(1 << 1);
    /// The high watermark of a node changed.
    pub const HIGH_WATERMARK: Interests = Interests(1 << 2);
    /// A cursor of a node's log changed: start, flushed or end.
    pub const CURSORS: Interests = Interests(1 << 3);
    /// The batches in a node's files changed, or how many of them are durable.
    pub const LOG: Interests = Interests(1 << 4);
    /// The durable quorum-state of a node changed.
    pub const QUORUM_STATE: Interests = Interests(1 << 5);
    /// A high watermark passed everything that was committed before.
    pub const COMMITTED: Interests = Interests(1 << 6);
    /// Batches reached a machine.
    pub const APPLIED: Interests = Interests(1 << 7);
    /// A request left a node.
    pub const ASKED: Interests = Interests(1 << 8);
    /// An answer left a node.
    pub const ANSWERED: Interests = Interests(1 << 9);
    /// A replica noted something.
    pub const NOTED: Interests = Interests(1 << 10);
    /// A node went down.
    pub const DOWN: Interests = Interests(1 << 11);
    /// Recovery ran over a copy.
    pub const AUDITED: Interests = Interests(1 << 12);
    /// A node panicked.
    pub const PANICKED: Interests = Interests(1 << 13);
    /// A client asked.
    pub const INVOKED: Interests = Interests(1 << 14);
    /// A client was told.
    pub const RETURNED: Interests = Interests(1 << 15);
    /// A consumer was given batches.
    pub const CONSUMED: Interests = Interests(1 << 16);
    /// The cluster is quiet from here on.
    pub const CALM: Interests = Interests(1 << 17);
    /// A question whose answer is known was answered.
    pub const EXAMINED: Interests = Interests(1 << 18);
    /// The leader of a quiet cluster was asked to go.
    pub const HANDED_OVER: Interests = Interests(1 << 19);
    /// One fault in a quiet cluster, or its end.
    pub const DRILLED: Interests = Interests(1 << 20);
    /// A node stopped of its own accord.
    pub const CLOSED: Interests = Interests(1 << 21);
    /// A node's files were read while they were at rest.
    pub const SHELVED: Interests = Interests(1 << 22);

    /// Whether the two sets share a kind.
    #[inline]
    pub fn overlap(self, other: Interests) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Interests {
    type Output = Interests;
    fn bitor(self, other: Interests) -> Interests {
        Interests(self.0 | other.0)
    }
}
