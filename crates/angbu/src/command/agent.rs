//! `angbu agent`: the agent as a process of its own.

use std::sync::Arc;

use angbu_agent::clock::UnslewedClock;
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
    let events = Arc::new(move |event: &Event| output.result(event, || event.to_string()));
    angbu_agent::run(&config, Arc::new(UnslewedClock::new()), events, &stop).map_err(anyhow::Error::from)?;
    Ok(())
}
