//! What is done to a quorum of processes, and how it is made good.

use std::time::Duration;

/// One kind of fault. After it everything runs again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The leader's process is killed, and started again once another leads.
    KillLeader,
    /// The leader's process is stopped (SIGSTOP) while another takes over, and continued.
    StopLeader,
    /// A follower's process is killed, and started again.
    KillFollower,
    /// A follower's process is killed and its directory removed; it starts with nothing once a new epoch covers the loss.
    WipeFollower,
    /// Each node in turn is asked to stop, and started again.
    RollingRestart,
    /// Every process is killed at the same moment, and all are started again.
    KillAll,
    /// The clients' connections are cut in the midst of a frame, several times.
    CutConnections,
    /// Strangers send garbage to every node, and more than it may take, for several seconds.
    Strangers,
}

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 8] = [
        Fault::KillLeader,
        Fault::StopLeader,
        Fault::KillFollower,
        Fault::WipeFollower,
        Fault::RollingRestart,
        Fault::KillAll,
        Fault::CutConnections,
        Fault::Strangers,
    ];

    /// The name on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            Fault::KillLeader => "kill_leader",
            Fault::StopLeader => "stop_leader",
            Fault::KillFollower => "kill_follower",
            Fault::WipeFollower => "wipe_follower",
            Fault::RollingRestart => "rolling_restart",
            Fault::KillAll => "kill_all",
            Fault::CutConnections => "cut_connections",
            Fault::Strangers => "strangers",
        }
    }

    /// The fault of that name.
    pub fn parse(name: &str) -> Option<Fault> {
        Fault::ALL.into_iter().find(|fault| fault.name() == name)
    }

    /// How often it is drawn, compared with the others: a leader's death is what most depends on.
    pub fn weight(self) -> u64 {
        match self {
            Fault::KillLeader => 12,
            Fault::StopLeader | Fault::KillFollower | Fault::RollingRestart | Fault::KillAll => 2,
            Fault::WipeFollower | Fault::CutConnections => 2,
            Fault::Strangers => 1,
        }
    }

    /// Whether it takes a quorum of several nodes.
    pub fn needs_followers(self) -> bool {
        matches!(self, Fault::StopLeader | Fault::KillFollower | Fault::WipeFollower)
    }

    /// What a producer waits for an answer: a stopped leader keeps its connections, and only this ends the wait.
    pub fn request_timeout(self) -> Duration {
        match self {
            Fault::StopLeader => Duration::from_secs(1),
            _ => Duration::from_secs(30),
        }
    }
}
