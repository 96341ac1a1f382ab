//! Specification of `node`: scripts under `tests/golden/node`, played by one node and a script that plays everybody
//! else (`node/stage.rs` is the dialect), and frames of real brokers and clients under `tests/bytes/frames`.

#[path = "node/frames.rs"]
mod frames;
#[path = "node/requests.rs"]
mod requests;
#[path = "node/show.rs"]
mod show;
#[path = "node/stage.rs"]
mod stage;

use std::path::PathBuf;

#[test]
fn node_scripts() {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/node"));
    let mut scripts: Vec<PathBuf> =
        folder.read_dir().expect("the scripts").map(|entry| entry.expect("an entry").path()).collect();
    scripts.sort();
    for script in scripts {
        println!("{}", script.display());
        goldenscript::run(&mut stage::Stage::default(), &script).expect("a readable script");
    }
}
