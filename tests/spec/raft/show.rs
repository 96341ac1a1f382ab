//! How scripts show what replicas say: one line each; what follows `@` is an epoch, `#` numbers calls and operations.

use kraftbed::ids::{Epoch, Offset, ReplicaKey};
use kraftbed::log::{DiskOp, Stored};
use kraftbed::raft::message::{FetchResponse, Fetched, ResponseBody, SaidHighWatermark};
use kraftbed::raft::{Answer, ErrorCode, Note, Progress, Proposed, Request, Response, View};
use kraftbed::record::{ControlRecord, RecordBatch};

pub fn view(view: &View<'_>) -> String {
    let role = match view.leader {
        Some(leader) if leader != view.key.id => format!("{}({leader})", view.role.name()),
        _ => view.role.name().to_string(),
    };
    let vote = view.vote.map_or(String::new(), |vote| format!(" vote={}", vote.id));
    let recovering = if view.is_recovering { " recovering" } else { "" };
    format!(
        "n{}@{} {role} end={}@{} flushed={} hw={}{vote}{recovering}",
        view.key.id,
        view.epoch,
        view.log_end,
        view.last_epoch,
        view.flushed,
        or_dash(view.high_watermark)
    )
}

pub fn progress(row: &Progress) -> String {
    let kind = if row.is_voter { "voter" } else { "observer" };
    let [fetched, caught_up] =
        [row.last_fetch, row.last_caught_up].map(|at| at.map_or("-".to_string(), |at| format!("{}ms", at.0)));
    format!("n{} {kind} end={} fetched={fetched} caught_up={caught_up}", row.key.id, or_dash(row.end))
}

pub fn request(request: &Request) -> (&'static str, String) {
    match request {
        Request::Vote(vote) => {
            let kind = if vote.pre_vote { "PreVote" } else { "Vote" };
            (kind, format!("@{} log {}@{}", vote.epoch, or_dash(vote.last_offset), or_dash(vote.last_epoch)))
        }
        Request::BeginQuorumEpoch(begin) => ("BeginQuorumEpoch", format!("@{}", begin.epoch)),
        Request::EndQuorumEpoch(end) => {
            let successors: Vec<String> = end.successors.iter().map(|key| key.id.to_string()).collect();
            ("EndQuorumEpoch", format!("@{} successors [{}]", end.epoch, successors.join(" ")))
        }
        Request::Fetch(fetch) => {
            let known = match fetch.high_watermark {
                SaidHighWatermark::Unsaid => "unsaid".to_string(),
                SaidHighWatermark::Known(known) => or_dash(known),
            };
            let position = format!("{}@{}", or_dash(fetch.offset), or_dash(fetch.last_epoch));
            ("Fetch", format!("@{} from {position} hw={known}", fetch.epoch))
        }
    }
}

pub fn response(response: &Response) -> (&'static str, String) {
    let leader = response.leader.map_or(String::new(), |leader| format!(" leader={leader}"));
    let (kind, what) = match &response.body {
        ResponseBody::Vote { granted: true } => ("Vote", "granted".to_string()),
        ResponseBody::Vote { granted: false } => ("Vote", "refused".to_string()),
        ResponseBody::BeginQuorumEpoch => ("BeginQuorumEpoch", "noted".to_string()),
        ResponseBody::EndQuorumEpoch => ("EndQuorumEpoch", "noted".to_string()),
        ResponseBody::Fetch(fetch) => ("Fetch", fetched(fetch)),
    };
    let what = if response.error == ErrorCode::None { what } else { format!("error {:?}", response.error) };
    (kind, format!("{what} @{}{leader}", response.epoch))
}

fn fetched(response: &FetchResponse) -> String {
    let found = match &response.found {
        Fetched::Records(records) if records.is_empty() => "nothing".to_string(),
        Fetched::Records(records) => batches(records),
        Fetched::Diverging { epoch, end } => format!("diverging {end}@{epoch}"),
        Fetched::Snapshot(id) => format!("snapshot {}@{}", id.end, id.epoch),
    };
    format!("{found} hw={}", or_dash(response.high_watermark))
}

