use std::collections::BTreeSet;

use super::*;
use crate::hotp;

const TWENTY: &[u8] = b"12345678901234567890";
const THIRTY_TWO: &[u8] = b"12345678901234567890123456789012";
const KEY: &str = "12345678901234567890123456789012";
const PASSWORD: &str = "qwerty";
const PSKC_KEY: &str = "5b76b571fe14397ca6221b56f430748b";
const SEALED_KEY: &str = "Vl6hxNGH7KBsxppt-eXV36PiphVC6njEecqlcqhVeBA=";

/// 2026-11-22 10:53:50 UTC, six seconds after `pam_oath` wrote its file.
const NOW: UnixTime = UnixTime::from_nanos(1_795_344_830_000_000_000);

/// What stands in vectors/keys/import.
macro_rules! sample {
    ($name:literal) => {
        include_str!(concat!("../../../../vectors/keys/import/", $name))
    };
}

fn file(text: &str) -> File<'_> {
    File { text, format: None, key: None, password: None, holder: None, objects, now: NOW }
}

fn of(text: &str) -> Reading {
    read(&file(text)).unwrap_or_else(|error| panic!("{error}"))
}

/// What whoever calls hands in.
fn objects(text: &str) -> Option<Vec<Object>> {
    let serde_json::Value::Array(values) = serde_json::from_str(text).ok()? else { return None };
    Some(
        values
            .iter()
            .map(|value| {
                let mut object = Object::new();
                flatten("", value, &mut object);
                object
            })
            .collect(),
    )
}

fn flatten(path: &str, value: &serde_json::Value, out: &mut Object) {
    let text = match value {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, value, out);
            }
            return;
        }
        serde_json::Value::Null | serde_json::Value::Array(_) => return,
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    out.insert(path.to_owned(), Zeroizing::new(text));
}

/// What a token must look like.
struct Is<'a> {
    line: u32,
    login_id: Option<&'a str>,
    serial: Option<&'a str>,
    secret: &'a [u8],
    algorithm: Algorithm,
    digits: u8,
    /// `None` for a counted one.
    cycle: Option<u8>,
    last: Option<u64>,
    drift: i64,
    remarks: &'a [Remark],
}

const PLAIN: Is<'static> = Is {
    line: 1,
    login_id: None,
    serial: None,
    secret: TWENTY,
    algorithm: Algorithm::Sha1,
    digits: 6,
    cycle: Some(30),
    last: None,
    drift: 0,
    remarks: &[],
};

