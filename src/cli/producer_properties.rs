//! Where the load tools' producer properties come from, in the order in which they win.

use std::error::Error;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::cli::stdout::{complain, say};
use crate::node::properties::Properties;
use crate::server::load::settings::ProducerProperties;

/// Old and new spellings; of each pair at most one is given.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// `--bootstrap-server`
    pub bootstrap_server: Option<&'a str>,
    /// `--producer-props`
    pub old_pairs: Option<&'a [String]>,
    /// `--command-property`
    pub pairs: Option<&'a [String]>,
    /// `--producer.config`
    pub old_file: Option<&'a Path>,
    /// `--command-config`
    pub file: Option<&'a Path>,
}

impl Sources<'_> {
    /// Whether any of them but `--bootstrap-server` is given.
    pub fn is_any(&self) -> bool {
        self.old_pairs.is_some() || self.pairs.is_some() || self.old_file.is_some() || self.file.is_some()
    }

    /// Reads them: the file, over it the pairs, over them the server. Says what is deprecated on stdout, as Kafka does, and
    /// what is unknown on stderr.
    pub fn read(&self, client_id: &str) -> Result<ProducerProperties, Box<dyn Error>> {
        let mut properties = ProducerProperties::default();
        self.read_over(&mut properties)?;
        if properties.find("client.id").is_none() {
            properties.set("client.id", client_id);
        }
        Ok(properties)
    }

    /// The same, over properties that are there already.
    pub fn read_over(&self, properties: &mut ProducerProperties) -> Result<(), Box<dyn Error>> {
        self.say_what_is_old();
        if let Some(file) = self.file.or(self.old_file) {
            for property in read_file(file)?.iter() {
                properties.set(&property.key, &property.value);
            }
        }
        for pair in self.pairs.or(self.old_pairs).unwrap_or_default() {
            let pieces: Vec<&str> = pair.split('=').collect();
            match pieces[..] {
                [key, value] if !value.is_empty() => properties.set(key, value),
                _ => return Err(format!("java.lang.IllegalArgumentException: Invalid property: {pair}").into()),
            }
        }
        if let Some(server) = self.bootstrap_server {
            properties.set("bootstrap.servers", server);
        }
        for key in properties.unknown() {
            complain(format_args!("The configuration '{key}' was supplied but isn't a known config."));
        }
        Ok(())
    }

    fn say_what_is_old(&self) {
        for (is_used, old, new) in [
            (self.old_pairs.is_some(), "--producer-props", "--command-property"),
            (self.old_file.is_some(), "--producer.config", "--command-config"),
        ] {
            if is_used {
                let _ = say(format_args!(
                    "Option {old} has been deprecated and will be removed in a future version. Use {new} instead."
                ));
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the producer's properties are in a file of the user's")]
fn read_file(file: &Path) -> Result<Properties, Box<dyn Error>> {
    let bytes = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let properties = Properties::parse(&bytes).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(properties)
}

/// A path as Java's `toAbsolutePath` shows it.
pub fn absolute(file: &Path) -> PathBuf {
    std::path::absolute(file).unwrap_or_else(|_| file.to_owned())
}

/// Says why the tool cannot go on, as a JVM would, and how the process is to end.
pub fn thread_died(error: &(impl Display + ?Sized)) -> ExitCode {
    complain(format_args!("Exception in thread \"main\" {error}"));
    ExitCode::FAILURE
}
