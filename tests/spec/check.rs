//! Specification of `check` and `trace`: scripts under `tests/golden/check`, in which a small cluster is told what it
//! looks like and the whole judge looks on; and traces as text and bytes.

#[path = "check/court.rs"]
mod court;
#[path = "check/traces.rs"]
mod traces;

use std::path::PathBuf;

#[test]
fn check_scripts() {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/check"));
    let mut scripts: Vec<PathBuf> =
        folder.read_dir().expect("the scripts").map(|entry| entry.expect("an entry").path()).collect();
    scripts.sort();
    for script in scripts {
        println!("{}", script.display());
        goldenscript::run(&mut court::Court::default(), &script).expect("a readable script");
    }
}
