//! What an agent tells whoever runs it, as it happens.

use std::fmt;

use angbu_time::record::{Fact, Record};
use angbu_units::Nanos;
use serde::Serialize;

/// Something that happened. As JSON one object with an `event` member; in words by its `Display`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "snake_case")]
pub enum Event {
    /// The agent has joined the centre.
    Joined {
        /// Its id from now on.
        agent: String,
        /// The customer's name.
        customer: String,
    },
    /// The centre could not be joined yet.
    NotJoined {
        /// Why.
        reason: String,
        /// In how many milliseconds it is tried again.
        retry_ms: u64,
    },
    /// The agent is ready: its start is recorded and it watches the clock.
    Started {
        /// Its id.
        agent: String,
        /// The customer's name.
        customer: String,
        /// The number of its start among its records.
        seq: u64,
        /// Whether the run before ended in order.
        clean: bool,
        /// Within how many nanoseconds the clock must be.
        tolerance_ns: i64,
    },
    /// A server answered, and what that showed is recorded.
    Exchange {
        /// Its number.
        seq: u64,
        /// Which server.
        server: String,
        /// When, by the server's clock, RFC 3339.
        at: String,
        /// What the server's clock is ahead.
        offset_ns: i64,
        /// How far the true offset can lie from that.
        bound_ns: i64,
        /// The one-way delay.
        delay_ns: i64,
        /// How fast the offset changes.
        rate_ppb: Option<i64>,
        /// The rate and the delay are within what is allowed.
        steady: bool,
        /// Steady, and shown to be within the tolerance.
        in_sync: bool,
    },
    /// No server gave an answer that can be used.
    NoExchange {
        /// Which was asked.
        server: String,
        /// Why there is no exchange.
        reason: String,
    },
    /// The site's machines can ask for time here.
    Serving {
        /// Where.
        addresses: Vec<String>,
    },
    /// What the site's machines are told of this clock has changed.
    Children {
        /// They get time; or else they are told that it is not known.
        served: bool,
    },
    /// Every Roughtime server that answered agrees with what NTP shows.
    Roughtime {
        /// How many replies were held against it.
        replies: usize,
    },
    /// A Roughtime server gave no reply that can be used.
    NoRoughtime {
        /// Which was asked.
        server: String,
        /// Why there is none.
        reason: String,
    },
    /// What a Roughtime server has signed and what NTP shows cannot both be true.
    RoughtimeDisagrees {
        /// Which server.
        server: String,
        /// The earliest time that it allows, RFC 3339.
        earliest: String,
        /// The latest.
        latest: String,
        /// What NTP shows, RFC 3339.
        ntp: String,
        /// How far the truth can lie from that.
        bound_ns: i64,
    },
    /// Two replies of Roughtime servers cannot both be true, and a file proves it.
    RoughtimeLie {
        /// Whose reply came first and allows only later times.
        earlier: String,
        /// Whose came after it and allows only earlier ones.
        later: String,
        /// The file.
        file: String,
    },
    /// This machine's clock was moved; that is recorded.
    Alarm {
        /// Its number.
        seq: u64,
        /// How: `step`, `slew`, `by-another`, `moved-while-down`, `restored` or `moved-while-stopped`.
        kind: &'static str,
        /// By how much.
        difference_ns: i64,
        /// When it was noticed, by the centre's clock as far as that is known.
        at: String,
    },
    /// Nobody looked at this machine's clock for a while; that is recorded.
    Pause {
        /// Its number.
        seq: u64,
        /// Why: `suspended`, `stopped` or `migrated`.
        reason: &'static str,
        /// How long.
        length_ns: i64,
        /// When it was over, by the centre's clock as far as that is known.
        at: String,
    },
    /// The agent corrected this machine's clock; that is recorded, slews some minutes later.
    Corrected {
        /// How: `step`, `slew`, `frequency` or `leap`.
        kind: &'static str,
        /// By how much the clock is moved forward.
        amount_ns: i64,
        /// How fast it runs now, compared with its bare oscillator.
        frequency_ppb: i64,
        /// The number of the exchange's record that it rests on.
        rests_on: u64,
    },
    /// The kernel did not let its clock be corrected.
    NotCorrected {
        /// Why.
        reason: String,
    },
    /// The clock was put back to where it would be if nobody had touched it.
    Restored {
        /// By how much it was set, forward.
        step_ns: i64,
        /// Which frequency the kernel was given back, if another had changed it.
        frequency_ppb: Option<i64>,
    },
    /// The clock could not be put back.
    NotRestored {
        /// Why.
        reason: String,
    },
    /// The centre has records.
    Uploaded {
        /// The number that it wants next.
        next_seq: u64,
        /// How many it does not have yet.
        waiting: u64,
    },
    /// The centre did not take records, or could not be reached; they stay in the spool.
    NotUploaded {
        /// Why.
        reason: String,
        /// How many it does not have.
        waiting: u64,
        /// In how many milliseconds it is tried again.
        retry_ms: u64,
    },
    /// The log has grown as it should: this agent has checked that and cosigns it with the next upload.
    LogChecked {
        /// How many entries it has.
        size: u64,
    },
    /// What the centre shows of its log cannot be checked, so it is not cosigned; nothing is lost.
    LogNotChecked {
        /// Why.
        reason: String,
    },
    /// The centre shows another log than the one that this agent has seen. What it showed is kept.
    Fork {
        /// What is known, in words.
        reason: String,
        /// The file with both checkpoints.
        file: String,
        /// Whether the file proves it to anyone who has the log's key.
        proven: bool,
    },
    /// The log signs with a key that has followed the one that this agent knew.
    LogKey {
        /// The keys that are known now.
        keys: Vec<String>,
    },
    /// The customer's tolerance is another one now.
    Tolerance {
        /// Within how many nanoseconds the clock must be.
        tolerance_ns: i64,
    },
    /// Records are lost before the centre had them; that is recorded in their place.
    Lost {
        /// The first of them.
        first: u64,
        /// The last.
        last: u64,
    },
    /// Something could not be written to disk.
    NotKept {
        /// What and why.
        reason: String,
    },
    /// The agent has ended in order and that is recorded.
    Stopped {
        /// The number of the stop among its records.
        seq: u64,
        /// How many records the centre does not have yet; they are sent at the next start.
        waiting: u64,
    },
}

