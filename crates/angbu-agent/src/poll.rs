//! The thread that asks the servers.

use std::time::Duration;

use angbu_time::agent::Packets;
use angbu_units::{Monotonic, Nanos, NtpServerId};
use rand::RngExt as _;

use crate::Event;
use crate::ntp::client::{self, Answered, ExchangeError};
use crate::run::Shared;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// How soon the second question follows the first, where a rate is not known yet.
const SOON: Nanos = Nanos::from_secs(2);

/// How many of a name's addresses are tried.
const MOST_ADDRESSES: usize = 4;

/// A server to ask.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// `host` or `host:port`.
    pub(crate) name: String,
    /// As records name it.
    pub(crate) id: NtpServerId,
}

/// Asks the first server that answers, again and again, until the run stops.
pub(crate) fn poll(shared: &Shared, targets: &[Target], interval: Nanos) {
    let mut answered = shared.clock.read().monotonic;
    loop {
        if targets.iter().any(|target| exchange(shared, target)) {
            answered = shared.clock.read().monotonic;
        } else {
            tell_of_silence(shared, answered, interval);
        }
        if shared.stop.wait_for(until_next(shared, interval)) {
            return;
        }
    }
}

/// One exchange, and its record; whether there is one.
fn exchange(shared: &Shared, target: &Target) -> bool {
    let outcome = ask(shared, target);
    let mut core = shared.core();
    let now = shared.clock.read();
    if core.closing {
        return false;
    }
    let reason = match outcome {
        Ok(answered) => {
            let outcome = core.agent.on_reply(
                &Packets {
                    server: target.id,
                    request: &answered.request,
                    reply: &answered.reply,
                    sent: answered.sent.wall,
                    received: answered.received,
                },
                now,
            );
            for record in outcome.records {
                shared.keep(&mut core, record, &target.name, now);
            }
            match outcome.refused {
                None => return true,
                Some(refused) => refused.to_string(),
            }
        }
        Err(ExchangeError::GivenUp) => return false,
        Err(error) => error.to_string(),
    };
    (shared.events)(&Event::NoExchange { server: target.name.clone(), reason });
    false
}

fn ask(shared: &Shared, target: &Target) -> Result<Answered, ExchangeError> {
    let give_up = || shared.stop.is_requested();
    let mut failure = ExchangeError::GivenUp;
    for address in client::resolve(&target.name)?.into_iter().take(MOST_ADDRESSES) {
        match client::exchange(address, PATIENCE, &*shared.clock, &give_up) {
            Ok(answered) => return Ok(answered),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// After two intervals without an answer nothing is shown any more.
fn tell_of_silence(shared: &Shared, answered: Monotonic, interval: Nanos) {
    let mut core = shared.core();
    if shared.clock.read().monotonic - answered > interval.times(2) {
        core.agent.on_silence();
    }
}

/// How long to wait: the interval, a little more or less so that agents do not march in step, and shorter while
/// an answer more would show something.
fn until_next(shared: &Shared, interval: Nanos) -> Duration {
    let status = shared.core().agent.status();
    let eager = status.last.is_some() && status.judgement.rate.is_none();
    let interval = if eager { interval.min(SOON) } else { interval };
    interval.to_duration().mul_f64(rand::rng().random_range(0.95..=1.05))
}
