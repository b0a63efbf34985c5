//! What a report says, in each language: one catalogue, so that a language that lacks a sentence does not compile.
//!
//! `{key}` in a sentence is where a figure or a name goes; figures come ready to read.

mod en;
mod ja;
mod ko;

use angbu_units::ClockVerdict;

use super::Language;
use crate::periods::{Verdict, Why};
use crate::record::{AlarmKind, Manner, PauseReason};

/// The catalogue of a language.
pub(super) const fn of(language: Language) -> &'static Words {
    match language {
        Language::English => &en::WORDS,
        Language::Korean => &ko::WORDS,
        Language::Japanese => &ja::WORDS,
    }
}

/// A language's words and sentences.
pub(super) struct Words {
    pub(super) language: Language,
    pub(super) report: &'static str,
    /// `{report} {customer} {period}`
    pub(super) title: &'static str,

    // Lengths of time, set right behind the number.
    pub(super) days: &'static str,
    pub(super) hours: &'static str,
    pub(super) minutes: &'static str,
    pub(super) seconds: &'static str,
    pub(super) between_units: &'static str,

    // The period: `{year} {month} {day}`, `{date} {from} {to}`.
    pub(super) months: [&'static str; 12],
    pub(super) whole_month: &'static str,
    pub(super) one_day: &'static str,
    pub(super) within_day: &'static str,
    pub(super) across_days: &'static str,

    // The answer. `{server} {tolerance} {period} {share} {rest} {customer} {count} {good} {least}`
    pub(super) one_all: &'static str,
    pub(super) one_some: &'static str,
    pub(super) one_none: &'static str,
    pub(super) many_all: &'static str,
    pub(super) many_some: &'static str,
    pub(super) many_one: &'static str,
    pub(super) many_none: &'static str,
    pub(super) nobody: &'static str,
    pub(super) its_tolerance: &'static str,
    pub(super) within_tolerance: &'static str,
    pub(super) rest_outside: &'static str,
    pub(super) rest_not_proven: &'static str,
    pub(super) rest_and: &'static str,

    // What it was measured against. `{source} {bound}`
    pub(super) against_declared: &'static str,
    pub(super) against_proven: &'static str,
    pub(super) against_mixed: &'static str,
    pub(super) against_unproven: &'static str,
    pub(super) against_partly_unproven: &'static str,
    pub(super) against_nothing: &'static str,

    pub(super) verdicts: Verdicts,
    pub(super) references: References,
    pub(super) whys: Whys,
    /// Why the centre's clock was in which state, by the code in its entry.
    pub(super) reasons: [(&'static str, &'static str); 9],

    // Headings and columns.
    pub(super) servers: &'static str,
    pub(super) server: &'static str,
    pub(super) customer: &'static str,
    pub(super) period: &'static str,
    pub(super) tolerance: &'static str,
    pub(super) no_tolerance: &'static str,
    pub(super) verdict: &'static str,
    pub(super) why: &'static str,
    pub(super) reference: &'static str,
    pub(super) from: &'static str,
    pub(super) to: &'static str,
    pub(super) length: &'static str,
    pub(super) times_in_utc: &'static str,
    pub(super) over_time: &'static str,
    pub(super) offset_graph: &'static str,
    /// `{times}`
    pub(super) enlarged: &'static str,
    pub(super) key_tolerance: &'static str,
    pub(super) key_offset: &'static str,
    pub(super) key_bound: &'static str,
    pub(super) key_gap: &'static str,
    pub(super) key_beyond: &'static str,
    /// `{count}` `{proven}` `{late}` `{refused}`
    pub(super) sealed: &'static str,
    /// `{count}` `{length}` `{entries}` `{first}` `{last}` `{segments}`
    pub(super) summarised: &'static str,
    pub(super) no_exchanges: &'static str,
    pub(super) no_exchanges_next: &'static str,

    // Figures of a server. `{count} {least} {most} {delay} {bound}`
    pub(super) figures: &'static str,
    pub(super) periods: &'static str,
    pub(super) changing: &'static str,
    /// `{count} {listed} {length}`
    pub(super) more_periods: &'static str,
    pub(super) happened: &'static str,
    pub(super) nothing_happened: &'static str,
    /// `{count}`
    pub(super) more_events: &'static str,
    pub(super) when: &'static str,
    pub(super) what: &'static str,
    pub(super) entry: &'static str,
    /// `{time}`
    pub(super) own_clock: &'static str,
    // `{difference} {software} {poll} {count}`
    pub(super) set_ahead: &'static str,
    pub(super) set_back: &'static str,
    pub(super) slewed_ahead: &'static str,
    pub(super) slewed_back: &'static str,
    pub(super) by_another_ahead: &'static str,
    pub(super) by_another_back: &'static str,
    pub(super) while_down_ahead: &'static str,
    pub(super) while_down_back: &'static str,
    pub(super) restored: &'static str,
    pub(super) while_stopped_ahead: &'static str,
    pub(super) while_stopped_back: &'static str,
    // `{length}`
    pub(super) suspended: &'static str,
    pub(super) not_run: &'static str,
    pub(super) stood_still: &'static str,
    pub(super) started: &'static str,
    pub(super) started_after_crash: &'static str,
    /// Behind `{software}`: how the agent takes the time.
    pub(super) with_nts: &'static str,
    pub(super) without_nts: &'static str,
    pub(super) steers: &'static str,
    pub(super) stopped: &'static str,
    // `{count}`, `{difference}`
    pub(super) corrected: &'static str,
    pub(super) dropped: &'static str,

    // The centre's clock.
    pub(super) clock: &'static str,
    pub(super) clock_about: &'static str,
    pub(super) clock_unused: &'static str,
    pub(super) since: &'static str,
    pub(super) source: &'static str,
    pub(super) error_bound: &'static str,
    pub(super) exchanges: &'static str,
    pub(super) none: &'static str,

    // What was erased. `{index}`
    pub(super) erased: &'static str,
    pub(super) erased_fields: &'static str,
    pub(super) erased_about: &'static str,
    pub(super) fields: &'static str,
    pub(super) erased_by: &'static str,
    pub(super) reason: &'static str,

    // What is proven. `{customer} {first} {last} {size} {origin} {time}`
    pub(super) proven: &'static str,
    pub(super) proven_log: &'static str,
    pub(super) proven_complete: &'static str,
    pub(super) proven_signed: &'static str,
    pub(super) proven_verdicts: &'static str,
    pub(super) not_proven: &'static str,
    pub(super) not_proven_agent: &'static str,
    pub(super) not_proven_reference: &'static str,
    pub(super) not_proven_elsewhere: &'static str,
    /// Only where anything rests on summaries.
    pub(super) not_proven_summaries: &'static str,

    pub(super) check: &'static str,
    /// `{origin} {id}`
    pub(super) check_key: &'static str,
    pub(super) check_python: &'static str,
    pub(super) check_head: &'static str,
    pub(super) log: &'static str,
    pub(super) log_size: &'static str,
    pub(super) log_root: &'static str,
    pub(super) signed_by: &'static str,
    pub(super) witnesses: &'static str,
    /// `{name} {id} {time}`
    pub(super) cosigned: &'static str,
    pub(super) check_signers: &'static str,
    pub(super) data_until: &'static str,
}

pub(super) struct Verdicts {
    pub(super) within: &'static str,
    pub(super) outside: &'static str,
    pub(super) not_proven: &'static str,
}

pub(super) struct References {
    pub(super) proven: &'static str,
    pub(super) declared: &'static str,
    pub(super) unproven: &'static str,
    pub(super) unknown: &'static str,
}

pub(super) struct Whys {
    pub(super) within: &'static str,
    pub(super) outside: &'static str,
    pub(super) no_data: &'static str,
    pub(super) silent: &'static str,
    pub(super) stopped: &'static str,
    pub(super) starting: &'static str,
    pub(super) unwatched: &'static str,
    pub(super) paused: &'static str,
    pub(super) alarm: &'static str,
    pub(super) moved: &'static str,
    pub(super) corrected: &'static str,
    pub(super) dropped: &'static str,
    pub(super) undecided: &'static str,
    pub(super) aged: &'static str,
    pub(super) wide: &'static str,
    pub(super) centre: &'static str,
    pub(super) twice: &'static str,
    pub(super) no_tolerance: &'static str,
}

impl Words {
    /// What follows a started agent's software: how it takes the time, where that was told.
    pub(super) fn manner(&self, manner: Option<Manner>) -> String {
        let Some(Manner { nts, steers }) = manner else { return String::new() };
        let nts = if nts { self.with_nts } else { self.without_nts };
        [nts, if steers { self.steers } else { "" }].concat()
    }