impl Event {
    /// The event of a record that has just been kept; starts and stops have events of their own.
    pub(crate) fn of(record: &Record, server: &str) -> Option<Self> {
        match &record.fact {
            Fact::Exchange(measured) => Some(Self::Exchange {
                seq: record.seq,
                server: server.to_owned(),
                at: measured.exchange.at().to_string(),
                offset_ns: measured.exchange.offset().count(),
                bound_ns: measured.exchange.bound().count(),
                delay_ns: measured.exchange.delay().count(),
                rate_ppb: measured.judgement.rate.map(angbu_units::Ppb::count),
                steady: measured.judgement.steady,
                in_sync: measured.judgement.in_sync,
            }),
            Fact::Alarm(alarm) => Some(Self::Alarm {
                seq: record.seq,
                kind: alarm.kind.word(),
                difference_ns: alarm.difference.count(),
                at: alarm.at.best().to_string(),
            }),
            Fact::Pause(pause) => Some(Self::Pause {
                seq: record.seq,
                reason: pause.reason.word(),
                length_ns: pause.length.count(),
                at: pause.at.best().to_string(),
            }),
            Fact::Corrections(_) | Fact::Start(_) | Fact::Stop(_) | Fact::Dropped(_) => None,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Joined { agent, customer } => write!(f, "joined as {agent} of {customer}"),
            Self::NotJoined { reason, retry_ms } => {
                write!(f, "not joined yet, the next try is in {retry_ms} ms: {reason}")
            }
            Self::Started { agent, customer, clean, .. } => {
                let before = if *clean { "" } else { "; the run before ended without a stop" };
                write!(f, "{agent} of {customer} watches this machine's clock{before}")
            }
            Self::Exchange { server, offset_ns, bound_ns, in_sync, .. } => {
                let verdict = if *in_sync { "in sync" } else { "not shown to be in sync" };
                let (offset, bound) = (Nanos::new(*offset_ns), Nanos::new(*bound_ns));
                write!(f, "{server} is {offset} ahead, give or take {bound}: {verdict}")
            }
            Self::NoExchange { server, reason } => write!(f, "no exchange with {server}: {reason}"),
            Self::Alarm { kind, difference_ns, .. } => {
                write!(f, "ALARM: this machine's clock was moved by {} ({kind})", Nanos::new(*difference_ns))
            }
            Self::Pause { reason, length_ns, .. } => {
                write!(f, "nobody looked at this machine's clock for {} ({reason})", Nanos::new(*length_ns))
            }
            Self::Uploaded { next_seq, waiting } => {
                write!(f, "the centre has everything before record {next_seq}, {waiting} wait")
            }
            Self::NotUploaded { reason, waiting, retry_ms } => {
                write!(f, "{waiting} records wait, the next try is in {retry_ms} ms: {reason}")
            }
            Self::LogChecked { size } => write!(f, "the log has grown to {size} entries, and only grown"),
            Self::LogNotChecked { reason } => write!(f, "the centre's log cannot be checked: {reason}"),
            Self::Fork { reason, file, proven } => {
                let worth = if *proven {
                    "the file proves it: angbu verify FILE --key KEY-OF-THE-LOG"
                } else {
                    "the file keeps both checkpoints, which alone do not prove it"
                };
                write!(f, "FORK: {reason}; see {file}; {worth}")
            }
            Self::LogKey { keys } => write!(f, "the log's key was followed by another: {}", keys.join(" ")),
            Self::Tolerance { tolerance_ns } => write!(f, "the tolerance is {}", Nanos::new(*tolerance_ns)),
            Self::Lost { first, last } => write!(f, "records {first} to {last} are lost"),
            Self::NotKept { reason } => f.write_str(reason),
            Self::Stopped { waiting: 0, .. } => f.write_str("stopped; the centre has every record"),
            Self::Stopped { waiting, .. } => {
                write!(f, "stopped; {waiting} records are sent at the next start")
            }
            beside => beside.fmt_beside(f),
        }
    }
}

