//! How histories are read and decided: the flags that `check` and `report` share.

use std::time::Duration;

use crate::campaign::check::Options;
use crate::cli::show;
use crate::history::Model;
use crate::history::format::{FailedCas, Format, Hints, NilRead, is_value};
use crate::scenario::text::parse_duration;

/// What is known of a history, and what it may take.
#[derive(Debug, clap::Args)]
pub struct Flags {
    /// What they are about, where that is not clear.
    #[arg(long, value_parser = parse_model, value_name = MODELS)]
    model: Option<Model>,
    /// How they are written, where that is not clear.
    #[arg(long, value_parser = parse_format, value_name = FORMATS)]
    format: Option<Format>,
    /// What a register holds at first, as the history would write it: 0, "a", [1 2]. [default: nil]
    #[arg(long, value_parser = parse_value, value_name = "VALUE", allow_hyphen_values = true)]
    initial: Option<String>,
    /// What a failed compare-and-set says: that it did not happen, or that it found another value.
    #[arg(long, value_parser = parse_failed_cas, value_name = "did-not-happen|refused")]
    failed_cas: Option<FailedCas>,
    /// What a read of nil says: nothing, or that nothing was there.
    #[arg(long, value_parser = parse_nil_read, value_name = "silent|observes")]
    nil_read: Option<NilRead>,
    /// How long each history may take, reading it included, such as 500ms or 30s.
    #[arg(long, value_parser = parse_time, value_name = "TIME")]
    timeout: Option<Duration>,
    /// Bytes that each history may take, unpacked, read, and with the states that a search keeps, such as 512MB or 4GiB.
    #[arg(long, value_parser = parse_bytes, value_name = "BYTES", default_value = "1GiB")]
    memory: u64,
    /// Operations that the search through each key may try.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    steps: Option<u64>,
    /// Threads. [default: one for each processor]
    #[arg(long, short, value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
}

impl Flags {
    /// What was said of the history, as it is said again.
    pub fn words(&self) -> String {
        let failed_cas = self.failed_cas.map(|said| match said {
            FailedCas::DidNotHappen => "did-not-happen",
            FailedCas::Refused => "refused",
        });
        let nil_read = self.nil_read.map(|said| match said {
            NilRead::Silent => "silent",
            NilRead::Observes => "observes",
        });
        let said = [
            ("--model", self.model.map(Model::name)),
            ("--format", self.format.map(Format::name)),
            ("--initial", self.initial.as_deref()),
            ("--failed-cas", failed_cas),
            ("--nil-read", nil_read),
        ];
        said.into_iter().filter_map(|(flag, said)| Some(format!(" {flag} {}", show::quoted(said?)))).collect()
    }

    /// As options; a search may try so many operations unless told otherwise.
    pub fn options(&self, steps_max: u64) -> Options {
        Options {
            hints: Hints {
                format: self.format,
                model: self.model,
                failed_cas: self.failed_cas,
                nil_read: self.nil_read,
                initial: self.initial.clone(),
            },
            time_max: self.timeout,
            bytes_max: self.memory,
            steps_max: self.steps.unwrap_or(steps_max),
            jobs: self.jobs.map_or_else(show::default_jobs, usize::from),
        }
    }
}

fn parse_model(text: &str) -> Result<Model, String> {
    Model::parse(text).ok_or_else(|| format!("expected one of {MODELS}, found {text}"))
}

fn parse_format(text: &str) -> Result<Format, String> {
    Format::parse(text).ok_or_else(|| format!("expected one of {FORMATS}, found {text}"))
}

fn parse_failed_cas(text: &str) -> Result<FailedCas, String> {
    match text {
        "did-not-happen" => Ok(FailedCas::DidNotHappen),
        "refused" => Ok(FailedCas::Refused),
        _ => Err(format!("expected did-not-happen or refused, found {text}")),
    }
}

fn parse_nil_read(text: &str) -> Result<NilRead, String> {
    match text {
        "silent" => Ok(NilRead::Silent),
        "observes" => Ok(NilRead::Observes),
        _ => Err(format!("expected silent or observes, found {text}")),
    }
}

fn parse_value(text: &str) -> Result<String, String> {
    let wrong = || format!("expected one value as a history would write it, such as 0, nil or \"a\", found {text:?}");
    Some(text.to_owned()).filter(|text| is_value(text)).ok_or_else(wrong)
}

fn parse_time(text: &str) -> Result<Duration, String> {
    let spelled = if text.ends_with(|last: char| last.is_ascii_digit()) { format!("{text}s") } else { text.to_owned() };
    let wrong = || format!("expected a duration such as 500ms or 30s, found {text}");
    parse_duration(&spelled).filter(|time| !time.is_zero()).ok_or_else(wrong)
}

/// A number of bytes: `1048576`, `512MB`, `4GiB`, `2G`.
fn parse_bytes(text: &str) -> Result<u64, String> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let unit: u64 = match text[digits..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => 0,
    };
    let bytes = text[..digits].parse::<u64>().ok().and_then(|count| count.checked_mul(unit));
    bytes
        .filter(|&bytes| bytes > 0)
        .ok_or_else(|| format!("expected bytes such as 1048576, 512MB or 4GiB, found {text}"))
}

const MODELS: &str = "register|cas-register|kv|log|queue|set|mutex|producer";

const FORMATS: &str = "edn|porcupine-kv|etcd-log|columns|jsonl";
