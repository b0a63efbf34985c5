//! Moving in: files that other products' tools have written, and the keys of those tools afterwards.

use std::process::Command;

use serde_json::{Value, json};

use super::site::TestSite;
use super::table::{Call, OWN, with};

const HEX: &str = "3132333435363738393031323334353637383930";

/// A call of the route.
pub(crate) fn call(route: &str) -> Call {
    with(route, json!({"customer": OWN, "text": format!("HOTP kim - {HEX}"), "dry_run": true}))
}

fn oathtool(arguments: &[&str]) -> String {
    let done = Command::new("oathtool").args(arguments).output().expect("oathtool is installed");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

async fn import(site: &TestSite, mut wish: Value, dry_run: bool) -> Value {
    wish["customer"] = json!(OWN);
    wish["dry_run"] = json!(dry_run);
    site.done("POST", "/api/v1/keys/import", &wish).await
}

async fn verify(site: &TestSite, login_id: &str, key: &str) -> String {
    let wish = json!({"customer": OWN, "login_id": login_id, "ota_key": key});
    let said = site.done("POST", "/api/v1/keys/verify", &wish).await;
    said["reason"].as_str().unwrap().to_owned()
}

fn outcomes(report: &Value) -> Vec<(u64, String, String)> {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let rows = report["rows"].as_array().unwrap();
    rows.iter().map(|row| (row["line"].as_u64().unwrap(), text(row, "outcome"), text(row, "why"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_come_comes_and_its_keys_are_good_once() {
    let site = TestSite::start().await;
    site.customer(OWN).await;
    let text = format!(
        "HOTP kim - {HEX} 3 969429 2026-11-22T10:53:44L\nHOTP/T30 lee - {HEX}\nHOTP kim - 00112233445566778899\n\
         HOTP/T120 park - {HEX}\n"
    );
    let expected = [(1, "added", ""), (2, "added", ""), (3, "clash", "has-token"), (4, "refused", "cycle")]
        .map(|(line, outcome, why)| (line, outcome.to_owned(), why.to_owned()));
    let wish = json!({"text": text});
    let tried = import(&site, wish.clone(), true).await;
    assert_eq!(outcomes(&tried), expected);
    assert_eq!((&tried["format"], &tried["entry"]), (&json!("users.oath"), &Value::Null));
    let next = oathtool(&["--hotp", "-c", "4", HEX]);
    assert_eq!(verify(&site, "kim", &next).await, "wrong", "a dry run changes nothing");

    let done = import(&site, wish.clone(), false).await;
    assert_eq!(outcomes(&done), expected);
    assert!(done["entry"].is_string() && done["rows"][0]["token"].is_string());
    // The counter goes on where the product before left it.
    assert_eq!(verify(&site, "kim", &oathtool(&["--hotp", "-c", "3", HEX])).await, "used");
    assert_eq!(verify(&site, "kim", &next).await, "accepted");
    assert_eq!(verify(&site, "kim", &next).await, "used");
    let now = angbu_units::Clock::read(&*site.clock).wall.nanos() / 1_000_000_000;
    let shown = oathtool(&["--totp", "-N", &format!("@{now}"), HEX]);
    assert_eq!(verify(&site, "lee", &shown).await, "accepted");
    assert_eq!(verify(&site, "lee", &shown).await, "used");

    let again = import(&site, wish, false).await;
    assert_eq!((&again["added"], &again["clashes"]), (&json!(0), &json!(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_google_authenticator_writes_is_moved_in() {
    let site = TestSite::start().await;
    site.customer(OWN).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let made = Command::new("google-authenticator")
        .args(["-t", "-d", "-f", "-q", "-r", "3", "-R", "30", "-w", "3", "-s"])
        .arg(&file)
        .output()
        .expect("google-authenticator is installed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let text = std::fs::read_to_string(&file).unwrap();
    let nobodys = import(&site, json!({"text": text}), true).await;
    assert_eq!(outcomes(&nobodys), [(1, "refused".to_owned(), "no-name".to_owned())]);
    let done = import(&site, json!({"text": text, "login_id": "Kim"}), false).await;
    assert_eq!((&done["format"], &done["added"]), (&json!("google-authenticator"), &json!(1)));
    assert_eq!(done["rows"][0]["remarks"], json!(["recovery-codes", "limits"]));
    let now = angbu_units::Clock::read(&*site.clock).wall.nanos() / 1_000_000_000;
    let secret = text.lines().next().unwrap();
    let shown = oathtool(&["--totp", "-N", &format!("@{now}"), "-b", secret]);
    assert_eq!(verify(&site, "kim", &shown).await, "accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_exports_and_serial_numbers_find_their_holders() {
    let site = TestSite::start().await;
    site.customer(OWN).await;
    let container = include_str!("../../../../vectors/keys/import/psk.pskc");
    let key = "12345678901234567890123456789012";
    let refused = site
        .send(&site.operator, "POST", "/api/v1/keys/import", &json!({"customer": OWN, "text": container}))
        .await;
    assert_eq!(refused.status, 422, "{refused:?}");
    let done = import(&site, json!({"text": container, "key": key}), false).await;
    assert_eq!(done["added"], 2);
    assert_eq!(verify(&site, "lee", &oathtool(&["--hotp", "-d", "8", "-c", "7", HEX])).await, "accepted");

    let sealed = include_str!("../../../../vectors/keys/import/privacyidea.sealed");
    let key = "Vl6hxNGH7KBsxppt-eXV36PiphVC6njEecqlcqhVeBA=";
    let wish = json!({"text": sealed, "key": key, "people": {"HOTP1": "park"}});
    let done = import(&site, wish, false).await;
    let said = outcomes(&done);
    let said: Vec<(&str, &str)> =
        said.iter().map(|(_, outcome, why)| (outcome.as_str(), why.as_str())).collect();
    // The first one's holder has the token of the container by now.
    let expected = [
        ("clash", "has-token"),
        ("added", ""),
        ("refused", "no-holder"),
        ("refused", "disabled"),
        ("refused", "kind"),
    ];
    assert_eq!(said, expected);
    assert_eq!(verify(&site, "park", &oathtool(&["--hotp", "-d", "8", "-c", "5", HEX])).await, "accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_import_is_refused_without_repeating_it() {
    let site = TestSite::start().await;
    site.customer(OWN).await;
    for wish in [
        json!({"customer": OWN, "text": 5, "dry_run": HEX}),
        json!({"customer": OWN, "text": format!("{HEX}, kim, sms, 6, 30")}),
        json!({"customer": OWN, "text": "nothing that is known"}),
        json!({"customer": OWN, "text": "\u{0}\u{0}"}),
        json!({"customer": OWN, "text": "<a><b></a>"}),
        json!({"customer": OWN, "text": " ".repeat(5 * 1024 * 1024)}),
        json!({"customer": OWN, "text": " ".repeat(10_000_000)}),
        json!({"customer": OWN, "text": "a,b", "format": "xml"}),
    ] {
        let said = site.send(&site.operator, "POST", "/api/v1/keys/import", &wish).await;
        assert!([200, 413, 422].contains(&said.status.as_u16()), "{said:?}");
        let text = format!("{said:?}");
        assert!(!text.contains(HEX), "{text}");
        if said.status == 200 {
            assert_eq!(said.json()["added"], 0);
        }
    }
}