impl Event {
    /// The words of what an agent does beside watching and keeping the clock.
    fn fmt_beside(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restored { step_ns, frequency_ppb } => {
                write!(f, "this machine's clock was put back, by {}", Nanos::new(*step_ns))?;
                match frequency_ppb {
                    Some(ppb) => write!(f, ", and its frequency to {ppb} ppb"),
                    None => Ok(()),
                }
            }
            Self::NotRestored { reason } => write!(f, "this machine's clock cannot be put back: {reason}"),
            Self::Corrected { kind, amount_ns, rests_on, .. } => {
                write!(
                    f,
                    "corrected this machine's clock by {} ({kind}), as exchange {rests_on} shows",
                    Nanos::new(*amount_ns)
                )
            }
            Self::NotCorrected { reason } => write!(f, "this machine's clock was not corrected: {reason}"),
            Self::Serving { addresses } => write!(f, "serves time to this site on {}", addresses.join(", ")),
            Self::Children { served: true } => f.write_str("this site's machines get time from here"),
            Self::Children { served: false } => {
                f.write_str("this site's machines are told that the time is not known here")
            }
            Self::Roughtime { replies } => write!(f, "{replies} replies of Roughtime servers agree with NTP"),
            Self::NoRoughtime { server, reason } => write!(f, "no Roughtime from {server}: {reason}"),
            Self::RoughtimeDisagrees { server, earliest, latest, ntp, bound_ns } => write!(
                f,
                "ALARM: {server} has signed that it was between {earliest} and {latest}, and NTP says {ntp}, give or take {}",
                Nanos::new(*bound_ns)
            ),
            Self::RoughtimeLie { earlier, later, file } => write!(
                f,
                "ALARM: the Roughtime servers {earlier} and {later} contradict one another, so one of them lied; the file proves it: angbu verify {file}"
            ),
            // Everything else has its words in `fmt`.
            _ => Ok(()),
        }
    }
}
