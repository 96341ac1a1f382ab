//! Cold fetches and reads: what they ask for has left memory and comes back from the disk.
//!
//! At most `loads_max` loads are under way; who comes later waits for a turn, in order. Nobody waits for the disk for
//! ever: at the deadline the asker is answered without records, and asks again. What the disk brings after that meets
//! nobody, but until it does the load keeps its place among those under way, so that a disk that hangs is not asked for
//! more and more.
//!
//! **Invariants**
//! - whoever waits here is either queued or has a load under way.
//! - a replica has one fetch at most among those that wait here and those that are parked.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::ids::{Offset, ReplicaKey};
use crate::log::{Gone, LoadId};
use crate::raft::context::Context;
use crate::raft::parked::Parked;
use crate::raft::role::leader::Leader;
use crate::raft::role::leader::fetches::ParkedFetch;
use crate::raft::role::leader::reads::ParkedRead;
use crate::raft::{ErrorCode, Ticket};
use crate::time::Instant;

/// Everybody who waits for the disk.
#[derive(Debug, Default)]
pub(in crate::raft) struct Loads {
    /// What the disk was asked for, and on whose behalf; that one may have been answered meanwhile.
    under_way: Vec<(LoadId, Ticket)>,
    waiting: Parked<Loading>,
    /// Whose turn has not come.
    queued: VecDeque<Ticket>,
}

/// What a load is for.
#[derive(Clone, Copy, Debug)]
pub(in crate::raft) enum Loading {
    Fetch(ParkedFetch),
    Read(ParkedRead),
}

impl Loading {
    fn ticket(&self) -> Ticket {
        match self {
            Loading::Fetch(fetch) => fetch.ticket,
            Loading::Read(read) => read.ticket,
        }
    }

    /// The asker's own patience, but long enough for a disk that works: an impatient reader of cold records would never
    /// get any.
    fn deadline(&self, ctx: &Context) -> Instant {
        let own = match self {
            Loading::Fetch(fetch) => ctx.instant() + fetch.request.max_wait,
            Loading::Read(read) => read.limits.deadline,
        };
        own.max(ctx.instant() + ctx.config.load_timeout)
    }

    fn range(&self, ctx: &Context) -> (Offset, usize) {
        match self {
            Loading::Fetch(fetch) => (fetch.offset, fetch.bytes_max(ctx)),
            Loading::Read(read) => (read.from, read.limits.bytes_max),
        }
    }
}

impl Loads {
    pub fn deadline(&self) -> Option<Instant> {
        self.waiting.deadline()
    }

    /// Takes this replica's fetch, if it waits here; what is loaded for it will meet nobody.
    pub fn take_fetch(&mut self, key: ReplicaKey) -> Option<ParkedFetch> {
        let is_its = |loading: &Loading| matches!(loading, Loading::Fetch(fetch) if fetch.replica == Some(key));
        let taken = self.waiting.take_all(|parked| is_its(&parked.what));
        assert!(taken.len() <= 1, "a replica has one fetch at most");
        taken.into_iter().find_map(|parked| match parked.what {
            Loading::Fetch(fetch) => Some(fetch),
            Loading::Read(_) => None,
        })
    }

    /// Hands loads to the disk while there is room and somebody waits for one.
    fn begin(&mut self, ctx: &mut Context) {
        while self.under_way.len() < ctx.config.loads_max {
            let Some(ticket) = self.queued.pop_front() else { return };
            if let Some(parked) = self.waiting.get(ticket) {
                let (from, bytes_max) = parked.what.range(ctx);
                self.under_way.push((ctx.load(from, bytes_max), ticket));
            }
        }
    }
}

impl Leader {
    /// What somebody asks for is not in memory.
    pub(super) fn load(&mut self, ctx: &mut Context, loading: Loading) {
        if self.loads.waiting.len() >= ctx.config.parked_max {
            return self.give_up(ctx, loading);
        }
        let (ticket, deadline) = (loading.ticket(), loading.deadline(ctx));
        self.loads.waiting.park(ticket, deadline, loading);
        self.loads.queued.push_back(ticket);
        self.loads.begin(ctx);
    }

    /// The disk has brought what somebody waits for, or waited for.
    pub fn on_loaded(&mut self, ctx: &mut Context, load: LoadId, bytes: Result<Bytes, Gone>) {
        let Some(index) = self.loads.under_way.iter().position(|(known, _)| *known == load) else { return };
        let (_, ticket) = self.loads.under_way.swap_remove(index);
        match self.loads.waiting.take(ticket).map(|parked| parked.what) {
            Some(Loading::Fetch(fetch)) => self.on_fetch_loaded(ctx, fetch, bytes),
            Some(Loading::Read(read)) => self.on_read_loaded(ctx, read, bytes),
            None => {}
        }
        self.loads.begin(ctx);
    }

    pub(super) fn expire_loads(&mut self, ctx: &mut Context) {
        let due = self.loads.waiting.take_due(ctx.instant());
        if due.is_empty() {
            return;
        }
        let Loads { waiting, queued, .. } = &mut self.loads;
        queued.retain(|ticket| waiting.get(*ticket).is_some());
        for parked in due {
            self.give_up(ctx, parked.what);
        }
    }

    pub(super) fn end_loads(&mut self, ctx: &mut Context) {
        for parked in self.loads.waiting.take_all(|_| true) {
            match parked.what {
                Loading::Fetch(fetch) => ctx.respond_fetch_error(fetch.ticket, ErrorCode::NotLeaderOrFollower),
                Loading::Read(read) => ctx.refuse_not_leader(read.ticket),
            }
        }
    }

    /// The disk does not bring it in time: an answer without records, which says "ask again" to replicas and consumers.
    fn give_up(&mut self, ctx: &mut Context, loading: Loading) {
        match loading {
            Loading::Fetch(fetch) => self.reply_nothing(ctx, &fetch),
            Loading::Read(read) => read.answer(ctx, Vec::new()),
        }
    }
}
