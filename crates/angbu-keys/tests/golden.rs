//! The golden vectors, which every way to our keys must give, and the same digits by a tool that is not ours.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the report")]
#![allow(clippy::disallowed_methods, reason = "the test reads a file and starts a program")]

use std::process::Command;

use angbu_keys::otpauth::{Kind, OtpAuth};
use angbu_keys::{Algorithm, Holder, Seed, totp};
use angbu_units::{CycleTime, Phone, UnixTime};
use zeroize::Zeroizing;

const GOLDEN: &str = include_str!("../../../vectors/keys/golden.tsv");

fn rows() -> Vec<[&'static str; 9]> {
    let lines = GOLDEN.lines().filter(|line| !line.starts_with('#'));
    let rows: Vec<[&str; 9]> =
        lines.map(|line| line.split('\t').collect::<Vec<_>>().try_into().unwrap()).collect();
    assert!(rows.len() >= 70);
    rows
}

fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    let byte = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
    (0..N).map(byte).collect::<Vec<_>>().try_into().unwrap()
}

#[test]
fn the_core_gives_what_the_golden_vectors_say() {
    for [seed, site, login_id, phone, cycle, generation, unix, address, key] in rows() {
        let phone: Phone = phone.parse().unwrap();
        let cycle: CycleTime = cycle.parse().unwrap();
        let site: [u8; 16] = bytes(site);
        let generation = generation.parse().unwrap();
        let holder = Holder { site: &site, login_id, phone: &phone, cycle, generation };
        let secret = Seed::from_bytes(bytes(seed)).token_key(&holder);
        let digits = totp::digits(cycle);
        let token = OtpAuth {
            issuer: "example.org".to_owned(),
            account: login_id.to_owned(),
            secret: Zeroizing::new(secret.expose().to_vec()),
            algorithm: Algorithm::Sha256,
            digits,
            kind: Kind::Totp { period: u64::from(cycle.seconds()) },
        };
        assert_eq!(*token.address(), address);
        let at = UnixTime::from_nanos(unix.parse::<i64>().unwrap().saturating_mul(1_000_000_000));
        // What lies beyond 2262 no instant of ours can say, but a step can.
        let step = match unix.parse::<u64>().unwrap() {
            seconds if seconds > 9_000_000_000 => seconds / u64::from(cycle.seconds()),
            _ => totp::step_at(at, cycle),
        };
        assert_eq!(
            totp::key(Algorithm::Sha256, secret.expose(), step, digits).reveal(),
            key,
            "{address} at {unix}"
        );
    }
}

/// The address is all that a standard app knows.
#[test]
fn oathtool_gives_the_same_digits() {
    for [_, _, _, _, cycle, _, unix, address, key] in rows() {
        let read = OtpAuth::parse(address).ok().unwrap();
        let hex: String = read.secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let made = Command::new("oathtool")
            .args(["--totp=sha256", "-s", cycle, "-d", &read.digits.count().to_string(), "-N"])
            .args([&format!("@{unix}"), &hex])
            .output()
            .expect("the Debian package oathtool");
        assert_eq!(String::from_utf8(made.stdout).unwrap().trim_end(), key, "{address} at {unix}");
    }
}
