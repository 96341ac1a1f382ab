//! A node's files at rest, for the judge.

use crate::check::{Rest, Shelf, What};
use crate::ids::uuid_to_text;
use crate::log::{FileName, FileRange};
use crate::sim::HostId;
use crate::sim::world::World;

impl World<'_> {
    /// Shows every node's files; whoever has a file operation under way is left alone.
    pub(crate) fn show_files(&mut self) {
        for id in 0..self.hosts.len() as u32 {
            self.show_files_of(HostId(id), Rest::Calm);
        }
    }

    /// Shows the files of a node that is up and has no file operation under way.
    pub(crate) fn show_files_of(&mut self, host: HostId, rest: Rest) {
        let state = &self.hosts[host.index()];
        let (Some(node), true) = (state.node(), state.disk.is_idle()) else { return };
        let whole = |(file, length)| (file, state.disk.read(FileRange { file, at: 0, length }));
        let files: Vec<_> = state.disk.listing().into_iter().map(whole).collect();
        let config = node.config();
        let shelf = Shelf {
            files: &files,
            rest,
            segment_bytes: self.plan.settings.segment_bytes,
            preallocate_bytes: self.plan.settings.preallocate_bytes,
            owed: &[
                (FileName::PartitionMetadata, format!("topic_id: {}", uuid_to_text(config.topic_id))),
                (FileName::MetaProperties, format!("node.id={}", host.0)),
                (FileName::MetaProperties, format!("cluster.id={}", config.cluster_id)),
            ],
        };
        self.court.see(&self.hosts, self.now, Some(host), What::Shelved(&shelf));
    }
}
