//! `kraftbed verifiable-producer`: Kafka's `kafka-verifiable-producer.sh`, a JSON line on stdout for all that happens.
//!
//! The lines are compact and their fields in Kafka's order, because they are grepped for and cut as often as they are
//! parsed.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;

use crate::campaign::results;
use crate::cli::producer_properties::{Sources, thread_died};
use crate::cli::stdout::complain;
use crate::prng::Prng;
use crate::server::clock::wall;
use crate::server::load::pace::Pace;
use crate::server::load::settings::{ConfigException, ProducerProperties};
use crate::server::load::verifiable::{Event, Plan, Record, run as run_plan};

/// What the command takes.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Produce messages to this topic.
    #[arg(long)]
    topic: String,
    /// REQUIRED: The server(s) to connect to. Comma-separated list of Kafka brokers in the form HOST1:PORT1,HOST2:PORT2,...
    #[arg(long, alias = "broker-list", value_name = "HOST1:PORT1[,HOST2:PORT2[...]]")]
    bootstrap_server: String,
    /// Produce this many messages. If -1, produce messages until the process is killed externally.
    #[arg(long, default_value_t = -1, allow_negative_numbers = true)]
    max_messages: i32,
    /// If set >= 0, throttle maximum message throughput to *approximately* THROUGHPUT messages/sec.
    #[arg(long, default_value_t = -1, allow_negative_numbers = true)]
    throughput: i32,
    /// Acks required on each produced message. See Kafka docs on acks for details.
    #[arg(long, default_value = "-1", allow_negative_numbers = true, value_parser = ["0", "1", "-1"])]
    acks: String,
    /// (DEPRECATED) Producer config properties file. Use --command-config instead.
    #[arg(long = "producer.config", value_name = "CONFIG-FILE")]
    producer_config: Option<PathBuf>,
    /// Send messages with creation time starting at the arguments value, in milliseconds since epoch.
    #[arg(long, default_value_t = -1, allow_negative_numbers = true, value_name = "CREATE-TIME")]
    message_create_time: i64,
    /// If specified, each produced value will have this prefix with a dot separator.
    #[arg(long, allow_negative_numbers = true)]
    value_prefix: Option<i32>,
    /// If specified, each produced record will have a key starting at 0 increment by 1 up to the number specified
    /// (exclusive), then the key is set to 0 again.
    #[arg(long, allow_negative_numbers = true)]
    repeating_keys: Option<i32>,
    /// Config properties file (config options shared with command line parameters will be overridden).
    #[arg(long, value_name = "CONFIG-FILE")]
    command_config: Option<PathBuf>,
    /// Writes down what was asked and told, a JSON line for each record, for `kraftbed check`. (Not in Kafka.)
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
}

/// The tool in Kafka's words.
pub const LONG_ABOUT: &str = "This tool produces increasing integers to the specified topic and prints JSON metadata to \
    stdout on each \"send\" request, making externally visible which messages have been acked and which have not.";

