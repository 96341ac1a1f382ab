//! The binary: parse, dispatch, exit code.
#![expect(clippy::disallowed_methods, reason = "the command line is read here")]

use std::path::Path;
use std::process::ExitCode;

use kraftbed::server::run::serve;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "serve" && argument != "--override");
    let Some(file) = arguments.next() else { return ExitCode::from(2) };
    let overrides: Vec<(String, String)> =
        arguments.filter_map(|pair| pair.split_once('=').map(|(key, value)| (key.into(), value.into()))).collect();
    match serve(Path::new(&file), &overrides) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
