//! The command line.

use std::process::ExitCode;

/// The system's allocator lets threads wait for one another under load: a tenth of what an append costs. This one
/// is asked for no huge pages (in Cargo.toml), which doubled what a centre under load keeps resident.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    angbu::command::run()
}
