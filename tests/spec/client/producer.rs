//! Golden scripts of a batching producer, in the dialect of the session's.
//!
//! ```text
//! producer brokers=N [batch=BYTES] [linger=MS] [in-flight=N] [retries=N] [acks=0|1|all] [idempotence=off]
//! push VALUE…      records are given to the producer, and a tick if it has something to send
//! flush            nothing lingers any more
//! drained          the operating system has taken everything
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use kraftbed::client::Input;
use kraftbed::client::producer::{Acks, Ended, Fate, Idempotence, Producer, Settings};
use kraftbed::prng::Prng;
use kraftbed::record::Shape;
use kraftbed::time::{Instant, Timestamp};

use super::{Script, broker, run_scripts};

#[test]
fn golden_scripts() {
    run_scripts("tests/golden/producer", 6);
}

impl Script {
    pub fn start_producer(&mut self, options: &BTreeMap<&str, &str>) -> Result<String, Box<dyn Error>> {
        let number = |key: &str, default: u64| options.get(key).map_or(Ok(default), |text| text.parse::<u64>());
        let brokers = number("brokers", 1)? as u16;
        let mut settings = Settings::new((1..=brokers).map(broker).collect(), "client", "log");
        settings.batch_bytes = number("batch", 16384)? as usize;
        settings.linger = Duration::from_millis(number("linger", 5)?);
        settings.in_flight_max = number("in-flight", 5)? as usize;
        settings.retries = number("retries", u64::from(settings.retries))? as u32;
        settings.acks = match options.get("acks") {
            Some(&"0") => Acks::None,
            Some(&"1") => Acks::Leader,
            _ => Acks::All,
        };
        if options.get("idempotence") == Some(&"off") {
            settings.idempotence = Idempotence::Off;
        }
        self.producer = Some(Producer::new(settings, Prng::new(1, 0)));
        Ok(String::new())
    }

    pub fn push(&mut self, values: &[&str]) -> Result<String, Box<dyn Error>> {
        let (now, producer) = (self.now, self.producer.as_mut().ok_or("no producer")?);
        for value in values.iter().map(|value| value.as_bytes()) {
            let timestamp = Timestamp(now.since(Instant::ZERO).as_millis() as i64);
            let shape = Shape { timestamp, key: None, value_bytes: value.len() };
            let pushed = producer.push(now, &shape, |place| place.copy_from_slice(value));
            pushed.map_err(|refused| format!("{refused:?}"))?;
        }
        match producer.is_due(now) {
            true => self.step(Input::Tick),
            false => Ok(String::new()),
        }
    }

    pub fn flush(&mut self) -> Result<String, Box<dyn Error>> {
        self.producer.as_mut().ok_or("no producer")?.flush();
        self.step(Input::Tick)
    }

    pub fn drained(&mut self) -> Result<String, Box<dyn Error>> {
        self.producer.as_mut().ok_or("no producer")?.on_drained();
        Ok(self.ended())
    }

    /// What has ended since the last look.
    pub fn ended(&mut self) -> String {
        let Some(producer) = &mut self.producer else { return String::new() };
        std::iter::from_fn(|| producer.next_ended()).map(|ended| show(&ended)).collect()
    }
}

fn show(ended: &Ended) -> String {
    let fate = match ended.fate {
        Fate::Acked { base: Some(base) } => format!("acked at {base}"),
        Fate::Acked { base: None } => "acked".to_owned(),
        Fate::Failed { error } => format!("failed, error {error}"),
        Fate::Open { error } => format!("open, error {error}"),
    };
    let (first, records) = (ended.first_record, ended.records);
    format!("ended {records} from {first}: {fate} after {} attempts\n", ended.attempts)
}
