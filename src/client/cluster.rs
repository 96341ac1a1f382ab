//! Who leads, as far as a session knows.
//!
//! Any node may be asked, and any answer may be stale: a node that was cut off describes the past in good faith. The
//! leader epoch orders answers, so an answer of a lower epoch than one already believed is ignored. (Kafka:
//! `Metadata.updateLatestMetadata` keeps the partition of the higher epoch.)
//!
//! **Invariants**: the epoch never falls; a leader in doubt is not returned until somebody has named one again.

use std::collections::BTreeMap;

use crate::client::wire::Hint;
use crate::ids::Endpoint;

/// The nodes a session has heard of, and which of them leads.
#[derive(Clone, Debug)]
pub struct Cluster {
    endpoints: Vec<Endpoint>,
    brokers: BTreeMap<i32, Endpoint>,
    leader: Option<Endpoint>,
    epoch: i32,
    is_in_doubt: bool,
    turn: usize,
}

impl Cluster {
    /// Knows only where to begin; `turn` says which endpoint is asked first.
    pub fn new(bootstrap: &[Endpoint], turn: usize) -> Cluster {
        let (endpoints, brokers) = (bootstrap.to_vec(), BTreeMap::new());
        Cluster { endpoints, brokers, leader: None, epoch: -1, is_in_doubt: false, turn }
    }

    /// The leader, unless it is unknown or in doubt.
    pub fn leader(&self) -> Option<&Endpoint> {
        self.leader.as_ref().filter(|_| !self.is_in_doubt)
    }

    /// The highest leader epoch heard of, −1 at first.
    pub fn epoch(&self) -> i32 {
        self.epoch
    }

    /// How many endpoints there are to ask.
    pub fn endpoint_count(&self) -> usize {
        self.endpoints.len()
    }

    /// The next endpoint to ask. All have their turn, so a node that describes the past is not asked twice in a row.
    pub fn next_endpoint(&mut self) -> Endpoint {
        self.turn = (self.turn + 1) % self.endpoints.len();
        self.endpoints[self.turn].clone()
    }

    /// The leader did not answer, or said that it is none: somebody must be asked again.
    pub fn doubt(&mut self) {
        self.is_in_doubt = true;
    }

    /// As [`Cluster::doubt`], if this endpoint is the leader's.
    pub fn doubt_endpoint(&mut self, endpoint: &Endpoint) {
        if self.leader.as_ref() == Some(endpoint) {
            self.doubt();
        }
    }

    /// A Metadata answer. Endpoints are added and kept: a node that is down today may be the only one up tomorrow.
    pub fn learn(&mut self, brokers: Vec<(i32, Endpoint)>, leader: i32, epoch: i32) {
        for (id, endpoint) in brokers {
            if !self.endpoints.contains(&endpoint) && self.endpoints.len() < ENDPOINTS_MAX {
                self.endpoints.push(endpoint.clone());
            }
            if self.brokers.len() < ENDPOINTS_MAX || self.brokers.contains_key(&id) {
                self.brokers.insert(id, endpoint);
            }
        }
        if leader < 0 || epoch < self.epoch {
            return;
        }
        let Some(endpoint) = self.brokers.get(&leader) else { return };
        self.leader = Some(endpoint.clone());
        self.epoch = epoch;
        self.is_in_doubt = false;
    }

    /// A refusal that names the leader. Obeyed only for a higher epoch, so two nodes that name each other cannot keep a
    /// session running between them. Returns whether the leader is known again.
    pub fn follow(&mut self, hint: Option<Hint>) -> bool {
        let Some(hint) = hint.filter(|hint| hint.epoch > self.epoch) else { return false };
        let Some(endpoint) = hint.endpoint.or_else(|| self.brokers.get(&hint.leader).cloned()) else { return false };
        self.learn(vec![(hint.leader, endpoint)], hint.leader, hint.epoch);
        self.leader().is_some()
    }
}

/// More nodes than this are not kept in mind, whatever a broker claims.
const ENDPOINTS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> Endpoint {
        Endpoint::new("n", port)
    }

    #[test]
    fn an_answer_of_a_lower_epoch_is_ignored() {
        let mut cluster = Cluster::new(&[at(1)], 0);
        cluster.learn(vec![(1, at(1)), (2, at(2))], 1, 4);
        cluster.doubt();
        cluster.learn(vec![], 2, 3);
        assert_eq!(cluster.leader(), None);
        cluster.learn(vec![], 1, 4);
        assert_eq!(cluster.leader(), Some(&at(1)));
    }

    #[test]
    fn a_hint_is_followed_once() {
        let mut cluster = Cluster::new(&[at(1)], 0);
        cluster.learn(vec![(1, at(1)), (2, at(2))], 1, 4);
        cluster.doubt();
        let hint = Some(Hint { leader: 2, epoch: 5, endpoint: None });
        assert!(cluster.follow(hint.clone()));
        cluster.doubt();
        assert!(!cluster.follow(hint));
    }
}