    pub(super) const fn verdict(&self, verdict: Verdict) -> &'static str {
        match verdict {
            Verdict::Within => self.verdicts.within,
            Verdict::Outside => self.verdicts.outside,
            Verdict::NotProven => self.verdicts.not_proven,
        }
    }

    pub(super) const fn reference(&self, reference: Option<ClockVerdict>) -> &'static str {
        match reference {
            Some(ClockVerdict::Proven) => self.references.proven,
            Some(ClockVerdict::Declared) => self.references.declared,
            Some(ClockVerdict::Unproven) => self.references.unproven,
            None => self.references.unknown,
        }
    }

    /// The reason of a clock state in words; a code that is not known, as it stands.
    pub(super) fn reason<'a>(&self, code: &'a str) -> &'a str
    where
        Self: 'static,
    {
        self.reasons.iter().find(|(known, _)| *known == code).map_or(code, |(_, words)| words)
    }

    pub(super) const fn alarm(&self, kind: AlarmKind, back: bool) -> &'static str {
        match (kind, back) {
            (AlarmKind::Step, false) => self.set_ahead,
            (AlarmKind::Step, true) => self.set_back,
            (AlarmKind::Slew, false) => self.slewed_ahead,
            (AlarmKind::Slew, true) => self.slewed_back,
            (AlarmKind::ByAnother, false) => self.by_another_ahead,
            (AlarmKind::ByAnother, true) => self.by_another_back,
            (AlarmKind::MovedWhileDown, false) => self.while_down_ahead,
            (AlarmKind::MovedWhileDown, true) => self.while_down_back,
            (AlarmKind::Restored, _) => self.restored,
            (AlarmKind::MovedWhileStopped, false) => self.while_stopped_ahead,
            (AlarmKind::MovedWhileStopped, true) => self.while_stopped_back,
        }
    }

    pub(super) const fn paused(&self, reason: PauseReason) -> &'static str {
        match reason {
            PauseReason::Suspended => self.suspended,
            PauseReason::Stopped => self.not_run,
            PauseReason::Migrated => self.stood_still,
        }
    }

    pub(super) const fn why(&self, why: Why) -> &'static str {
        match why {
            Why::Within => self.whys.within,
            Why::Outside => self.whys.outside,
            Why::NoData => self.whys.no_data,
            Why::Silent => self.whys.silent,
            Why::Stopped => self.whys.stopped,
            Why::Starting => self.whys.starting,
            Why::Unwatched => self.whys.unwatched,
            Why::Paused => self.whys.paused,
            Why::Alarm => self.whys.alarm,
            Why::Moved => self.whys.moved,
            Why::Corrected => self.whys.corrected,
            Why::Dropped => self.whys.dropped,
            Why::Undecided => self.whys.undecided,
            Why::Aged => self.whys.aged,
            Why::Wide => self.whys.wide,
            Why::Centre => self.whys.centre,
            Why::Twice => self.whys.twice,
            Why::NoTolerance => self.whys.no_tolerance,
        }
    }
}
