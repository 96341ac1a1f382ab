//! The vocabulary of faults: families, kinds, and one line about each.

/// A family of faults, as scenarios name them under `"faults": {"swarm": […]}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Cuts, resets, stalls, jitter.
    Network,
    /// Power-loss images, slow and failed syncs.
    Disk,
    /// Kill, power, pause, wipe, graceful stops.
    Process,
    /// Drift, offsets, jumps.
    Clock,
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
    pub const ALL: [FaultKind; 24] = [
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
}
