use proptest::prelude::*;

use super::*;

const T0: UnixTime = UnixTime::from_nanos(1_800_000_000_000_000_000);

fn at(seconds: i64) -> UnixTime {
    T0 + Nanos::from_secs(seconds)
}

fn there(seconds: i64) -> Sight {
    Sight::There { since: at(seconds), last: at(seconds) }
}

/// A trouble as a centre keeps it: what is open, and what has ended.
struct Kept {
    trouble: Trouble,
    open: Option<Incident>,
    before: Option<Incident>,
    told: Vec<(i64, &'static str)>,
}

impl Kept {
    fn of(trouble: Trouble) -> Self {
        Self { trouble, open: None, before: None, told: Vec::new() }
    }

    fn look(&mut self, seconds: i64, sight: Sight) {
        let now = at(seconds);
        match Incident::look(self.trouble, self.open.as_ref(), self.before.as_ref(), sight, now) {
            None => {}
            Some(Change::Opened(incident)) => {
                self.open = Some(incident);
                self.told.push((seconds, "opened"));
            }
            Some(Change::Goes(incident)) => self.open = Some(incident),
            Some(Change::Closed(incident)) => {
                self.before = Some(incident);
                self.open = None;
                self.told.push((seconds, "closed"));
            }
        }
    }
}

#[test]
fn a_trouble_is_told_once_and_its_end_once_it_has_held() {
    let mut kept = Kept::of(Trouble::Outside);
    kept.look(0, Sight::Gone);
    for second in (10..600).step_by(10) {
        kept.look(second, there(second));
    }
    for second in (600..1_300).step_by(10) {
        kept.look(second, Sight::Gone);
    }
    assert_eq!(kept.told, [(10, "opened"), (1_200, "closed")]);
    let ended = kept.before.unwrap();
    assert_eq!((ended.opened, ended.closed), (at(10), Some(at(600))));
}

#[test]
fn what_cannot_be_seen_changes_nothing() {
    let mut kept = Kept::of(Trouble::Outside);
    kept.look(0, there(0));
    for second in (10..100_000).step_by(1_000) {
        kept.look(second, Sight::Unknown);
    }
    assert_eq!(kept.told, [(0, "opened")]);
    assert_eq!(kept.open.unwrap().gone_since, None);
}

#[test]
fn a_clock_that_sways_is_few_incidents_and_soon_one() {
    let mut kept = Kept::of(Trouble::Outside);
    // Outside for a minute of every quarter of an hour, for two days.
    for minute in 0..2 * 1_440 {
        let sight = if minute % 15 == 0 { there(minute * 60) } else { Sight::Gone };
        kept.look(minute * 60, sight);
    }
    assert_eq!(kept.told.iter().filter(|(_, what)| *what == "opened").count(), 2, "{:?}", kept.told);
    // After a quiet day it is forgotten.
    for minute in 2 * 1_440..5 * 1_440 {
        kept.look(minute * 60, Sight::Gone);
    }
    kept.look(5 * 86_400, there(5 * 86_400));
    assert_eq!(kept.open.unwrap().returns, 0);
}

#[test]
fn a_start_of_the_centre_is_no_trouble_of_it() {
    let mut kept = Kept::of(Trouble::Centre);
    for second in 0..100 {
        kept.look(second, there(0));
    }
    kept.look(100, Sight::Gone);
    assert!(kept.told.is_empty());
    let long = Sight::There { since: at(200), last: at(330) };
    kept.look(330, long);
    assert_eq!(kept.told, [(330, "opened")]);
}

#[test]
fn silence_counts_only_where_somebody_could_be_heard() {
    let patience = Patience::default();
    let agent = AgentSituation {
        last_seen: Some(at(0)),
        poll: Some(Nanos::from_secs(16)),
        verdict: None,
        verdict_since: at(0),
        alarms: Vec::new(),
    };
    let centre = CentreSituation { watching: at(-1_000), proven: true, since: at(-1_000) };
    let silent = Sight::There { since: at(0), last: at(400) };
    let look = |agent: &AgentSituation, centre: &CentreSituation, now| {
        agent.sight(Trouble::Silent, centre, &patience, at(now))
    };
    assert_eq!(look(&agent, &centre, 300), Sight::Gone);
    assert_eq!(look(&agent, &centre, 400), silent);
    let slow = AgentSituation { poll: Some(Nanos::from_secs(1_024)), ..agent.clone() };
    assert_eq!(look(&slow, &centre, 4_000), Sight::Gone);
    let never = AgentSituation { last_seen: None, ..agent.clone() };
    assert_eq!(look(&never, &centre, 10_000), Sight::Unknown);
    // A centre that was down, and one whose clock is or just was unproven, has heard nobody.
    let restarted = CentreSituation { watching: at(300), ..centre };
    assert_eq!(look(&agent, &restarted, 400), Sight::Unknown);
    let unproven = CentreSituation { proven: false, since: at(-10), ..centre };
    assert_eq!(look(&agent, &unproven, 400), Sight::Unknown);
    let proven_again = CentreSituation { since: at(390), ..centre };
    assert_eq!(look(&agent, &proven_again, 400), Sight::Unknown);
    assert_eq!(look(&agent, &proven_again, 800), Sight::There { since: at(0), last: at(800) });
}

#[test]
fn news_come_at_once_and_then_together_and_what_lasts_is_said_now_and_then() {
    let rhythm = Rhythm::default();
    let due = |last: Option<i64>, news, lasting, now| rhythm.due(last.map(at), news, lasting, at(now));
    for (last, news, lasting, now, expected) in [
        (None, false, false, 0, Due::Nothing),
        (None, true, false, 0, Due::News),
        (Some(0), true, true, 299, Due::Nothing),
        (Some(0), true, true, 300, Due::News),
        (Some(0), false, true, 21_599, Due::Nothing),
        (Some(0), false, true, 21_600, Due::Digest),
        (Some(0), false, false, 90_000, Due::Nothing),
        (Some(1_000), true, false, 0, Due::News),
    ] {
        assert_eq!(due(last, news, lasting, now), expected, "{last:?} {news} {lasting} {now}");
    }
}

fn trouble() -> impl Strategy<Value = Trouble> {
    let all: Vec<_> = [Trouble::Outside, Trouble::Silent, Trouble::Centre]
        .into_iter()
        .chain(AlarmKind::ALL.map(Trouble::Alarm))
        .collect();
    prop::sample::select(all)
}

proptest! {
    /// Whatever is seen, openings and endings take turns, and nothing ends before it was gone for as long as it must be.
    #[test]
    fn openings_and_endings_take_turns(
        trouble in trouble(),
        looks in prop::collection::vec((1_i64..2_000, 0_u8..3), 1..300),
    ) {
        let mut kept = Kept::of(trouble);
        let mut now = 0;
        let mut last_there = None;
        for (wait, seen) in looks {
            now += wait;
            let sight = match seen { 0 => Sight::Gone, 1 => Sight::Unknown, _ => there(now) };
            if seen == 2 { last_there = Some(now); }
            let told = kept.told.len();
            kept.look(now, sight);
            if let Some((_, "closed")) = kept.told.get(told) {
                let gone = now - last_there.unwrap();
                prop_assert!(Nanos::from_secs(gone) >= trouble.hold().0);
            }
        }
        for (place, (_, what)) in kept.told.iter().enumerate() {
            prop_assert_eq!(*what, if place % 2 == 0 { "opened" } else { "closed" });
        }
    }

    #[test]
    fn entries_read_back(
        trouble in trouble(),
        opened: i64, last: i64, closed: Option<i64>, returns: u32,
        agent: Option<[u8; 16]>, figures: Option<(i64, i64, i64)>,
    ) {
        let closed = closed.map(UnixTime::from_nanos);
        let told = Told {
            id: IncidentId::from_bytes([7; 16]),
            agent: agent.map(AgentId::from_bytes),
            incident: Incident {
                trouble,
                opened: UnixTime::from_nanos(opened),
                last: UnixTime::from_nanos(last),
                gone_since: closed,
                closed,
                returns,
            },
            figures: figures.map(|(offset, bound, tolerance)| Figures {
                offset: Nanos::new(offset),
                bound: Nanos::new(bound),
                tolerance: Nanos::new(tolerance),
            }),
        };
        let fields = told.fields();
        let get = |name: &str| fields.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_slice());
        prop_assert_eq!(Told::read(get), Ok(told));
    }
}
