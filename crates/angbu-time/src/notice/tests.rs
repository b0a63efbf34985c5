use angbu_units::Language;
use proptest::prelude::*;

use super::*;
use crate::incidents::Trouble;
use crate::record::AlarmKind;

const T0: UnixTime = UnixTime::from_nanos(1_800_000_000_000_000_000);

fn item(server: &str, trouble: Trouble) -> Item {
    Item {
        customer: None,
        server: Some(server.to_owned()),
        incident: Incident { trouble, opened: T0, last: T0, gone_since: None, closed: None, returns: 0 },
        figures: Some(Figures {
            offset: Nanos::from_millis(1_200),
            bound: Nanos::from_millis(3),
            tolerance: Nanos::from_millis(50),
        }),
        link: "https://c.example/customers/acme?agent=db-3".to_owned(),
    }
}

fn notice(language: Language) -> Notice {
    Notice {
        language,
        sort: Sort::News,
        customer: Some("acme".to_owned()),
        began: vec![item("db-3", Trouble::Outside)],
        ended: Vec::new(),
        lasting: Vec::new(),
        picture: None,
        link: "https://c.example/incidents".to_owned(),
        settings_link: None,
    }
}

fn seoul(_: UnixTime) -> Option<String> {
    Some("2027-01-15 17:00:00 Asia/Seoul".to_owned())
}

#[test]
fn a_message_says_what_since_when_and_how_much_in_every_language() {
    for (language, subject) in [
        (Language::English, "[Angbu] acme: db-3: the clock is proven to be outside its tolerance"),
        (Language::Korean, "[Angbu] acme: db-3: 시계가 허용 범위를 벗어난 것이 입증됨"),
        (Language::Japanese, "[Angbu] acme: db-3: 時計が許容範囲外にあることが証明された"),
    ] {
        let written = notice(language).write(&seoul);
        assert_eq!(written.subject, subject);
        for part in [&written.text, &written.html] {
            for needed in [
                "+1.2 s ± 3 ms",
                "50 ms",
                "2027-01-15 08:00:00 UTC (2027-01-15 17:00:00 Asia/Seoul)",
                "agent=db-3",
            ] {
                assert!(part.contains(needed), "{language}: {needed} is missing in {part}");
            }
            assert!(!part.contains('{') || part.contains("<style>"), "{part}");
        }
    }
}

#[test]
fn headlines_count_what_there_is_more_than_one_of() {
    let mut many = notice(Language::English);
    many.began = vec![item("a", Trouble::Silent); 1_000];
    many.ended = vec![item("b", Trouble::Alarm(AlarmKind::Step))];
    let written = many.write(&|_| None);
    assert_eq!(written.subject, "[Angbu] acme: 1,000 began, 1 over");
    assert!(written.text.contains("and 960 more"), "{}", written.text);
    assert!(written.html.len() < 40_000);
    let digest = Notice {
        sort: Sort::Digest,
        began: Vec::new(),
        lasting: many.ended.clone(),
        ..notice(Language::English)
    };
    assert_eq!(digest.write(&|_| None).subject, "[Angbu] acme: still: b: somebody set the clock");
    let over = Notice { began: Vec::new(), ended: many.ended, ..notice(Language::English) };
    assert_eq!(over.write(&|_| None).subject, "[Angbu] acme: over: b: somebody set the clock");
}

proptest! {
    /// Whatever a server is called, the subject is one line, and no name becomes markup or another line of the text.
    #[test]
    fn names_stay_names(server in "(\\PC|[\r\n<>&\"'\u{202e}\u{0}]){0,40}", customer in "(\\PC|[\r\n]){0,20}") {
        let mut hostile = notice(Language::English);
        hostile.customer = Some(customer);
        hostile.began = vec![item(&server, Trouble::Outside)];
        hostile.picture = Some(Picture {
            server: server.clone(),
            tolerance: Nanos::from_millis(50),
            scale: Nanos::from_millis(80),
            from: T0,
            to: T0,
        });
        let plain = Notice { began: vec![item("x", Trouble::Outside)], customer: Some("y".to_owned()), ..hostile.clone() };
        let plain = Notice { picture: plain.picture.clone().map(|picture| Picture { server: "x".to_owned(), ..picture }), ..plain };
        let (written, plain) = (hostile.write(&|_| None), plain.write(&|_| None));
        let misleads = |c: char| c.is_control() || c == '\u{202e}';
        prop_assert!(!written.subject.chars().any(misleads));
        prop_assert_eq!(written.text.lines().count(), plain.text.lines().count());
        for mark in ['<', '>', '"'] {
            prop_assert_eq!(written.html.matches(mark).count(), plain.html.matches(mark).count());
        }
    }
}

#[test]
fn a_month_is_told_with_where_its_report_is() {
    let month = "2026-10".parse().unwrap();
    for (is_made, language, subject) in [
        (true, Language::English, "[Angbu] acme: the report on 2026-10 is there"),
        (true, Language::Korean, "[Angbu] acme: 2026-10 보고서가 나왔습니다"),
        (true, Language::Japanese, "[Angbu] acme: 2026-10 の報告書ができました"),
        (false, Language::English, "[Angbu] acme: there is no report on 2026-10"),
    ] {
        let link = "https://c.example/customers/acme/sharing".to_owned();
        let sort = Sort::Month { month, is_made };
        let written = Notice { sort, began: Vec::new(), link, ..notice(language) }.write(&seoul);
        assert_eq!(written.subject, subject);
        for part in [&written.text, &written.html] {
            assert!(part.contains("https://c.example/customers/acme/sharing"), "{part}");
            assert!(part.contains("2026-10"), "{part}");
        }
    }
}
