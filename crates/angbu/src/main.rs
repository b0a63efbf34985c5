//! The command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    angbu::command::run()
}
