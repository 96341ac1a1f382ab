//! What is known of every node, and since which event: role, epoch, leader, vote, high watermark, end of the log.
//!
//! A track is a list of changes, ascending by event. What a node's state is at some event is the last change up to it, so a
//! page finds it by bisection, whichever event somebody points at.

use std::collections::BTreeMap;

use crate::raft::note::Note;
use crate::raft::view::RoleKind;
use crate::trace::{Event, EventKind, Place};

/// Something that a node has at every moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// Its role, as an index of [`ROLES`].
    Role,
    /// Its epoch.
    Epoch,
    /// Whom it takes for the leader; a node's number, or -1.
    Leader,
    /// Whom it voted for in its epoch; a node's number, or -1.
    Vote,
    /// Its high watermark, or -1.
    HighWatermark,
    /// The end of its log, as far as it is known; or -1.
    End,
    /// 1 while it recovers what its disk has lost (R11).
    Recovering,
    /// 1 while its process stands still.
    Paused,
}

impl Field {
    /// All of them, in the order of declaration.
    pub const ALL: [Field; 8] = [
        Field::Role,
        Field::Epoch,
        Field::Leader,
        Field::Vote,
        Field::HighWatermark,
        Field::End,
        Field::Recovering,
        Field::Paused,
    ];

    /// Its name on the page.
    pub fn name(self) -> &'static str {
        match self {
            Field::Role => "role",
            Field::Epoch => "epoch",
            Field::Leader => "leader",
            Field::Vote => "vote",
            Field::HighWatermark => "hw",
            Field::End => "end",
            Field::Recovering => "recovering",
            Field::Paused => "paused",
        }
    }
}

/// What a node can be: a role, or none of them.
pub const ROLES: [&str; 8] =
    ["unattached", "follower", "prospective", "candidate", "leader", "resigned", "down", "starting"];
const DOWN: i64 = 6;
const STARTING: i64 = 7;

/// One node's changes of one field: event and value.
pub type Track = Vec<(usize, i64)>;

/// The tracks of all nodes that a trace names.
pub fn tracks(events: &[Event]) -> BTreeMap<u32, BTreeMap<Field, Track>> {
    let mut tracks = Tracks::default();
    for (row, event) in events.iter().enumerate() {
        match event.place {
            Place::Node(node) => tracks.on_node(row, node, &event.kind),
            Place::World => tracks.on_world(row, &event.kind),
            Place::Client(_) => {}
        }
    }
    tracks.of
}

#[derive(Default)]
struct Tracks {
    of: BTreeMap<u32, BTreeMap<Field, Track>>,
}

impl Tracks {
    fn on_node(&mut self, row: usize, node: u32, kind: &EventKind) {
        let mut set = |field, value| self.set(row, node, field, value);
        match kind {
            EventKind::Started { what, .. } => {
                for (field, value) in [(Field::Role, STARTING), (Field::Leader, -1), (Field::HighWatermark, -1)] {
                    set(field, value);
                }
                set(Field::End, number_after(what, "ends at ").unwrap_or(-1));
            }
            EventKind::Down { .. } => {
                for (field, value) in [(Field::Role, DOWN), (Field::Leader, -1), (Field::Paused, 0)] {
                    set(field, value);
                }
                for field in [Field::HighWatermark, Field::Recovering] {
                    set(field, if field == Field::Recovering { 0 } else { -1 });
                }
            }
            EventKind::State { what } => {
                if let Some(end) = number_after(what, "end=") {
                    set(Field::End, end);
                }
            }
            EventKind::Sent { what, .. } => self.on_fetch(row, node, what),
            EventKind::Note(note) => self.on_note(row, node, note),
            _ => {}
        }
    }

    fn on_note(&mut self, row: usize, node: u32, note: &Note) {
        match *note {
            Note::Became { role, epoch, leader } => {
                if self.last(node, Field::Epoch) != i64::from(epoch.0) {
                    self.set(row, node, Field::Epoch, epoch.0.into());
                    self.set(row, node, Field::Vote, -1);
                }
                self.set(row, node, Field::Role, role as i64);
                self.set(row, node, Field::Leader, leader.map_or(-1, |leader| leader.0.into()));
            }
            Note::Voted { candidate, .. } => self.set(row, node, Field::Vote, candidate.id.0.into()),
            Note::HighWatermark { to } => {
                self.set(row, node, Field::HighWatermark, to.0 as i64);
                self.reaches(row, node, to.0 as i64);
            }
            Note::Diverged { keep } => self.set(row, node, Field::End, keep.0 as i64),
            Note::Recovering { .. } => self.set(row, node, Field::Recovering, 1),
            Note::Recovered => self.set(row, node, Field::Recovering, 0),
            _ => {}
        }
    }

