//! Producer properties as Kafka's producer reads them: keys, defaults, what is refused, and in which words.
//!
//! Later sources win over earlier ones; keys that mean nothing here are accepted, and unknown ones warned about, as Kafka
//! does. (Kafka: `ProducerConfig`, `ClientUtils.parseAndValidateAddresses`.)

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::client::producer::{Acks, Idempotence, Settings};
use crate::ids::Endpoint;

/// Properties by key; the last value that was set.
#[derive(Clone, Debug, Default)]
pub struct ProducerProperties {
    values: BTreeMap<String, String>,
}

/// A property that no producer can be made with, in Kafka's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigException(pub String);

impl fmt::Display for ConfigException {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "org.apache.kafka.common.config.ConfigException: {}", self.0)
    }
}

impl std::error::Error for ConfigException {}

impl ProducerProperties {
    /// Sets one, over whatever it was.
    pub fn set(&mut self, key: &str, value: &str) {
        self.values.insert(key.to_owned(), value.to_owned());
    }

    /// The value of one.
    pub fn find(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// Keys that no Kafka producer knows.
    pub fn unknown(&self) -> impl Iterator<Item = &str> {
        let is_known = |key: &str| {
            KNOWN.contains(&key)
                || IGNORED.contains(&key)
                || IGNORED_FAMILIES.iter().any(|family| key.starts_with(family))
        };
        self.values.keys().map(String::as_str).filter(move |key| !is_known(key))
    }

    /// The settings that these properties ask for.
    pub fn settings(&self, topic: &str) -> Result<Settings, ConfigException> {
        let bootstrap = self.bootstrap()?;
        let default = Settings::new(bootstrap, "producer-1", topic);
        let acks = match self.find("acks") {
            None | Some("all" | "-1") => Acks::All,
            Some("1") => Acks::Leader,
            Some("0") => Acks::None,
            Some(other) => return invalid("acks", other, "String must be one of: all, -1, 0, 1"),
        };
        let retries = self.number("retries", i64::from(default.retries), 0..=i64::from(i32::MAX))? as u32;
        let in_flight_max = self.number(IN_FLIGHT, 5, 1..=i64::from(i32::MAX))? as usize;
        let settings = Settings {
            client_id: self.find("client.id").unwrap_or(&default.client_id).to_owned(),
            acks,
            idempotence: self.idempotence(acks, retries, in_flight_max)?,
            // A batch of 0 bytes holds one record, whatever its size.
            batch_bytes: self.number("batch.size", 16384, 0..=i64::from(i32::MAX))? as usize,
            linger: self.millis("linger.ms", default.linger)?,
            in_flight_max,
            buffer_bytes_max: self.number("buffer.memory", 32 << 20, 0..=i64::MAX)? as usize,
            request_bytes_max: self.number("max.request.size", 1 << 20, 0..=i64::from(i32::MAX))? as usize,
            retries,
            retry_backoff: self.millis("retry.backoff.ms", default.retry_backoff)?.max(RETRY_BACKOFF_MIN),
            request_timeout: self.millis("request.timeout.ms", default.request_timeout)?,
            delivery_timeout: self.millis("delivery.timeout.ms", default.delivery_timeout)?,
            block_max: self.millis("max.block.ms", default.block_max)?,
            ..default
        };
        self.check_delivery(settings)
    }

    /// An explicit `delivery.timeout.ms` must leave room for lingering and one request; the default is raised instead.
    fn check_delivery(&self, mut settings: Settings) -> Result<Settings, ConfigException> {
        let least = settings.linger + settings.request_timeout;
        if settings.delivery_timeout < least {
            if self.find("delivery.timeout.ms").is_some() {
                let reason = "delivery.timeout.ms should be equal to or larger than linger.ms + request.timeout.ms";
                return Err(ConfigException(reason.to_owned()));
            }
            settings.delivery_timeout = least;
        }
        if let Some(codec) = self.find("compression.type").filter(|&codec| codec != "none") {
            let reason = match ["gzip", "snappy", "lz4", "zstd"].contains(&codec) {
                true => "this producer sends batches uncompressed: only none is served".to_owned(),
                false => "Must be one of: none, gzip, snappy, lz4, zstd".to_owned(),
            };
            return invalid("compression.type", codec, &reason);
        }
        Ok(settings)
    }

    /// On unless it is switched off or other settings rule it out; an error if they do and it was asked for.
    fn idempotence(&self, acks: Acks, retries: u32, in_flight_max: usize) -> Result<Idempotence, ConfigException> {
        let asked = match self.find("enable.idempotence") {
            None => None,
            Some(text) if text.eq_ignore_ascii_case("true") => Some(Idempotence::On),
            Some(text) if text.eq_ignore_ascii_case("false") => Some(Idempotence::Off),
            Some(other) => {
                let reason = "Expected value to be either true or false";
                return invalid("enable.idempotence", other, reason);
            }
        };
        let conflict = if acks != Acks::All {
            Some(
                "Must set acks to all in order to use the idempotent producer. Otherwise we cannot guarantee idempotence.",
            )
        } else if retries == 0 {
            Some("Must set retries to non-zero when using the idempotent producer.")
        } else if in_flight_max > IDEMPOTENT_IN_FLIGHT_MAX {
            Some("Must set max.in.flight.requests.per.connection to at most 5 to use the idempotent producer.")
        } else {
            None
        };
        match (asked, conflict) {
            (Some(Idempotence::On), Some(reason)) => Err(ConfigException(reason.to_owned())),
            (Some(Idempotence::Off), _) => Ok(Idempotence::Off),
            // Kafka refuses too many batches under way even where idempotence was not asked for.
            (None, Some(reason)) if acks == Acks::All && retries > 0 => Err(ConfigException(reason.to_owned())),
            (None, Some(_)) => Ok(Idempotence::Off),
            (_, None) => Ok(Idempotence::On),
        }
    }

    fn bootstrap(&self) -> Result<Vec<Endpoint>, ConfigException> {
        let Some(text) = self.find("bootstrap.servers") else {
            let reason = "Missing required configuration \"bootstrap.servers\" which has no default value.";
            return Err(ConfigException(reason.to_owned()));
        };
        let endpoints: Result<Vec<_>, _> =
            text.split(',').map(str::trim).filter(|url| !url.is_empty()).map(endpoint).collect();
        let endpoints = endpoints?;
        match endpoints.is_empty() {
            true => Err(ConfigException("No resolvable bootstrap urls given in bootstrap.servers".to_owned())),
            false => Ok(endpoints),
        }
    }

    fn millis(&self, key: &str, default: Duration) -> Result<Duration, ConfigException> {
        let default = i64::try_from(default.as_millis()).unwrap_or(i64::MAX);
        Ok(Duration::from_millis(self.number(key, default, 0..=i64::MAX)? as u64))
    }

    fn number(&self, key: &str, default: i64, range: std::ops::RangeInclusive<i64>) -> Result<i64, ConfigException> {
        let Some(text) = self.find(key) else { return Ok(default) };
        let Ok(number) = text.trim().parse::<i64>() else {
            return invalid(key, text, "Not a number of type LONG");
        };
        match range.contains(&number) {
            true => Ok(number),
            false if number < *range.start() => {
                invalid(key, text, &format!("Value must be at least {}", range.start()))
            }
            false => invalid(key, text, &format!("Value must be no more than {}", range.end())),
        }
    }
}

/// `host:port`, `[v6]:port`, or either behind a scheme such as `http://`. (Kafka: `Utils.getHost`, `Utils.getPort`.)
pub fn endpoint(url: &str) -> Result<Endpoint, ConfigException> {
    let wrong = || ConfigException(format!("Invalid url in bootstrap.servers: {url}"));
    let address = url.split_once("://").map_or(url, |(_, address)| address);
    let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_host = |c: char| c.is_ascii_alphanumeric() || "-%._:".contains(c);
    let port = port.parse().map_err(|_| wrong())?;
    match host.chars().all(is_host) {
        true => Ok(Endpoint::new(host, port)),
        false => Err(wrong()),
    }
}

fn invalid<T>(key: &str, value: &str, reason: &str) -> Result<T, ConfigException> {
    Err(ConfigException(format!("Invalid value {value} for configuration {key}: {reason}")))
}

const IN_FLIGHT: &str = "max.in.flight.requests.per.connection";

/// Brokers remember the last five batches of a producer.
const IDEMPOTENT_IN_FLIGHT_MAX: usize = 5;

/// A producer that does not wait before it tries again is a busy loop.
const RETRY_BACKOFF_MIN: Duration = Duration::from_millis(1);

/// Keys that are read here.
const KNOWN: &[&str] = &[
    "acks",
    "batch.size",
    "bootstrap.servers",
    "buffer.memory",
    "client.id",
    "compression.type",
    "delivery.timeout.ms",
    "enable.idempotence",
    "linger.ms",
    "max.block.ms",
    "max.in.flight.requests.per.connection",
    "max.request.size",
    "request.timeout.ms",
    "retries",
    "retry.backoff.ms",
    "transactional.id",
];

/// Keys of Kafka's producer that change nothing here: one partition, no metrics, no security, the system's socket buffers.
const IGNORED: &[&str] = &[
    "auto.include.jmx.reporter",
    "bootstrap.controllers",
    "client.dns.lookup",
    "config.providers",
    "connections.max.idle.ms",
    "enable.metrics.push",
    "interceptor.classes",
    "key.serializer",
    "metadata.max.age.ms",
    "metadata.max.idle.ms",
    "metadata.recovery.rebootstrap.trigger.ms",
    "metadata.recovery.strategy",
    "metric.reporters",
    "metrics.num.samples",
    "metrics.recording.level",
    "metrics.sample.window.ms",
    "partitioner.adaptive.partitioning.enable",
    "partitioner.availability.timeout.ms",
    "partitioner.class",
    "partitioner.ignore.keys",
    "receive.buffer.bytes",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "retry.backoff.max.ms",
    "security.protocol",
    "security.providers",
    "send.buffer.bytes",
    "socket.connection.setup.timeout.max.ms",
    "socket.connection.setup.timeout.ms",
    "transaction.timeout.ms",
    "transaction.two.phase.commit.enable",
    "value.serializer",
];

/// Families of them.
const IGNORED_FAMILIES: &[&str] = &["compression.", "sasl.", "ssl."];

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<Settings, String> {
        let mut properties = ProducerProperties::default();
        properties.set("bootstrap.servers", "localhost:9092");
        pairs.iter().for_each(|(key, value)| properties.set(key, value));
        properties.settings("t").map_err(|error| error.0)
    }

