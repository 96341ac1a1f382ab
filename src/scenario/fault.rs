//! The vocabulary of faults: families, kinds, and one line about each.

/// A family of faults, as scenarios name them under `"faults": {"swarm": […]}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Cuts, resets, stalls, jitter.
    Network,
    /// Power-loss images, slow and failed syncs, rot.
    Disk,
    /// Kill, power, pause, wipe, graceful stops.
    Process,
    /// Drift, offsets, jumps.
    Clock,
}

impl Family {
    /// All families, in the order of declaration.
    pub const ALL: [Family; 4] = [Family::Network, Family::Disk, Family::Process, Family::Clock];

    /// The name used in scenarios.
    pub fn name(self) -> &'static str {
        match self {
            Family::Network => "network",
            Family::Disk => "disk",
            Family::Process => "process",
            Family::Clock => "clock",
        }
    }

    /// The kinds that belong to it.
    pub fn kinds(self) -> impl Iterator<Item = FaultKind> {
        FaultKind::ALL.into_iter().filter(move |kind| kind.family() == self)
    }
}

/// One kind of fault. Every fault that really happened is one *dose* of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum FaultKind {
    /// Links between groups of nodes carry nothing.
    Cut,
    /// A link carries nothing in one direction.
    CutOneWay,
    /// One node is cut off from all others.
    Isolate,
    /// A connection is reset, bytes in flight are lost.
    Reset,
    /// A connection delivers nothing for a while.
    Stall,
    /// Latency rises and varies across connections.
    Jitter,
    /// Datagram mode: a frame is lost.
    Drop,
    /// Datagram mode: a frame arrives twice.
    Duplicate,
    /// Datagram mode: a frame is overtaken.
    Reorder,
    /// A power loss tore a batch: part of an unsynced write survived.
    Torn,
    /// A power loss kept an arbitrary subset of unsynced sectors.
    LostSectors,
    /// A power loss undid a create, rename or removal.
    LostEntries,
    /// Syncs take long.
    SlowSync,
    /// A sync fails and the node must stop.
    FailedSync,
    /// Synced bytes below the recovery point are damaged or gone.
    Rot,
    /// The process dies; cache and platter stay.
    Kill,
    /// The power fails: the disk keeps a legal image.
    Power,
    /// The process dies during recovery.
    KillInRecovery,
    /// The process does nothing for a while.
    Pause,
    /// The disk is replaced by an empty one.
    Wipe,
    /// A graceful stop and a restart.
    Shutdown,
    /// The leader is asked to resign.
    Resign,
    /// A node's clocks run fast or slow.
    Drift,
    /// A node's wall clock is off.
    Offset,
    /// A node's wall clock jumps.
    Jump,
}

