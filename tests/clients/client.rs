//! What every client is asked to do: read what it wrote, and live through every fault.

use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use libtest_mimic::Failed;

use crate::judge::{self, Promise, judge};
use crate::load::{Load, Speech};
use crate::stage::{Silence, Stage};
use crate::tools::Tool;

/// A client that can write and read.
#[derive(Clone, Copy)]
pub struct Client {
    /// What its tests are called by.
    pub name: &'static str,
    pub tool: Tool,
    /// Starts to write to BOOTSTRAP and TOPIC, so many records a second.
    pub produce: fn(Tool, &Place, u32) -> (Command, Speech),
    /// Prints so many records from the beginning, `OFFSET VALUE` a line.
    pub consume: fn(Tool, &Place, usize) -> Command,
    /// What it promises when it writes.
    pub promise: Promise,
    pub silence: Silence,
}

/// Where a client writes to and reads from.
#[derive(Clone, Debug)]
pub struct Place {
    pub bootstrap: String,
    pub topic: String,
}

impl Place {
    /// A quorum of ours.
    pub fn of(stage: &Stage) -> Place {
        Place { bootstrap: stage.bootstrap(), topic: TOPIC.to_owned() }
    }

    /// The Kafka that the user names, and a topic of its own there.
    pub fn named(client: &str) -> Option<Place> {
        static TOPICS: AtomicU32 = AtomicU32::new(0);
        let bootstrap = std::env::var("KRAFTBED_CLIENTS_BOOTSTRAP").ok()?;
        let prefix = std::env::var("KRAFTBED_CLIENTS_TOPIC").unwrap_or_else(|_| "kraftbed-clients".into());
        let (process, number) = (std::process::id(), TOPICS.fetch_add(1, Ordering::Relaxed));
        Some(Place { bootstrap, topic: format!("{prefix}-{client}-{process}-{number}") })
    }
}

impl Client {
    /// Reads back what it wrote. Against a Kafka that the user names, what was acknowledged is compared with what is read;
    /// against a quorum of ours also with every disk.
    pub fn reads_what_it_wrote(&self) -> Result<(), Failed> {
        if let Some(place) = Place::named(self.name) {
            let told = self.write(&place)?;
            let read = self.read(&place, told.len())?;
            return judge(&told, &read, self.promise);
        }
        let stage = Stage::start(&format!("{}-reads", self.name))?;
        let place = Place::of(&stage);
        let told = self.write(&place)?;
        let log = judge::entries(&stage.log()?)?;
        judge(&told, &log, self.promise)?;
        judge::equal(&self.read(&place, log.len())?, &log)
    }

    /// Writes while the leader is killed, the leader is stopped, a follower loses its disk, every node is restarted, and
    /// connections are cut; everything acknowledged is then there.
    pub fn survives_every_fault(&self) -> Result<(), Failed> {
        let mut stage = Stage::start(&format!("{}-survives", self.name))?;
        let place = Place::of(&stage);
        let (command, speech) = (self.produce)(self.tool, &place, RATE);
        let mut load = Load::start(command, speech)?;
        let waited = stage.hurt(&mut load, self.silence)?;
        let told = load.finish()?;
        judge::all_acked(&told, 100)?;
        let log = judge::entries(&stage.log()?)?;
        judge(&told, &log, self.promise)?;
        judge::equal(&self.read(&place, log.len())?, &log)?;
        let mut line = format!("{}: {} records; waited", self.name, told.len());
        for (fault, waited) in waited {
            let _ = write!(line, ", {fault} {} ms", waited.as_millis());
        }
        eprintln!("{line}");
        Ok(())
    }

    /// Writes a few hundred records, all of which are acknowledged.
    fn write(&self, place: &Place) -> Result<Vec<crate::load::Told>, Failed> {
        let (command, speech) = (self.produce)(self.tool, place, RATE);
        let mut load = Load::start(command, speech)?;
        load.await_ack(FEW)?;
        let told = load.finish()?;
        judge::all_acked(&told, 100)?;
        Ok(told)
    }

    fn read(&self, place: &Place, count: usize) -> Result<Vec<judge::Entry>, Failed> {
        judge::read(&run((self.consume)(self.tool, place, count), "")?)
    }
}

/// How our programs write.
pub fn produce_with(mut command: Command, place: &Place, rate: u32) -> (Command, Speech) {
    command.args(["produce", &place.bootstrap, &place.topic, &rate.to_string()]);
    (command, Speech::of_programs())
}

/// How our programs read.
pub fn consume_with(mut command: Command, place: &Place, count: usize) -> Command {
    command.args(["consume", &place.bootstrap, &place.topic, &count.to_string()]);
    command
}

/// Runs a command to its end with `input`, a minute at most, and gives its stdout.
pub fn run(command: Command, input: &str) -> Result<String, Failed> {
    // timeout(1) ends a client that waits for ever, which is the default of many.
    let mut patient = Command::new("timeout");
    patient.arg("60").arg(command.get_program()).args(command.get_args());
    patient.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let mut process = patient.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let stdin = process.stdin.take().expect("invariant: it was piped");
    // A client may end before it has read all.
    let _ = std::io::Write::write_all(&mut { stdin }, input.as_bytes());
    let output = process.wait_with_output()?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => {
            let [out, err] = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said).into_owned());
            let program = command.get_program().display();
            Err(format!("{program}: {}: {err}{}", output.status, &out[out.len().saturating_sub(2000)..]).into())
        }
    }
}

/// Records a second that a client writes.
const RATE: u32 = 200;

/// Enough records to see that a client reads what it wrote.
const FEW: u64 = 300;

/// The one topic of a quorum.
pub const TOPIC: &str = "__cluster_metadata";