    #[test]
    fn defaults_are_kafkas() {
        let settings = settings(&[]).expect("valid");
        assert_eq!(
            (settings.batch_bytes, settings.linger, settings.in_flight_max),
            (16384, Duration::from_millis(5), 5)
        );
        assert_eq!((settings.acks, settings.idempotence), (Acks::All, Idempotence::On));
        assert_eq!((settings.buffer_bytes_max, settings.retries), (33_554_432, 2_147_483_647));
    }

    #[test]
    fn idempotence_gives_way_unless_it_was_asked_for() {
        let idempotence = |pairs| settings(pairs).map(|settings| settings.idempotence);
        assert_eq!(idempotence(&[("acks", "1")]), Ok(Idempotence::Off));
        assert_eq!(idempotence(&[("retries", "0")]), Ok(Idempotence::Off));
        let refused = idempotence(&[("acks", "1"), ("enable.idempotence", "true")]).unwrap_err();
        assert!(refused.starts_with("Must set acks to all in order to use the idempotent producer."), "{refused}");
        let refused = idempotence(&[("max.in.flight.requests.per.connection", "6")]).unwrap_err();
        assert!(refused.ends_with("at most 5 to use the idempotent producer."), "{refused}");
    }

    #[test]
    fn what_is_refused_is_refused_in_kafkas_words() {
        let refused = |key, value| settings(&[(key, value)]).unwrap_err();
        assert_eq!(
            refused("acks", "7"),
            "Invalid value 7 for configuration acks: String must be one of: all, -1, 0, 1"
        );
        assert_eq!(refused("retries", "-1"), "Invalid value -1 for configuration retries: Value must be at least 0");
        assert_eq!(refused("bootstrap.servers", "nowhere"), "Invalid url in bootstrap.servers: nowhere");
        assert_eq!(
            refused("delivery.timeout.ms", "1000"),
            "delivery.timeout.ms should be equal to or larger than linger.ms + request.timeout.ms"
        );
    }

    #[test]
    fn addresses_may_have_a_scheme_and_brackets() {
        let text = |url| endpoint(url).map(|endpoint| endpoint.to_string());
        assert_eq!(text("http://localhost:9092"), Ok("localhost:9092".into()));
        assert_eq!(text("PLAINTEXT://[::1]:9092"), Ok("[::1]:9092".into()));
        assert!(text("local host:9092").is_err() && text("localhost:port").is_err());
    }

    #[test]
    fn unknown_keys_are_known() {
        let mut properties = ProducerProperties::default();
        for key in ["linger.ms", "ssl.truststore.location", "lingr.ms", "compression.gzip.level"] {
            properties.set(key, "1");
        }
        assert_eq!(properties.unknown().collect::<Vec<_>>(), ["lingr.ms"]);
    }
}
