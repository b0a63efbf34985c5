//! The command line.

use std::process::ExitCode;

/// The system's allocator lets threads wait for one another under load: a tenth of what an append costs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    angbu::command::run()
}
