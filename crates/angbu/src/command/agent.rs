//! `angbu agent`: the agent as a process of its own.

use std::sync::Arc;

use angbu_agent::machine::Machine;
use angbu_agent::{Config, Event, Stop};

use super::{AgentArguments, Failure, Output, signals};

/// Runs the agent until SIGINT or SIGTERM.
pub(super) fn run(arguments: &AgentArguments) -> Result<(), Failure> {
    signals::log(arguments.json);
    let output = Output::new(arguments.json);
    let config = Config::read(&arguments.config).map_err(|error| Failure::Usage(error.to_string()))?;
    let stop = Stop::new();
    signals::on_end({
        let stop = stop.clone();
        move || stop.request()
    })?;
    let events = Arc::new(move |event: &Event| {
        tell_of_fork(event);
        output.result(event, || event.to_string());
    });
    angbu_agent::run(&config, Arc::new(Machine::new()), events, &stop).map_err(anyhow::Error::from)?;
    Ok(())
}

/// A fork stands in the log as well, where whoever watches machines looks for errors.
pub(super) fn tell_of_fork(event: &Event) {
    if let Event::Fork { reason, file, proven } = event {
        tracing::error!(%reason, %file, proven, "the centre shows another log than the one seen before");
    }
}
