//! The page of a run in a real browser: Debian's chromium without a window, driven by a program of ours.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use kraftbed::history::objects::Clock;
use kraftbed::report::{Ending, Finding, Operation, Prefix, Report, page};
use kraftbed::time::Instant;
use libtest_mimic::Failed;

use crate::tools::Tool;

/// A test and its name.
pub type Test = (&'static str, fn() -> Result<(), Failed>);

/// What a browser is needed for.
pub fn tests() -> Vec<Test> {
    vec![
        ("page_of_a_failure_can_be_walked_through", walks),
        ("page_of_a_history_shows_what_conflicts", shows_a_conflict),
        ("page_shows_hostile_text_as_text", shows_hostile_text),
    ]
}

/// A plant makes a run fail, and its page is opened as a reader would.
fn walks() -> Result<(), Failed> {
    let desk = desk("browser-walks")?;
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/planted/restarts_as_leader.json");
    let run = Command::new(env!("CARGO_BIN_EXE_kraftbed")).arg("run").arg(scenario).current_dir(&desk).output()?;
    if run.status.code() != Some(1) {
        return Err(format!("the plant was to be caught: {}", String::from_utf8_lossy(&run.stdout)).into());
    }
    drive("walk", &desk.join("sim-results/restarts_as_leader/1/report.html"), &desk)
}

/// A history without a run behind it.
fn shows_a_conflict() -> Result<(), Failed> {
    let desk = desk("browser-conflict")?;
    let operation = |client: &str, what: &str, invoked, returned| Operation {
        client: client.into(),
        what: what.into(),
        invoked: Instant(invoked),
        returned,
        ending: if returned.is_some() { Ending::Done } else { Ending::Open },
    };
    let operations = vec![
        operation("p0", "write 1", 1_000, Some(Instant(2_000))),
        operation("p1", "write 2", 3_000, Some(Instant(4_000))),
        operation("p2", "read ⇒ 1", 5_000, Some(Instant(6_000))),
        operation("p0", "write 3", 5_500, None),
    ];
    let finding = Finding {
        verdict: "violated".into(),
        sentence: "p2 read 1 at 6µs, after p1 had been told that 2 was written.".into(),
        conflict: vec![(1, "returned before the read began".into()), (2, "sees what was overwritten".into())],
        prefix: Some(Prefix { sentence: "The first 2 of 4 operations can be put in order.".into(), order: vec![0] }),
        ..Finding::default()
    };
    let report = Report {
        title: "register".into(),
        finding,
        facts: Vec::new(),
        clock: Clock::Nanoseconds,
        events: &[],
        operations,
    };
    let file = desk.join("report.html");
    fs::write(&file, page(&report))?;
    drive("conflict", &file, &desk)
}

/// Nothing that a trace says may run or load anything.
fn shows_hostile_text() -> Result<(), Failed> {
    let desk = desk("browser-hostile")?;
    let hostile = "</script><script>window.hurt = 1</script><img src='https://example.com/x' onerror='window.hurt = 2'><!--<style>";
    let operation = Operation {
        client: hostile.into(),
        what: hostile.into(),
        invoked: Instant(1),
        returned: Some(Instant(2)),
        ending: Ending::Done,
    };
    let finding = Finding {
        verdict: "violated".into(),
        sentence: hostile.into(),
        rule: Some((hostile.into(), hostile.into())),
        conflict: vec![(0, hostile.into())],
        notes: vec![(hostile.into(), Some(0)), (hostile.into(), None)],
        replay: Some(hostile.into()),
        ..Finding::default()
    };
    let facts = vec![(hostile.to_owned(), hostile.to_owned())];
    let report = Report {
        title: hostile.into(),
        finding,
        facts,
        clock: Clock::Nanoseconds,
        events: &[],
        operations: vec![operation],
    };
    let file = desk.join("report.html");
    fs::write(&file, page(&report))?;
    drive("hostile", &file, &desk)
}

fn desk(name: &str) -> Result<PathBuf, Failed> {
    let desk = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&desk);
    fs::create_dir_all(&desk)?;
    Ok(desk)
}

/// The driver ends with 0 when all that it expects is so; its screenshots stay in the desk.
fn drive(what: &str, file: &Path, desk: &Path) -> Result<(), Failed> {
    let output = Tool::Browser.program("page.js").arg(what).arg(file).arg(desk).output()?;
    match output.status.success() {
        true => Ok(()),
        false => {
            Err(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
                .into())
        }
    }
}
