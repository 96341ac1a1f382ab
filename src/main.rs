//! Parse, dispatch, exit code.

fn main() -> std::process::ExitCode {
    kraftbed::cli::main()
}
