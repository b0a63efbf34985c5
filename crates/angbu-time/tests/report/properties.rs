//! What must hold of every report: any changed byte is refused, nothing is made without evidence, a hostile name stays a name.

use angbu_evidence::report::{Package, Proven, Refusal, verify_file};
use angbu_evidence::{Disclosure, Part};
use angbu_time::report::{self, Language, RenderError};
use angbu_units::Nanos;
use proptest::prelude::*;

use crate::samples::demonstration;
use crate::site::{Site, file, read};

fn render(proven: &Proven, text: &str) -> Result<String, String> {
    report::render(proven, text).map_err(|why| why.to_string())
}

fn small() -> Package {
    let (mut site, from, to) = demonstration(Nanos::from_secs(3_600));
    site.package(from, to, Language::English)
}

/// What was proven, with one kind of entry left out or with fields changed after the proof.
fn spoilt(spoil: impl Fn(&mut Proven)) -> Result<String, RenderError> {
    let mut proven = small().prove(&Site::trust()).unwrap();
    spoil(&mut proven);
    report::render(&proven, "")
}

#[test]
fn what_evidence_is_missing_is_named() {
    assert!(spoilt(|_| ()).is_ok());
    let without = |kind: &'static str| {
        spoilt(move |proven| proven.entries.retain(|entry| entry.entry.kind.as_str() != kind))
    };
    assert!(matches!(without("account.customer"), Err(RenderError::Missing { .. })));
    assert!(matches!(without("clock.state"), Err(RenderError::Missing { .. })));
    assert!(matches!(without("time.enrolment"), Err(RenderError::NotEnrolled { .. })));
    let hidden = spoilt(|proven| {
        for entry in &mut proven.entries {
            let parts = entry.fields.parts().iter().map(|part| Part::Hidden(part.leaf()));
            entry.fields = Disclosure::from_parts(parts.collect()).unwrap();
        }
    });
    assert!(matches!(hidden, Err(RenderError::Field { .. })));
    let twice = spoilt(|proven| {
        let again =
            proven.entries.iter().find(|entry| entry.entry.kind.as_str() == "time.segment").unwrap().clone();
        proven.entries.push(again);
    });
    assert!(matches!(twice, Err(RenderError::Twice { .. })));
    let other = spoilt(|proven| proven.subject.kind = "keys".to_owned());
    assert_eq!(other, Err(RenderError::Kind("keys".to_owned())));
    for rendering in [0, 10, 14, 21] {
        let unknown = spoilt(|proven| proven.subject.rendering = rendering);
        assert_eq!(unknown, Err(RenderError::Rendering(rendering)));
    }
}

#[test]
fn a_report_about_another_period_says_so() {
    let (mut site, from, to) = demonstration(Nanos::from_secs(3_600));
    // The server was enrolled 31 s after the hour began.
    let package = site.package(from, from + Nanos::from_secs(32), Language::English);
    let html = read(&file(&package));
    assert!(html.contains("is not shown to have been within"));
    assert!(html.contains("No exchange in this period."));
    assert!(html.contains("Nothing was measured."));
    let package = site.package(from - Nanos::from_secs(7 * 3_600), from, Language::English);
    assert!(file(&package).contains("No server of Hanbit Exchange is in this report, so nothing is proven"));
    let package = site.package(to - Nanos::from_secs(60), to, Language::English);
    assert!(
        read(&file(&package)).contains("was within 50 ms throughout 21 November 2026, 23:04 to 23:05 UTC.")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_changed_byte_is_refused(at: prop::sample::Index, flip in 1u8..) {
        // One file serves all cases.
        thread_local!(static FILE: Vec<u8> = file(&small()).into_bytes());
        FILE.with(|file| {
            let mut spoilt = file.clone();
            let at = at.index(spoilt.len());
            spoilt[at] ^= flip;
            let refused = verify_file(&spoilt, &Site::trust(), &render);
            prop_assert!(refused.is_err());
            if let Err(Refusal::Differs { offset, .. }) = refused {
                prop_assert_eq!(offset, at);
            }
            Ok(())
        })?;
    }
}