impl FaultKind {
    /// All kinds, in the order of declaration.
    pub const ALL: [FaultKind; 25] = [
        FaultKind::Cut,
        FaultKind::CutOneWay,
        FaultKind::Isolate,
        FaultKind::Reset,
        FaultKind::Stall,
        FaultKind::Jitter,
        FaultKind::Drop,
        FaultKind::Duplicate,
        FaultKind::Reorder,
        FaultKind::Torn,
        FaultKind::LostSectors,
        FaultKind::LostEntries,
        FaultKind::SlowSync,
        FaultKind::FailedSync,
        FaultKind::Rot,
        FaultKind::Kill,
        FaultKind::Power,
        FaultKind::KillInRecovery,
        FaultKind::Pause,
        FaultKind::Wipe,
        FaultKind::Shutdown,
        FaultKind::Resign,
        FaultKind::Drift,
        FaultKind::Offset,
        FaultKind::Jump,
    ];
    /// The name used in scenarios, counts and reports.
    pub fn name(self) -> &'static str {
        match self {
            FaultKind::Cut => "cut",
            FaultKind::CutOneWay => "cut_one_way",
            FaultKind::Isolate => "isolate",
            FaultKind::Reset => "reset",
            FaultKind::Stall => "stall",
            FaultKind::Jitter => "jitter",
            FaultKind::Drop => "drop",
            FaultKind::Duplicate => "duplicate",
            FaultKind::Reorder => "reorder",
            FaultKind::Torn => "torn",
            FaultKind::LostSectors => "lost_sectors",
            FaultKind::LostEntries => "lost_entries",
            FaultKind::SlowSync => "slow_sync",
            FaultKind::FailedSync => "failed_sync",
            FaultKind::Rot => "rot",
            FaultKind::Kill => "kill",
            FaultKind::Power => "power",
            FaultKind::KillInRecovery => "kill_in_recovery",
            FaultKind::Pause => "pause",
            FaultKind::Wipe => "wipe",
            FaultKind::Shutdown => "shutdown",
            FaultKind::Resign => "resign",
            FaultKind::Drift => "drift",
            FaultKind::Offset => "offset",
            FaultKind::Jump => "jump",
        }
    }

    /// One line for `kraftbed list faults`.
    pub fn about(self) -> &'static str {
        match self {
            FaultKind::Cut => "links between groups of nodes carry nothing",
            FaultKind::CutOneWay => "a link carries nothing in one direction",
            FaultKind::Isolate => "one node is cut off from all others",
            FaultKind::Reset => "a connection is reset, bytes in flight are lost",
            FaultKind::Stall => "a connection delivers nothing for a while",
            FaultKind::Jitter => "latency rises and varies across connections",
            FaultKind::Drop => "a frame is lost (datagram transport)",
            FaultKind::Duplicate => "a frame arrives twice (datagram transport)",
            FaultKind::Reorder => "a frame is overtaken (datagram transport)",
            FaultKind::Torn => "a power loss keeps part of an unsynced write",
            FaultKind::LostSectors => "a power loss keeps an arbitrary subset of unsynced sectors",
            FaultKind::LostEntries => "a power loss undoes a create, rename or removal",
            FaultKind::SlowSync => "syncs take long",
            FaultKind::FailedSync => "a sync fails and the node must stop",
            FaultKind::Rot => "synced bytes below the recovery point are damaged or gone",
            FaultKind::Kill => "the process dies; cache and platter stay",
            FaultKind::Power => "the power fails: the disk keeps a legal image",
            FaultKind::KillInRecovery => "the process dies during recovery",
            FaultKind::Pause => "the process does nothing for a while",
            FaultKind::Wipe => "the disk is replaced by an empty one",
            FaultKind::Shutdown => "a graceful stop and a restart",
            FaultKind::Resign => "the leader is asked to resign",
            FaultKind::Drift => "a node's clocks run fast or slow",
            FaultKind::Offset => "a node's wall clock is off",
            FaultKind::Jump => "a node's wall clock jumps",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<FaultKind> {
        FaultKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The family that it is drawn with.
    pub fn family(self) -> Family {
        match self {
            FaultKind::Cut | FaultKind::CutOneWay | FaultKind::Isolate => Family::Network,
            FaultKind::Reset | FaultKind::Stall | FaultKind::Jitter => Family::Network,
            FaultKind::Drop | FaultKind::Duplicate | FaultKind::Reorder => Family::Network,
            FaultKind::Torn | FaultKind::LostSectors | FaultKind::LostEntries => Family::Disk,
            FaultKind::SlowSync | FaultKind::FailedSync | FaultKind::Rot => Family::Disk,
            FaultKind::Kill | FaultKind::Power | FaultKind::KillInRecovery | FaultKind::Pause => Family::Process,
            FaultKind::Wipe | FaultKind::Shutdown | FaultKind::Resign => Family::Process,
            FaultKind::Drift | FaultKind::Offset | FaultKind::Jump => Family::Clock,
        }
    }

    /// Whether it needs frames that travel one by one: a stream loses nothing but its connection.
    pub fn needs_datagrams(self) -> bool {
        matches!(self, FaultKind::Drop | FaultKind::Duplicate | FaultKind::Reorder)
    }

    /// Whether it destroys synced data, which a quorum of fewer than three voters cannot survive.
    pub fn is_durable(self) -> bool {
        matches!(self, FaultKind::Wipe | FaultKind::Rot)
    }
}

/// How strong a fault is: the words of scenarios for 1, 2 and 3.
pub const STRENGTHS: [&str; 3] = ["weak", "medium", "strong"];
