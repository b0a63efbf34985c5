//! What must hold of every report: any changed byte is refused, nothing is made without evidence, a hostile name stays a name.

use angbu_evidence::erasure::Erased;
use angbu_evidence::report::{Item, Package, Proven, Refusal, verify_file};
use angbu_evidence::{Disclosure, Entry, Part};
use angbu_time::report::{self, Language, RenderError};
use angbu_units::Nanos;
use proptest::prelude::*;

use crate::samples::demonstration;
use crate::site::{OURS, Site, file, read};

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
    assert!(matches!(twice, Err(RenderError::Unlinked { .. })));
    let other = spoilt(|proven| proven.subject.kind = "keys".to_owned());
    assert_eq!(other, Err(RenderError::Kind("keys".to_owned())));
    for rendering in [0, 10, 14, 20, 24, 31] {
        let unknown = spoilt(|proven| proven.subject.rendering = rendering);
        assert_eq!(unknown, Err(RenderError::Rendering(rendering)));
    }
}

/// A name that was erased is told as erased, by the entry that did it; without that entry there is no report.
#[test]
fn an_erased_name_is_said_to_be_erased() {
    let names = |site: &Site, kind: &str| {
        let of_kind = |item: &&Item| item.entry.contains(&format!("angbu/1 {kind}\n"));
        Entry::decode(site.items.iter().find(of_kind).unwrap().entry.as_bytes()).unwrap().id
    };
    for (language, customer, server) in [
        (Language::English, "erased (entry 304)", "erased (entry 305)"),
        (Language::Korean, "삭제됨(항목 304)", "삭제됨(항목 305)"),
        (Language::Japanese, "消去済み（エントリ 304）", "消去済み（エントリ 305）"),
    ] {
        let (mut site, from, to) = demonstration(Nanos::from_secs(3_600));
        let before = site.items.len();
        for kind in ["account.customer", "time.enrolment"] {
            let entry = names(&site, kind);
            let mut fields = Erased { entry, fields: vec!["name".to_owned()] }.fields();
            fields.push(("reason", b"asked for <by> its owner".to_vec()));
            site.append(Erased::KIND, OURS, to, &fields);
            site.hide(entry, "name");
        }
        let html = file(&site.package(from, to, language));
        let numbered =
            |text: &str| text.replace("304", &before.to_string()).replace("305", &(before + 1).to_string());
        assert!(html.contains(&numbered(customer)) && html.contains(&numbered(server)), "{language:?}");
        assert!(html.contains("asked for &lt;by&gt; its owner") && !html.contains("Hanbit"), "{language:?}");
        verify_file(html.as_bytes(), &Site::trust(), &render).unwrap();
    }
    let (mut site, from, to) = demonstration(Nanos::from_secs(3_600));
    site.hide(names(&site, "account.customer"), "name");
    let proven = site.package(from, to, Language::English).prove(&Site::trust()).unwrap();
    assert!(matches!(report::render(&proven, ""), Err(RenderError::Field { field: "name", .. })));
}

/// The keys that count and those that do not, each with when it was cosigned.
#[test]
fn the_signers_are_listed_with_their_time() {
    let html = read(&file(&small()));
    let listed = "<code>witness.example/w1 (24b5d9fe), cosigned on 2026-11-21 23:06:01 UTC by its own clock</code></dd>\
                  <dd><code>witness.example/w2";
    assert!(html.contains(listed), "{}", html.split("<h2>Check it yourself").nth(1).unwrap_or_default());
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
