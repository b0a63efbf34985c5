//! What every long-running command does with signals and its log.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use nix::sys::signal::{SigSet, Signal};
use tracing_subscriber::EnvFilter;

/// Writes the log to standard error: in words, or as JSON lines for programs. `RUST_LOG` chooses how much.
pub(super) fn log(json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let writer = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second call in one process keeps the first one's log.
    let _ = if json {
        writer.json().try_init()
    } else {
        writer.with_ansi(std::io::stderr().is_terminal()).try_init()
    };
}

/// Calls `end` once, at the first SIGINT or SIGTERM. Must be called before other threads start, which then leave these
/// signals to the one that waits for them. A second signal ends the process at once.
pub(super) fn on_end(end: impl FnOnce() + Send + 'static) -> anyhow::Result<()> {
    let mut ends = SigSet::empty();
    ends.add(Signal::SIGINT);
    ends.add(Signal::SIGTERM);
    ends.thread_block().context("cannot take over the signals")?;
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            if ends.wait().is_ok() {
                end();
            }
            if ends.wait().is_ok() {
                std::process::exit(1);
            }
        })
        .context("cannot start the thread that waits for signals")?;
    Ok(())
}
