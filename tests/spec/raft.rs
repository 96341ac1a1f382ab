//! Specification of `raft`: scripts under `tests/golden/raft`, run against a few replicas, a list of messages and one
//! disk each. Nothing happens in them that a script does not ask for. (`raft/cluster.rs` is the dialect.)

#[path = "raft/ask.rs"]
mod ask;
#[path = "raft/cluster.rs"]
mod cluster;
#[path = "raft/disk.rs"]
mod disk;
#[path = "raft/show.rs"]
mod show;
#[path = "raft/storm.rs"]
mod storm;

use std::path::PathBuf;

#[test]
fn raft_scripts() {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/raft"));
    let mut scripts: Vec<PathBuf> =
        folder.read_dir().expect("the scripts").map(|entry| entry.expect("an entry").path()).collect();
    scripts.sort();
    for script in scripts {
        println!("{}", script.display());
        goldenscript::run(&mut cluster::Cluster::default(), &script).expect("a readable script");
    }
}
