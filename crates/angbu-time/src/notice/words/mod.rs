//! What a message says, in each language: one catalogue, so that a language that lacks a sentence does not compile.
//!
//! `{key}` in a sentence is where a figure or a name goes; figures come ready to read.

mod en;
mod ja;
mod ko;

use angbu_units::Language;

use crate::incidents::Trouble;
use crate::record::AlarmKind;

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
    // What is wrong, behind the name of a server and a colon.
    pub(super) outside: &'static str,
    pub(super) silent: &'static str,
    pub(super) centre: &'static str,
    pub(super) step: &'static str,
    pub(super) slew: &'static str,
    pub(super) by_another: &'static str,
    pub(super) moved_while_down: &'static str,
    pub(super) restored: &'static str,
    pub(super) moved_while_stopped: &'static str,

    // The headline. `{what}` is one of the above, `{count}` a number.
    pub(super) over: &'static str,
    pub(super) still: &'static str,
    pub(super) count_began: &'static str,
    pub(super) count_ended: &'static str,
    pub(super) count_lasting: &'static str,
    pub(super) comma: &'static str,
    pub(super) test_headline: &'static str,
    pub(super) test_body: &'static str,
    /// `{month}`
    pub(super) month_made: &'static str,
    pub(super) month_made_body: &'static str,
    /// `{month}`
    pub(super) month_not_made: &'static str,
    pub(super) month_not_made_body: &'static str,

    // Headings and what stands under them. `{from} {to} {count} {offset} {tolerance}`
    pub(super) customer: &'static str,
    pub(super) began: &'static str,
    pub(super) ended: &'static str,
    pub(super) lasting: &'static str,
    pub(super) since: &'static str,
    pub(super) from_to: &'static str,
    pub(super) came_back: &'static str,
    pub(super) figures: &'static str,
    pub(super) more: &'static str,
    /// `{server} {from} {to} {tolerance} {scale}`
    pub(super) picture: &'static str,

    // The end. `{customer}`
    pub(super) all_incidents: &'static str,
    pub(super) all_reports: &'static str,
    pub(super) open_console: &'static str,
    pub(super) why_contact: &'static str,
    pub(super) why_operator: &'static str,
    pub(super) settings: &'static str,
}

impl Words {
    pub(super) const fn trouble(&self, trouble: Trouble) -> &'static str {
        match trouble {
            Trouble::Outside => self.outside,
            Trouble::Silent => self.silent,
            Trouble::Centre => self.centre,
            Trouble::Alarm(AlarmKind::Step) => self.step,
            Trouble::Alarm(AlarmKind::Slew) => self.slew,
            Trouble::Alarm(AlarmKind::ByAnother) => self.by_another,
            Trouble::Alarm(AlarmKind::MovedWhileDown) => self.moved_while_down,
            Trouble::Alarm(AlarmKind::Restored) => self.restored,
            Trouble::Alarm(AlarmKind::MovedWhileStopped) => self.moved_while_stopped,
        }
    }
}