pub fn answer(answer: &Answer) -> String {
    match answer {
        Answer::Response(body) => {
            let (kind, what) = response(body);
            format!("{kind} {what}")
        }
        Answer::Proposed(Proposed::Committed(base)) => format!("committed at {base}"),
        Answer::Proposed(Proposed::Appended(base)) => format!("appended at {base}"),
        Answer::Proposed(Proposed::Duplicate(base)) => format!("duplicate of {base}"),
        Answer::Proposed(Proposed::Unknown) => "unknown".to_string(),
        Answer::Records { batches: records, high_watermark, .. } => {
            let found = if records.is_empty() { "nothing".to_string() } else { batches(records) };
            format!("{found} hw={}", or_dash(*high_watermark))
        }
        Answer::Confirmed { offset, epoch } => format!("confirmed {offset} @{epoch}"),
        Answer::Refused(refusal) => format!("refused {refusal:?}"),
    }
}

pub fn disk(op: &DiskOp) -> String {
    match op {
        DiskOp::Adopt => "adopt".to_string(),
        DiskOp::Append { batches: appended, first_of_epoch } => {
            let begins: Vec<String> = first_of_epoch.iter().map(|entry| format!(" begins @{}", entry.epoch)).collect();
            format!("append {}{}", batches(appended), begins.concat())
        }
        DiskOp::Truncate { end, .. } => format!("truncate {end}"),
        DiskOp::QuorumState(state) => {
            let leader = state.leader.map_or("-".to_string(), |leader| leader.to_string());
            format!("quorum-state @{} leader={leader} vote={}", state.epoch, vote(state.vote))
        }
        DiskOp::Recovering(None) => "not recovering".to_string(),
        DiskOp::Recovering(Some(epoch)) => format!("recovering @{epoch}"),
        DiskOp::RecoveryPoint(point) => format!("recovery point {point}"),
        DiskOp::Close => "close".to_string(),
    }
}

pub fn stored(what: &Stored) -> String {
    match what {
        Stored::Log { from, .. } => format!("log from {from}"),
        Stored::Snapshot { id, position, .. } => format!("snapshot {}@{} from {position}", id.end, id.epoch),
    }
}

pub fn note(note: &Note) -> String {
    match note {
        Note::Became { role, epoch, leader } => {
            let leader = leader.map_or(String::new(), |leader| format!(", leader {leader}"));
            format!("became {} @{epoch}{leader}", role.name())
        }
        Note::Leads { epoch, start } => format!("leads @{epoch} from {start}"),
        Note::Voted { epoch, candidate } => format!("voted for {} @{epoch}", candidate.id),
        Note::VoteRefused { epoch, candidate, pre_vote } => {
            let kind = if *pre_vote { "pre-vote" } else { "vote" };
            format!("vote_refused to {candidate} @{epoch}, a {kind}")
        }
        Note::Diverged { keep } => format!("diverged from the leader, keeping {keep}"),
        Note::HighWatermark { to } => format!("high_watermark {to}"),
        Note::CheckQuorumFailed { epoch } => format!("check_quorum_failed @{epoch}"),
        Note::StaleAnswer => "stale_answer dropped".to_string(),
        Note::Contradiction { what } => format!("contradiction: {what}"),
        Note::Recovering { above } => format!("recovering until above @{above}"),
        Note::Recovered => "recovered".to_string(),
        Note::Unreadable { from } => format!("unreadable from {from}"),
    }
}

/// `3..5@4`, with a `*` behind what the leader wrote for itself.
pub fn batches(batches: &[RecordBatch]) -> String {
    let one = |batch: &RecordBatch| {
        let leader_change = batch.is_control()
            && ControlRecord::parse_batch(batch)
                .is_ok_and(|records| matches!(records[0], ControlRecord::LeaderChange { .. }));
        let mark = if leader_change { "*" } else { "" };
        format!("{}..{}@{}{mark}", batch.base_offset(), batch.end(), batch.leader_epoch())
    };
    batches.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn vote(vote: Option<ReplicaKey>) -> String {
    vote.map_or("-".to_string(), |vote| vote.id.to_string())
}

trait Dash {
    fn dash(self) -> String;
}

impl Dash for Offset {
    fn dash(self) -> String {
        self.to_string()
    }
}

impl Dash for Epoch {
    fn dash(self) -> String {
        self.to_string()
    }
}

fn or_dash(value: Option<impl Dash>) -> String {
    value.map_or("-".to_string(), Dash::dash)
}
