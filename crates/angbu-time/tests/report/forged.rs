//! A centre that lies: it holds the log's key, and not the agent's. Whatever it adds to an agent's records, changes in them or
//! leaves out of them, the report of it is refused.

use angbu_evidence::report::{Proven, verify_file};
use angbu_time::chain::{Chain, Other, Statement};
use angbu_time::events;
use angbu_time::record::{Alarm, AlarmKind, Fact, Record, When};
use angbu_time::report::{self, Language, RenderError};
use angbu_time::segment::{self, Segment};
use angbu_units::Nanos;
use ed25519_dalek::SigningKey;

use crate::samples::demonstration;
use crate::site::{OURS, Site, file};

/// The report of a demonstration whose last segment was `forged` by the centre; why it is refused.
fn report_of(forged: impl Fn(&mut Segment)) -> Option<RenderError> {
    let (mut site, from, to) = demonstration(Nanos::from_secs(3_600));
    let last = site.items.iter().rposition(|item| item.entry.contains("angbu/1 time.segment\n")).unwrap();
    let item = site.items[last].clone();
    let mut segment = Segment::read(|name| item.fields.get(name)).unwrap();
    forged(&mut segment);
    site.replace_last(&segment::KIND, &segment.fields());
    refused(&mut site, from, to)
}

fn refused(site: &mut Site, from: angbu_units::UnixTime, to: angbu_units::UnixTime) -> Option<RenderError> {
    let package = site.package(from, to, Language::English);
    let proven = package.prove(&Site::trust()).expect("the log itself is whole: it is the centre that lies");
    report::render(&proven, &package.encode()).err()
}

/// Signs a segment with some key, as it is.
fn sign_again(segment: &mut Segment, key: &SigningKey, before: Option<Chain>) {
    let agent = segment.agent;
    let signed = segment.signed.as_mut().unwrap();
    signed.before = before.unwrap_or(signed.before);
    let records: Vec<Record> = segment.exchanges.iter().map(segment::Kept::record).collect();
    let chain = signed.before.after(&records);
    let statement = Statement { agent, next_seq: signed.next_seq, chain, rest: signed.rest };
    signed.signature = statement.sign(key);
}

#[test]
fn a_centre_cannot_invent_change_or_leave_out_an_exchange() {
    assert_eq!(report_of(|_| ()), None);
    let not_signed = |refused: Option<RenderError>| {
        assert!(matches!(refused, Some(RenderError::NotSigned { .. })), "{refused:?}");
    };
    not_signed(report_of(|segment| {
        let mut invented = *segment.exchanges.last().unwrap();
        invented.seq += 1;
        segment.exchanges.push(invented);
    }));
    not_signed(report_of(|segment| {
        let mut invented = *segment.exchanges.last().unwrap();
        invented.seq += 1;
        segment.exchanges.push(invented);
        segment.signed.as_mut().unwrap().next_seq += 1;
        sign_again(segment, &SigningKey::from_bytes(&[99; 32]), None);
    }));
    not_signed(report_of(|segment| {
        segment.exchanges[1].measured.exchange = segment.exchanges[2].measured.exchange;
    }));
    not_signed(report_of(|segment| {
        segment.exchanges.remove(1);
    }));
    not_signed(report_of(|segment| segment.signed.as_mut().unwrap().rest = [0; 32]));
    let unsigned = report_of(|segment| segment.signed = None);
    assert!(matches!(unsigned, Some(RenderError::Unsigned { .. })), "{unsigned:?}");
    // Signed by the agent, but not behind what it had signed before.
    let key = SigningKey::from_bytes(&[5; 32]);
    let elsewhere = report_of(|segment| sign_again(segment, &key, Some(Chain::from_bytes([1; 32]))));
    assert!(matches!(elsewhere, Some(RenderError::Unlinked { .. })), "{elsewhere:?}");
    // An agent that does not know what went before says so, and goes on.
    let begun = |segment: &mut Segment| {
        let (public, first) = (key.verifying_key().to_bytes(), segment.signed.as_ref().unwrap().first_seq);
        sign_again(segment, &key, Some(Chain::begin(segment.agent, &public, first)));
    };
    assert_eq!(report_of(begun), None);
}

#[test]
fn a_centre_cannot_invent_or_leave_out_an_event() {
    let alarm = |seq, at| {
        let at = When { system: at, centre: Some(at) };
        let (difference, since) = (Nanos::from_secs(9), Nanos::from_secs(1));
        Record { seq, fact: Fact::Alarm(Alarm { at, kind: AlarmKind::Step, difference, since }) }
    };
    // Among the records that were signed, and behind them.
    for seq in [2, 1_000_000] {
        let (mut site, from, to) = demonstration(Nanos::from_secs(3_600));
        let agent = angbu_units::AgentId::from_bytes([5; 16]);
        let before = to - Nanos::from_secs(1);
        let (kind, fields) = events::entry(agent, &alarm(seq, before)).unwrap();
        site.append(kind, OURS, before, &fields);
        let refused = refused(&mut site, from, to);
        assert!(matches!(refused, Some(RenderError::Invented { .. })), "{refused:?}");
    }
    // The agent signed an alarm, and the centre hides it.
    let hidden = report_of(|segment| {
        let record = alarm(segment.exchanges.pop().unwrap().seq, segment.exchanges[0].arrived);
        let hash = angbu_time::chain::hash(&record);
        let agent = segment.agent;
        let signed = segment.signed.as_mut().unwrap();
        signed.others.push(Other { seq: record.seq, next_seq: record.next_seq(), hash });
        let kept = segment.exchanges.iter().map(segment::Kept::record).chain([record]).collect::<Vec<_>>();
        let chain = signed.before.after(&kept);
        let statement = Statement { agent, next_seq: signed.next_seq, chain, rest: signed.rest };
        signed.signature = statement.sign(&SigningKey::from_bytes(&[5; 32]));
    });
    assert!(matches!(hidden, Some(RenderError::LeftOut { .. })), "{hidden:?}");
}

/// The whole way: the file of a report with one exchange that the centre invented.
#[test]
fn a_file_with_an_invented_exchange_is_refused() {
    let (mut site, from, to) = demonstration(Nanos::from_secs(600));
    let honest = site.package(from, to, Language::English);
    let good = file(&honest);
    assert!(good.contains("signed by the key of its server"));
    let render = |proven: &Proven, text: &str| report::render(proven, text).map_err(|why| why.to_string());
    verify_file(good.as_bytes(), &Site::trust(), &render).unwrap();

    let last = site.items.iter().rposition(|item| item.entry.contains("angbu/1 time.segment\n")).unwrap();
    let fields = site.items[last].fields.clone();
    let mut segment = Segment::read(|name| fields.get(name)).unwrap();
    let mut invented = *segment.exchanges.last().unwrap();
    invented.seq += 1;
    segment.exchanges.push(invented);
    site.replace_last(&segment::KIND, &segment.fields());
    let forged = good.replace(&honest.encode(), &site.package(from, to, Language::English).encode());
    assert_ne!(forged, good);
    let refused = verify_file(forged.as_bytes(), &Site::trust(), &render).unwrap_err().to_string();
    assert!(refused.contains("sign"), "{refused}");
}