fn check(reading: &Reading, format: Format, tokens: &[Is<'_>], refused: &[(u32, Option<&str>, Why)]) {
    assert_eq!(reading.format, format);
    assert_eq!(reading.tokens.len(), tokens.len());
    for (token, is) in reading.tokens.iter().zip(tokens) {
        assert_eq!(token.line, is.line);
        let at = format!("line {}", token.line);
        assert_eq!(token.login_id.as_deref(), is.login_id, "{at}");
        assert_eq!(token.serial.as_deref(), is.serial, "{at}");
        assert_eq!(token.secret.as_slice(), is.secret, "{at}");
        assert_eq!(token.algorithm, is.algorithm, "{at}");
        assert_eq!(token.digits.count(), is.digits, "{at}");
        let cycle = match token.motion {
            Motion::Time(cycle) => Some(cycle.seconds()),
            Motion::Counter => None,
            Motion::TimeAndEvent(_) => panic!("no other product has these"),
        };
        assert_eq!(cycle, is.cycle, "{at}");
        assert_eq!(token.last, is.last.map(|step| Place { step, event: 0 }), "{at}");
        assert_eq!(token.drift, Nanos::from_secs(is.drift), "{at}");
        assert_eq!(token.remarks, is.remarks.iter().copied().collect::<BTreeSet<_>>(), "{at}");
    }
    let found: Vec<_> =
        reading.refused.iter().map(|refused| (refused.line, refused.name.as_deref(), refused.why)).collect();
    assert_eq!(found, refused);
}

#[test]
fn addresses() {
    check(
        &of(sample!("otpauth.txt")),
        Format::OtpAuth,
        &[
            Is { line: 2, login_id: Some("kim@corp.example"), ..PLAIN },
            Is {
                line: 3,
                login_id: Some("lee"),
                secret: THIRTY_TWO,
                algorithm: Algorithm::Sha256,
                digits: 8,
                cycle: Some(60),
                ..PLAIN
            },
            Is { line: 5, login_id: Some("park"), cycle: None, last: Some(4), ..PLAIN },
        ],
        &[(6, None, Why::Packed), (7, Some("choi"), Why::SecretTooShort)],
    );
}

#[test]
fn users_oath_as_pam_oath_leaves_it() {
    let reading = of(sample!("users.oath"));
    let last = totp::step_at(NOW, CycleTime::new(30).unwrap());
    check(
        &reading,
        Format::UsersOath,
        &[
            Is { line: 1, login_id: Some("kim"), cycle: None, last: Some(3), ..PLAIN },
            Is { line: 2, login_id: Some("lee"), last: Some(last), ..PLAIN },
            Is {
                line: 3,
                login_id: Some("park"),
                digits: 8,
                cycle: Some(60),
                remarks: &[Remark::Pin],
                ..PLAIN
            },
        ],
        &[],
    );
    // Kim's last key was accepted there, so that the next one is the first that is good here.
    let (kim, next) = (&reading.tokens[0], hotp::key(Algorithm::Sha1, TWENTY, 3, Digits::SIX));
    assert_eq!((next.reveal().as_str(), kim.last.unwrap().step), ("969429", 3));
    // A minute or three later nobody could use Lee's key again anyway.
    let later = File { now: NOW + Nanos::from_secs(600), ..file(sample!("users.oath")) };
    assert_eq!(read(&later).unwrap().tokens[1].last, None);
}

#[test]
fn users_oath_by_its_words() {
    let secret = "3132333435363738393031323334353637383930";
    for (kind, rest, expected) in [
        ("HOTP", "", Ok((None, 6, None))),
        ("HOTP/E/8", " 0", Ok((None, 8, None))),
        ("HOTP/E", " 4", Ok((None, 6, Some(3)))),
        ("HOTP", " 4 123456 2026-11-22T10:53:44L", Ok((None, 6, Some(4)))),
        ("HOTP/T", "", Ok((Some(30), 6, None))),
        ("HOTP/T60/7", "", Ok((Some(60), 7, None))),
        ("HOTP/T120", "", Err(Why::Cycle)),
        ("HOTP/X", "", Err(Why::Kind)),
        ("HOTP/T30/6/1", "", Err(Why::Kind)),
        ("HOTP/T30/5", "", Err(Why::Digits)),
        ("HOTP", " -1", Err(Why::Counter)),
    ] {
        let text = format!("HOTP first - 00112233445566778899\n{kind}\tkim\t-\t{secret}{rest}\n");
        let reading = of(&text);
        let read = match (reading.tokens.get(1), reading.refused.first()) {
            (Some(token), None) => Ok((
                match token.motion {
                    Motion::Time(cycle) => Some(cycle.seconds()),
                    _ => None,
                },
                token.digits.count(),
                token.last.map(|last| last.step),
            )),
            (_, Some(refused)) => Err(refused.why),
            _ => panic!("{kind}"),
        };
        assert_eq!(read, expected, "{kind}{rest}");
    }
}

#[test]
fn google_authenticators_files() {
    let limits = [Remark::RecoveryCodes, Remark::Limits];
    for (text, is) in [
        (sample!("google-authenticator-totp"), Is { last: Some(59_844_847), remarks: &limits, ..PLAIN }),
        (sample!("google-authenticator-hotp"), Is { cycle: None, last: Some(2), remarks: &limits, ..PLAIN }),
        (sample!("google-authenticator-60"), Is { cycle: Some(60), remarks: &limits, ..PLAIN }),
    ] {
        // The newest of them was written ten minutes later than users.oath.
        let file = File { holder: Some("kim"), now: NOW + Nanos::from_secs(600), ..file(text) };
        let reading = read(&file).unwrap();
        let secret = base32(text.lines().next().unwrap()).unwrap();
        assert_eq!(secret.len(), 16);
        check(
            &reading,
            Format::GoogleAuthenticator,
            &[Is { login_id: Some("kim"), secret: &secret, ..is }],
            &[],
        );
        let nobodys = read(&File { holder: None, ..file }).unwrap();
        check(&nobodys, Format::GoogleAuthenticator, &[], &[(1, None, Why::NoName)]);
    }
    let skewed = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\n\" TIME_SKEW -1\n\" TOTP_AUTH\n";
    let reading = read(&File { holder: Some("kim"), ..file(skewed) }).unwrap();
    check(&reading, Format::GoogleAuthenticator, &[Is { login_id: Some("kim"), drift: -30, ..PLAIN }], &[]);
}

#[test]
fn key_containers_plain_and_encrypted() {
    let kim = |line| Is {
        line,
        login_id: Some("kim"),
        serial: Some("987654321"),
        remarks: &[Remark::Realm],
        ..PLAIN
    };
    let lee = |line| Is {
        line,
        login_id: Some("lee"),
        serial: Some("987654322"),
        digits: 8,
        cycle: None,
        last: Some(6),
        ..PLAIN
    };
    check(&of(sample!("plain.pskc")), Format::Pskc, &[kim(8), lee(29)], &[]);
    let key = read(&File { key: Some(KEY), ..file(sample!("psk.pskc")) }).unwrap();
    check(&key, Format::Pskc, &[kim(19), lee(46)], &[]);
    let password = read(&File { password: Some(PASSWORD), ..file(sample!("password.pskc")) }).unwrap();
    check(&password, Format::Pskc, &[kim(29), lee(56)], &[]);
}

#[test]
fn the_rfcs_key_containers() {
    let is = |line| Is { line, serial: Some("987654321"), digits: 8, cycle: None, ..PLAIN };
    let key = read(&File { key: Some(KEY), ..file(sample!("rfc6030-key.pskc")) }).unwrap();
    check(&key, Format::Pskc, &[is(25)], &[]);
    let password =
        read(&File { password: Some(PASSWORD), ..file(sample!("rfc6030-password.pskc")) }).unwrap();
    check(&password, Format::Pskc, &[Is { remarks: &[Remark::CounterUnknown], ..is(41) }], &[]);
}

#[test]
fn key_containers_that_do_not_open() {
    let read = |file: &File<'_>| read(file).err();
    let (psk, pass) = (file(sample!("psk.pskc")), file(sample!("password.pskc")));
    assert_eq!(read(&psk), Some(FileError::NeedsKey));
    assert_eq!(read(&File { key: Some("12"), ..psk }), Some(FileError::Key));
    assert_eq!(read(&pass), Some(FileError::NeedsPassword));
    let rounds = pass.text.replace(">1000<", ">1000001<");
    let rounds = File { text: &rounds, password: Some(PASSWORD), ..pass };
    assert_eq!(read(&rounds), Some(FileError::Rounds));
    // A wrong key shows at the padding of the MAC's key, or else at every MAC.
    for wrong in 0..20 {
        let key = format!("{wrong:032x}");
        match super::read(&File { key: Some(&key), ..psk }) {
            Err(error) => assert_eq!(error, FileError::WrongKey),
            Ok(reading) => {
                assert!(reading.tokens.is_empty());
                assert!(reading.refused.iter().all(|refused| refused.why == Why::Mac));
            }
        }
    }
    let changed = psk.text.replace("OsO61ur9", "OsO61ur8");
    let reading = super::read(&File { text: &changed, key: Some(KEY), ..psk }).unwrap();
    assert_eq!((reading.tokens.len(), reading.refused[0].why), (1, Why::Mac));
    let bare = psk.text.replace("ValueMAC", "Other");
    let reading = super::read(&File { text: &bare, key: Some(KEY), ..psk }).unwrap();
    assert!(reading.tokens.is_empty() && reading.refused.iter().all(|refused| refused.why == Why::NoMac));
}

#[test]
fn entities_are_not_expanded() {
    let bomb = "<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]>\
                <KeyContainer>&b;</KeyContainer>";
    assert_eq!(read(&file(bomb)).err(), Some(FileError::Malformed(Format::Pskc)));
    let outside = "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><KeyContainer/>";
    assert_eq!(read(&file(outside)).err(), Some(FileError::Malformed(Format::Pskc)));
}

#[test]
fn nesting_costs_no_stack() {
    let deep = format!("{}{}", "<KeyContainer>".repeat(100_000), "</KeyContainer>".repeat(100_000));
    let _ = read(&file(&deep));
}

#[test]
fn tables_with_a_header() {
    check(
        &of(sample!("header.csv")),
        Format::Table,
        &[
            Is { line: 2, login_id: Some("kim"), ..PLAIN },
            Is {
                line: 3,
                login_id: Some("lee"),
                serial: Some("A-1, left"),
                digits: 8,
                cycle: None,
                last: Some(4),
                ..PLAIN
            },
        ],
        &[(4, Some("choi"), Why::Cycle), (5, None, Why::NoName)],
    );
}

#[test]
fn tables_without_a_header() {
    let serial = |line, serial| Is { line, serial: Some(serial), ..PLAIN };
    check(
        &of(sample!("serial-first.csv")),
        Format::Table,
        &[
            Is { cycle: Some(60), ..serial(2, "OATH0001") },
            Is { secret: THIRTY_TWO, algorithm: Algorithm::Sha256, digits: 8, ..serial(3, "OATH0002") },
            Is { cycle: None, last: Some(8), ..serial(4, "OATH0003") },
            Is { cycle: None, remarks: &[Remark::CounterUnknown], ..serial(5, "OATH0004") },
        ],
        &[(6, None, Why::Kind)],
    );
    check(
        &of(sample!("user-and-realm-first.csv")),
        Format::Table,
        &[Is { login_id: Some("kim"), ..serial(2, "OATH0001") }],
        &[],
    );
}

#[test]
fn how_a_tables_secrets_are_written_is_seen_from_all_of_them() {
    let hexadecimal = "user;seed\nkim;AAAAAAAAAABBBBBBBBBB22222222222222222222\nlee;3132333435363738393031323334353637383930\n";
    assert_eq!(of(hexadecimal).tokens[0].secret.len(), 20);
    let base32 = "user\tseed\nkim\tAAAAAAAAAABBBBBBBBBB222222222222\nlee\tGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\n";
    assert_eq!(of(base32).tokens[0].secret.len(), 20);
    let either = "user,seed\nkim,AAAAAAAAAABBBBBBBBBB222222222222\n";
    assert_eq!(read(&file(either)).err(), Some(FileError::SecretsEitherWay));
    let both = format!("{base32}park\t3132333435363738393031323334353637383930\n");
    assert_eq!(read(&file(&both)).err(), Some(FileError::SecretsEitherWay));
    let said = "user,secret_hex\nkim,AAAAAAAAAABBBBBBBBBB222222222222\n";
    assert_eq!(of(said).tokens[0].secret.len(), 16);
}

#[test]
fn privacyideas_exports() {
    // Twenty minutes after users.oath.
    let now = NOW + Nanos::from_secs(1_200);
    let kim = Is { login_id: Some("kim"), serial: Some("TOTP1"), last: Some(59_844_868), drift: 38, ..PLAIN };
    let lee = Is {
        line: 2,
        login_id: Some("lee"),
        serial: Some("HOTP1"),
        digits: 8,
        cycle: None,
        last: Some(4),
        ..PLAIN
    };
    let third = Is {
        line: 3,
        serial: Some("TOTP2"),
        secret: THIRTY_TWO,
        algorithm: Algorithm::Sha256,
        cycle: Some(60),
        remarks: &[Remark::Pin],
        ..PLAIN
    };
    let (realm, bare) = ([Remark::Realm], [Remark::Realm, Remark::CounterUnknown]);
    let refused = [(4, None, Why::Disabled), (5, None, Why::Kind)];
    let tokens = [kim, lee, third];
    let open = read(&File { now, ..file(sample!("privacyidea.json")) }).unwrap();
    check(&open, Format::PrivacyIdea, &tokens, &refused);
    let sealed = File { now, ..file(sample!("privacyidea.sealed")) };
    check(&read(&File { key: Some(SEALED_KEY), ..sealed }).unwrap(), Format::PrivacyIdea, &tokens, &refused);
    assert_eq!(read(&sealed).err(), Some(FileError::NeedsKey));
    assert_eq!(read(&File { key: Some("MTIz"), ..sealed }).err(), Some(FileError::Key));
    let other = SEALED_KEY.replace("Vl6h", "Vl6i");
    assert_eq!(read(&File { key: Some(&other), ..sealed }).err(), Some(FileError::WrongKey));

    // Its table and its key container tell less: neither says who is disabled, the one no counters, the other no people.
    let [kim, lee, third] = tokens;
    let fourth = Is { line: 4, serial: Some("TOTP3"), ..PLAIN };
    let table = [
        Is { last: None, drift: 0, remarks: &realm, ..kim },
        Is { last: None, remarks: &bare, ..lee },
        Is { remarks: &[], ..third },
        fourth,
    ];
    check(&of(sample!("owner-first.csv")), Format::Table, &table, &[]);
    let [kim, lee, third, fourth] = table;
    let container = read(&File { now, key: Some(PSKC_KEY), ..file(sample!("privacyidea.pskc")) }).unwrap();
    let tokens = [
        Is { line: 52, ..fourth },
        Is { line: 87, ..third },
        Is { line: 122, login_id: None, last: Some(4), remarks: &[], ..lee },
        Is { line: 157, login_id: None, last: Some(59_844_868), drift: 38, remarks: &[], ..kim },
    ];
    check(&container, Format::Pskc, &tokens, &[(17, None, Why::Kind)]);
}

#[test]
fn a_file_that_is_nothing_is_told_so() {
    for text in ["", "\n\n", "# a comment", "kim 123456", "%PDF-1.4"] {
        assert_eq!(read(&file(text)).err(), Some(FileError::Unrecognised), "{text:?}");
    }
    for (text, format) in
        [("<html></html>", Format::Pskc), ("[", Format::PrivacyIdea), ("{", Format::PrivacyIdea)]
    {
        assert_eq!(read(&file(text)).err(), Some(FileError::Malformed(format)), "{text:?}");
    }
    for format in Format::ALL {
        assert_eq!(format.name().parse(), Ok(format));
    }
}

#[test]
fn a_file_has_bounds() {
    let long = " ".repeat(LONGEST + 1);
    assert_eq!(read(&file(&long)).err(), Some(FileError::TooLong));
    let mut many = String::from("user,secret_hex\n");
    for number in 0..=MOST {
        many.push_str(&format!("u{number},00112233445566778899\n"));
    }
    assert_eq!(read(&file(&many)).err(), Some(FileError::TooMany));
    let fits = many.trim_end().rsplit_once('\n').unwrap().0;
    assert_eq!(of(fits).tokens.len(), MOST);
}

#[test]
fn a_token_is_taken_once_and_weak_secrets_are_told() {
    let text = "user,secret_hex\nkim,00112233445566778899\nkim,00112233445566778899\nlee,00112233445566778899\nkim,001122\n";
    check(
        &of(text),
        Format::Table,
        &[
            Is {
                line: 2,
                login_id: Some("kim"),
                secret: &hexadecimal("00112233445566778899").unwrap(),
                remarks: &[Remark::ShortSecret],
                ..PLAIN
            },
            Is {
                line: 4,
                login_id: Some("lee"),
                secret: &hexadecimal("00112233445566778899").unwrap(),
                remarks: &[Remark::ShortSecret],
                ..PLAIN
            },
        ],
        &[(3, Some("kim"), Why::Twice), (5, Some("kim"), Why::SecretTooShort)],
    );
}

/// Whatever is wrong with a line, neither the reason nor the name repeats what could be its secret.
#[test]
fn no_reason_repeats_a_secret() {
    let secret = "3132333435363738393031323334353637383930";
    for text in [
        format!("{secret}, kim, totp, 6, 30\n"),
        format!("user,secret\n{secret},kim!\n"),
        format!("HOTP {secret} - kim\n"),
        format!("otpauth://totp/kim?secret=!&digits={secret}\n"),
        format!("otpauth://totp/kim?secret=GEZDGNBVGY3TQOJQ&digits={secret}\n"),
    ] {
        let said = match read(&file(&text)) {
            Ok(reading) => {
                assert!(reading.tokens.is_empty());
                format!("{:?} {}", reading.refused, reading.refused[0].why)
            }
            Err(error) => format!("{error:?} {error}"),
        };
        assert!(!said.contains("31323334"), "{said}");
    }
}