    /// A follower asks from its end on, `Fetch@4 98@4`; a leader's answer ends at or below its own, `Fetch@4 98..99 hw=98`.
    fn on_fetch(&mut self, row: usize, node: u32, what: &str) {
        let Some((_, said)) = what.strip_prefix("Fetch@").and_then(|rest| rest.split_once(' ')) else { return };
        let range = said.split(' ').next().unwrap_or_default();
        if let Some((_, end)) = range.split_once("..") {
            if let (Ok(end), true) = (end.parse(), self.last(node, Field::Role) == RoleKind::Leader as i64) {
                self.reaches(row, node, end);
            }
        } else if let Some(end) = range.split_once('@').and_then(|(end, _)| end.parse().ok()) {
            self.set(row, node, Field::End, end);
        }
    }

    fn on_world(&mut self, row: usize, kind: &EventKind) {
        let EventKind::Fault { what, .. } = kind else { return };
        let Some((node, said)) = what.split_once(' ') else { return };
        let Some(node) = node.strip_prefix('n').and_then(|digits| digits.parse().ok()) else { return };
        match said {
            "goes on" => self.set(row, node, Field::Paused, 0),
            said if said.starts_with("stands still") => self.set(row, node, Field::Paused, 1),
            _ => {}
        }
    }

    /// The log reaches at least so far.
    fn reaches(&mut self, row: usize, node: u32, end: i64) {
        if self.last(node, Field::End) < end {
            self.set(row, node, Field::End, end);
        }
    }

    fn last(&self, node: u32, field: Field) -> i64 {
        let track = self.of.get(&node).and_then(|fields| fields.get(&field));
        track.and_then(|track| track.last()).map_or(-1, |&(_, value)| value)
    }

    fn set(&mut self, row: usize, node: u32, field: Field, value: i64) {
        let track = self.of.entry(node).or_default().entry(field).or_default();
        match track.last_mut() {
            Some((_, last)) if *last == value => {}
            Some((at, last)) if *at == row => *last = value,
            _ => track.push((row, value)),
        }
    }
}

fn number_after(text: &str, before: &str) -> Option<i64> {
    let rest = &text[text.find(before)? + before.len()..];
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Epoch, Offset, ReplicaId};
    use crate::time::Instant;
    use crate::trace::EventId;

    fn events(kinds: Vec<(Place, EventKind)>) -> Vec<Event> {
        let event = |(id, (place, kind))| Event { id: EventId(id), cause: None, at: Instant(id), place, kind };
        (0..).zip(kinds).map(event).collect()
    }

    fn became(role: RoleKind, epoch: u32, leader: Option<u32>) -> EventKind {
        EventKind::Note(Note::Became { role, epoch: Epoch(epoch), leader: leader.map(ReplicaId) })
    }

    fn sent(what: &str) -> EventKind {
        EventKind::Sent { to: Place::Node(2), what: what.into() }
    }

    #[test]
    fn roles_follow_notes_starts_and_falls() {
        let node = Place::Node(1);
        let events = events(vec![
            (node, EventKind::Started { incarnation: 0, what: "log ends at 7".into() }),
            (node, became(RoleKind::Leader, 4, Some(1))),
            (node, EventKind::Down { what: "power lost".into() }),
        ]);
        let tracks = &tracks(&events)[&1];
        assert_eq!(tracks[&Field::Role], [(0, STARTING), (1, RoleKind::Leader as i64), (2, DOWN)]);
        assert_eq!(tracks[&Field::Epoch], [(1, 4)]);
        assert_eq!(tracks[&Field::Leader], [(0, -1), (1, 1), (2, -1)]);
        assert_eq!(tracks[&Field::End], [(0, 7)]);
        assert_eq!(ROLES[RoleKind::Leader as usize], RoleKind::Leader.name());
    }

    #[test]
    fn ends_follow_what_is_asked_and_answered() {
        let node = Place::Node(1);
        let events = events(vec![
            (node, sent("Fetch@4 98@4")),
            (node, sent("Fetch@4 98..120 hw=98")),
            (node, became(RoleKind::Leader, 5, Some(1))),
            (node, sent("Fetch@5 98..120 hw=98")),
            (node, EventKind::Note(Note::HighWatermark { to: Offset(119) })),
            (node, EventKind::Note(Note::HighWatermark { to: Offset(121) })),
            (node, EventKind::Note(Note::Diverged { keep: Offset(90) })),
        ]);
        let tracks = &tracks(&events)[&1];
        assert_eq!(tracks[&Field::End], [(0, 98), (3, 120), (5, 121), (6, 90)]);
        assert_eq!(tracks[&Field::HighWatermark], [(4, 119), (5, 121)]);
    }

    #[test]
    fn pauses_end_when_a_node_goes_on_or_down() {
        let fault = |what: &str| (Place::World, EventKind::Fault { kind: None, what: what.into() });
        let down = (Place::Node(3), EventKind::Down { what: "power lost".into() });
        let events =
            events(vec![fault("n3 stands still for 1s"), fault("n3 goes on"), fault("n3 stands still for 1s"), down]);
        assert_eq!(tracks(&events)[&3][&Field::Paused], [(0, 1), (1, 0), (2, 1), (3, 0)]);
    }
}
