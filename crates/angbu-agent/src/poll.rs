//! The thread that asks the servers.

use std::time::Duration;

use angbu_time::agent::{Packets, Unusable};
use angbu_time::nts::client::Refusal;
use angbu_time::proof::Witness;
use angbu_time::record::Fact;
use angbu_units::{Monotonic, Nanos, NtpServerId};
use rand::RngExt as _;

use crate::Event;
use crate::ntp::client::{self, Answered, ExchangeError};
use crate::nts::{Pace, Protected};
use crate::run::Shared;
use crate::steer;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// How soon the second question follows the first, where a rate is not known yet.
const SOON: Nanos = Nanos::from_secs(2);

/// How many of a name's addresses are tried.
const MOST_ADDRESSES: usize = 4;

/// A server to ask.
pub(crate) struct Target {
    /// `host` or `host:port`.
    pub(crate) name: String,
    /// As records name it.
    pub(crate) id: NtpServerId,
    /// How it is asked.
    pub(crate) way: Way,
    /// How often it lets itself be asked.
    pub(crate) pace: Pace,
}

/// How a server is asked.
pub(crate) enum Way {
    /// Without protection.
    Plain,
    /// Under protection, and not at all without.
    Protected(Box<Protected>),
    /// Not at all, and why.
    Not(String),
}

/// Asks the first server that answers, again and again, until the run stops.
pub(crate) fn poll(shared: &Shared, mut targets: Vec<Target>, interval: Nanos) {
    let mut answered = shared.clock.read().monotonic;
    loop {
        let steers = shared.core().steer.is_some();
        let mut by = None;
        for (place, target) in targets.iter_mut().enumerate() {
            let answered = exchange(shared, place, target);
            by = by.or(answered.then_some(target.pace));
            // Who only observes needs one answer; who keeps a clock asks all, since one alone may be wrong.
            if by.is_some() && !steers {
                break;
            }
        }
        steer::correct(shared);
        if by.is_some() {
            answered = shared.clock.read().monotonic;
        } else {
            tell_of_silence(shared, answered, interval);
        }
        // Who was answered by nobody goes at the pace of the first.
        let pace = by.or(targets.first().map(|target| target.pace)).unwrap_or(Pace::new());
        if shared.stop.wait_for(until_next(shared, pace.interval(interval))) {
            return;
        }
    }
}

/// One exchange, and its record; whether there is one.
fn exchange(shared: &Shared, place: usize, target: &mut Target) -> bool {
    let outcome = ask(shared, target);
    let mut core = shared.core();
    let look = shared.clock.look();
    let now = look.reading;
    if core.closing {
        return false;
    }
    let reason = match outcome {
        Ok(Asked { answered, witness }) => {
            let packets = Packets {
                server: target.id,
                request: &answered.request,
                reply: &answered.reply,
                sent: answered.sent.wall,
                received: answered.received,
            };
            // The centre is the first; only its exchanges show anything about being in sync with it.
            let outcome = if place > 0 && core.steer.is_some() {
                core.agent.on_other_reply(&packets, look)
            } else {
                core.agent.on_reply(&packets, look)
            };
            for record in outcome.records {
                let witness = witness.as_ref().filter(|_| matches!(record.fact, Fact::Exchange(_)));
                let seq = shared.keep_with(&mut core, record.clone(), witness, &target.name, now);
                if let Some(steer) = &mut core.steer {
                    steer.on_record(Some(place), &record, seq, now);
                }
            }
            if let Some(put_back) = shared.put_back(&mut core) {
                shared.tell_put_back(&mut core, put_back);
            }
            shared.remember(&core);
            match outcome.refused {
                None => {
                    target.pace.answered();
                    if let Way::Protected(protected) = &mut target.way {
                        protected.answered(answered.received);
                    }
                    return true;
                }
                Some(refused) => {
                    if let Unusable::Reply(refused) = refused {
                        target.pace.refused(refused);
                    }
                    refused.to_string()
                }
            }
        }
        Err(None) => return false,
        Err(Some(reason)) => reason,
    };
    (shared.events)(&Event::NoExchange { server: target.name.clone(), reason });
    false
}

/// A question that was answered, and what proves it to others.
struct Asked {
    answered: Answered,
    witness: Option<Witness>,
}

/// Asks once; in words why there is no answer, unless the run stops.
fn ask(shared: &Shared, target: &mut Target) -> Result<Asked, Option<String>> {
    match &mut target.way {
        Way::Plain => ask_plain(shared, &target.name).map(|answered| Asked { answered, witness: None }),
        Way::Protected(protected) => ask_protected(shared, protected),
        Way::Not(reason) => Err(Some(reason.clone())),
    }
}

fn ask_plain(shared: &Shared, name: &str) -> Result<Answered, Option<String>> {
    let give_up = || shared.stop.is_requested();
    let mut failure = ExchangeError::GivenUp;
    for address in client::resolve(name).map_err(in_words)?.into_iter().take(MOST_ADDRESSES) {
        match client::exchange(address, PATIENCE, &*shared.clock, &give_up) {
            Ok(answered) => return Ok(answered),
            Err(error) => failure = error,
        }
    }
    Err(in_words(failure))
}

fn ask_protected(shared: &Shared, protected: &mut Protected) -> Result<Asked, Option<String>> {
    let give_up = || shared.stop.is_requested();
    let mut failure = None;
    let (to, _) = protected.question().map_err(Some)?;
    for address in client::resolve(&to).map_err(in_words)?.into_iter().take(MOST_ADDRESSES) {
        let (_, mut question) = protected.question().map_err(Some)?;
        match client::exchange_of(address, PATIENCE, &*shared.clock, &give_up, &mut question) {
            Ok(answered) => {
                let witness = question.witness(&answered);
                return Ok(Asked { answered, witness });
            }
            Err(error) => {
                let refused = question.refused;
                if refused == Some(Refusal::Nak) {
                    protected.give_up_keys();
                }
                failure = match (in_words(error), refused) {
                    (Some(_), Some(refused)) => Some(refused.to_string()),
                    (words, _) => words,
                };
            }
        }
    }
    Err(failure)
}

/// What is told of a failure; nothing where the run stops.
fn in_words(error: ExchangeError) -> Option<String> {
    match error {
        ExchangeError::GivenUp => None,
        error => Some(error.to_string()),
    }
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
    let core = shared.core();
    let status = core.agent.status();
    let settling = core.steer.as_ref().is_some_and(|steer| steer.discipline.is_eager());
    drop(core);
    let eager = status.last.is_some() && (settling || status.judgement.rate.is_none());
    let interval = if eager { interval.min(SOON) } else { interval };
    interval.to_duration().mul_f64(rand::rng().random_range(0.95..=1.05))
}