/// Runs it until its last message or a signal, which is success.
pub fn run(arguments: &Arguments) -> ExitCode {
    if arguments.producer_config.is_some() && arguments.command_config.is_some() {
        let reason = "Options --producer.config and --command-config are mutually exclusive.";
        complain(format_args!("verifiable-producer: error: {reason}"));
        return ExitCode::FAILURE;
    }
    let plan = match plan(arguments) {
        Ok(plan) => plan,
        Err(error) => return thread_died(&*error),
    };
    let mut out = BufWriter::new(std::io::stdout());
    let throughput = arguments.throughput;
    // Whoever reads along sees every line at once; one that has gone away is no reason to stop.
    let outcome = run_plan(&plan, Prng::new(0, 0), &mut |event| {
        let line = line(&event, wall().0, &arguments.topic, throughput);
        if let Event::Trouble(_) = event {
            return complain(line);
        }
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    });
    let history = match outcome {
        Ok(history) => history,
        Err(error) => return thread_died(&error),
    };
    if let (Some(file), Some(history)) = (&arguments.history, history)
        && let Err(error) = results::write_history(file, history.operations())
    {
        complain(format_args!("verifiable-producer: error: {error}"));
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn plan(arguments: &Arguments) -> Result<Plan, Box<dyn std::error::Error>> {
    let mut properties = ProducerProperties::default();
    properties.set("bootstrap.servers", &arguments.bootstrap_server);
    properties.set("acks", &arguments.acks);
    // A message is sent once: that is what can be verified. It also switches idempotence off.
    properties.set("retries", "0");
    let sources = Sources {
        bootstrap_server: None,
        old_pairs: None,
        pairs: None,
        old_file: arguments.producer_config.as_deref().map(Path::new),
        file: arguments.command_config.as_deref().map(Path::new),
    };
    sources.read_over(&mut properties)?;
    let settings = properties.settings(&arguments.topic).map_err(|error: ConfigException| Box::new(error))?;
    Ok(Plan {
        settings,
        records: u64::try_from(arguments.max_messages).ok(),
        pace: Pace::of(f64::from(arguments.throughput)),
        value_prefix: arguments.value_prefix,
        repeating_keys: arguments.repeating_keys,
        create_time: Some(arguments.message_create_time).filter(|&time| time != -1),
        history: arguments.history.is_some(),
    })
}

/// An event as a line.
fn line(event: &Event, timestamp: i64, topic: &str, throughput: i32) -> String {
    let topic = Value::from(topic);
    let head = |name: &str| format!("{{\"timestamp\":{timestamp},\"name\":\"{name}\"");
    let of = |name: &str, record: &Record| {
        let (key, value) = (Value::from(record.key.clone()), Value::from(record.value.clone()));
        format!("{},\"key\":{key},\"value\":{value},\"topic\":{topic}", head(name))
    };
    match event {
        Event::Started => head("startup_complete") + "}",
        Event::Acked { record, offset } => {
            format!("{},\"partition\":0,\"offset\":{offset}}}", of("producer_send_success", record))
        }
        Event::Failed { record, class, message } => {
            let class = format!("class org.apache.kafka.common.errors.{class}");
            let (class, message) = (Value::from(class), Value::from(*message));
            format!("{},\"exception\":{class},\"message\":{message}}}", of("producer_send_error", record))
        }
        // For people, who read another stream.
        Event::Trouble(what) => what.clone(),
        Event::Stopped => head("shutdown_complete") + "}",
        Event::Summed { sent, acked, took } => {
            let millis = took.as_millis().max(1) as f64;
            let average = Value::from(1000.0 * (*acked as f64 / millis));
            format!(
                "{},\"sent\":{sent},\"acked\":{acked},\"target_throughput\":{throughput},\"avg_throughput\":{average}}}",
                head("tool_data")
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn lines_are_kafkas() {
        let record = |key: Option<&str>| Record { key: key.map(str::to_owned), value: "1.7".to_owned() };
        let line = |event| line(&event, 1000, "t", -1);
        assert_eq!(line(Event::Started), r#"{"timestamp":1000,"name":"startup_complete"}"#);
        assert_eq!(
            line(Event::Acked { record: record(None), offset: 12 }),
            r#"{"timestamp":1000,"name":"producer_send_success","key":null,"value":"1.7","topic":"t","partition":0,"offset":12}"#
        );
        let failed =
            Event::Failed { record: record(Some("3")), class: "TimeoutException", message: "The request timed out." };
        assert_eq!(
            line(failed),
            r#"{"timestamp":1000,"name":"producer_send_error","key":"3","value":"1.7","topic":"t","exception":"class org.apache.kafka.common.errors.TimeoutException","message":"The request timed out."}"#
        );
        assert_eq!(line(Event::Stopped), r#"{"timestamp":1000,"name":"shutdown_complete"}"#);
        let summed = Event::Summed { sent: 3, acked: 2, took: Duration::from_millis(800) };
        assert_eq!(
            line(summed),
            r#"{"timestamp":1000,"name":"tool_data","sent":3,"acked":2,"target_throughput":-1,"avg_throughput":2.5}"#
        );
    }
}
