//! Sample reports: a whole month of three servers, and an hour of a demonstration.

use std::path::Path;

use angbu_evidence::report::verify_file;
use angbu_time::report::{self, Language};
use angbu_units::{ClockVerdict, Nanos, UnixTime};

use crate::site::{Site, file, read};
use crate::story::{Deed, Server, settle, time};

/// October 2026: one server almost all of the time, one all of it, one that was moved.
pub(crate) fn month() -> (Site, UnixTime, UnixTime) {
    let (from, to) = (time("2026-10-01T00:00:00Z"), time("2026-11-01T00:00:00Z"));
    let mut site = Site::new();
    let declared = site.clock(
        time("2026-09-30T12:00:00Z"),
        ClockVerdict::Declared,
        Nanos::from_millis(1),
        "GPS receiver in rack 4",
        "declared",
    );
    let settings = settle(&mut site, time("2026-09-30T12:00:01Z"), Nanos::from_millis(50), 1);
    let servers = [
        Server {
            name: "db-3",
            number: 3,
            from: time("2026-09-30T12:10:00Z"),
            poll: Nanos::from_secs(64),
            delay: Nanos::from_micros(900),
            jitter: Nanos::from_micros(800),
            wander: Nanos::from_millis(9),
            deeds: vec![
                (time("2026-10-14T02:00:00Z"), Deed::Stop),
                (time("2026-10-14T07:40:00Z"), Deed::Start { clean: true }),
                (time("2026-10-22T16:00:00Z"), Deed::Silence),
                (time("2026-10-22T16:22:00Z"), Deed::Speak),
            ],
        },
        Server {
            name: "web-1",
            number: 1,
            from: time("2026-09-30T12:20:00Z"),
            poll: Nanos::from_secs(64),
            delay: Nanos::from_micros(300),
            jitter: Nanos::from_micros(200),
            wander: Nanos::from_micros(700),
            deeds: vec![],
        },
        Server {
            name: "pos-7 </template><script>alert(1)</script>",
            number: 7,
            from: time("2026-10-09T09:00:00Z"),
            poll: Nanos::from_secs(64),
            delay: Nanos::from_millis(8),
            jitter: Nanos::from_millis(9),
            wander: Nanos::from_millis(14),
            deeds: vec![
                (time("2026-10-18T11:03:20Z"), Deed::Set(Nanos::from_secs(3_600))),
                (time("2026-10-19T08:12:00Z"), Deed::Set(Nanos::from_secs(-3_600))),
                (time("2026-10-25T03:00:00Z"), Deed::Slew(Nanos::from_millis(-38))),
                (time("2026-10-25T21:00:00Z"), Deed::Drop(40)),
                (time("2026-10-26T05:00:00Z"), Deed::Slew(Nanos::from_millis(38))),
                (time("2026-10-28T00:30:00Z"), Deed::Start { clean: false }),
            ],
        },
    ];
    let ids: Vec<_> = servers.iter().map(|server| server.enrol(&mut site)).collect();
    let proven_from = time("2026-10-21T00:00:00Z");
    let proven = site.clock(
        proven_from,
        ClockVerdict::Proven,
        Nanos::from_micros(410),
        "ntp.kriss.example",
        "measured",
    );
    for (server, enrolment) in servers.iter().zip(ids) {
        let state = |at| if at < proven_from { declared } else { proven };
        server.live(&mut site, (enrolment, settings), to, state);
    }
    (site, from, to)
}

/// Some time of the demonstration: this machine against itself.
pub(crate) fn demonstration(length: Nanos) -> (Site, UnixTime, UnixTime) {
    let from = time("2026-11-21T22:05:00Z");
    let to = from + length;
    let mut site = Site::new();
    let start = time("2026-11-21T22:05:30Z");
    let state =
        site.clock(start, ClockVerdict::Declared, Nanos::from_millis(1), "this machine's clock", "declared");
    let settings = settle(&mut site, start, Nanos::from_millis(50), 1);
    let server = Server {
        name: "this-machine",
        number: 5,
        from: start + Nanos::from_secs(1),
        poll: Nanos::from_secs(2),
        delay: Nanos::from_micros(40),
        jitter: Nanos::from_micros(90),
        wander: Nanos::ZERO,
        deeds: vec![],
    };
    let enrolment = server.enrol(&mut site);
    server.live(&mut site, (enrolment, settings), to, |_| state);
    (site, from, to)
}

fn write(name: &str, html: &str) {
    std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name), html).unwrap();
}

#[test]
fn a_month_of_three_servers() {
    for language in Language::ALL {
        let (mut site, from, to) = month();
        let html = file(&site.package(from, to, language));
        write(&format!("month-{}.html", language.code()), &html);
        let render = |proven: &_, text: &str| report::render(proven, text).map_err(|why| why.to_string());
        verify_file(html.as_bytes(), &Site::trust(), &render).unwrap();
        assert!(!html.contains("<script"), "names are hostile");
        assert_eq!(html.matches("</template>").count(), 1);
        if language == Language::English {
            for said in [
                "One of the 3 servers of Hanbit Exchange was within 50 ms throughout October 2026; pos-7",
                "db-3 was within 50 ms for 99.1",
                "web-1 was within 50 ms throughout October 2026.",
                "its clock was set ahead by 3,600 s",
                "declared clock",
                "proven clock",
                "GPS receiver in rack 4",
            ] {
                assert!(read(&html).contains(said), "the report does not say: {said}");
            }
        }
    }
}

#[test]
fn an_hour_of_the_demonstration() {
    for language in Language::ALL {
        let (mut site, from, to) = demonstration(Nanos::from_secs(3_600));
        let html = file(&site.package(from, to, language));
        write(&format!("demo-{}.html", language.code()), &html);
        if language == Language::English {
            assert!(read(&html).contains("this-machine was within 50 ms for 99.08 % of 21 November 2026, 22:05 to 23:05 UTC; 0.92 % is not proven."));
            assert!(read(&html).contains("which its operator declares to be right"));
        }
    }
}
