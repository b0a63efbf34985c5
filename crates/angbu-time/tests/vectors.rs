//! NTP packets as other programs send them, and as the standard lays them out; Allan deviations as another program reckons them.

#![allow(clippy::disallowed_methods, reason = "vectors are files")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the report")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use angbu_time::exchange::{Exchange, Refusal};
use angbu_time::packet::{LENGTH, Leap, Mode, Packet};
use angbu_time::server::{self, ServerState, Unsynchronised};
use angbu_time::trend::{self, Point};
use angbu_units::{Nanos, NtpTimestamp, UnixTime};

/// A vector: its header, and its bytes.
struct Vector {
    file: PathBuf,
    header: BTreeMap<String, String>,
    bytes: Vec<u8>,
}

impl Vector {
    fn number(&self, key: &str) -> u8 {
        self.header[key].parse().unwrap()
    }

    fn origin(&self) -> NtpTimestamp {
        NtpTimestamp::from_bits(u64::from_str_radix(&self.header["origin"], 16).unwrap())
    }
}

fn vectors() -> Vec<Vector> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/time/packets");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let vectors: Vec<_> = files.map(read).collect();
    assert!(vectors.len() >= 5, "the vectors are gone");
    vectors
}

fn read(file: PathBuf) -> Vector {
    let text = std::fs::read_to_string(&file).unwrap();
    let (header, hex) = text.split_once("\n\n").unwrap();
    let header = header.lines().map(|line| line.split_once(": ").unwrap());
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    Vector {
        file,
        header: header.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        bytes: digits.chunks(2).map(byte).collect(),
    }
}

#[test]
fn packets_read_and_write_as_their_headers_say() {
    for vector in vectors() {
        let packet = Packet::decode(&vector.bytes).unwrap();
        let file = vector.file.display();
        assert_eq!(packet.version.number(), vector.number("version"), "{file}");
        assert_eq!(packet.mode.number(), vector.number("mode"), "{file}");
        assert_eq!(packet.leap.bits(), vector.number("leap"), "{file}");
        assert_eq!(packet.stratum, vector.number("stratum"), "{file}");
        let reference: String = packet.reference_id.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(reference, vector.header["reference-id"], "{file}");
        assert_eq!(packet.origin, vector.origin(), "{file}");
        assert_eq!(packet.encode()[..], vector.bytes[..LENGTH], "{file}");
    }
}

#[test]
fn the_fields_of_figure_8() {
    let vector = vectors().into_iter().find(|vector| vector.file.ends_with("rfc5905-figure-8.txt")).unwrap();
    let packet = Packet::decode(&vector.bytes).unwrap();
    assert_eq!((packet.leap, packet.poll, packet.precision), (Leap::Insert, 6, -20));
    assert_eq!(packet.root_delay.to_nanos(), Nanos::from_millis(1_500));
    assert_eq!(packet.root_dispersion.to_nanos(), Nanos::new(3_890_992));
    let era = UnixTime::parse_rfc3339("2036-02-07T06:28:16Z").unwrap();
    for (stamp, after) in [
        (packet.reference, -1_000_000_000),
        (packet.origin, 500_000_000),
        (packet.receive, 1_000_000_000),
        (packet.transmit, 1_250_000_000),
    ] {
        assert_eq!(stamp.to_unix(era), era + Nanos::new(after));
    }
}

/// What other servers answer is an exchange or the refusal that it should be, and what other clients ask is answered.
#[test]
fn other_programs_are_understood() {
    for vector in vectors() {
        let packet = Packet::decode(&vector.bytes).unwrap();
        if packet.mode == Mode::Server {
            let request = Packet::request(packet.version, vector.origin()).encode();
            let near = packet.transmit.to_unix(UnixTime::parse_rfc3339("2030-01-01T00:00:00Z").unwrap());
            let exchange = Exchange::read(&request, &vector.bytes, near, near + Nanos::from_secs(1));
            match packet.leap {
                Leap::Unknown => assert_eq!(exchange, Err(Refusal::Unsynchronised)),
                _ => assert_eq!(exchange.unwrap().source().stratum, packet.stratum),
            }
        } else {
            let now = UnixTime::parse_rfc3339("2026-11-21T23:00:00Z").unwrap();
            let state = ServerState::unsynchronised(Unsynchronised::Initial, -20, now);
            let mut reply = [0; LENGTH];
            server::answer(&vector.bytes, now, now, &state, &mut reply).unwrap();
            let reply = Packet::decode(&reply).unwrap();
            assert_eq!((reply.origin, reply.version), (packet.transmit, packet.version));
        }
    }
}

/// Phases with gaps, and what `allantools` makes of them: both leave sums over a gap out, and the drift makes no difference.
#[test]
fn allan_deviations_are_those_of_another_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/time/trend");
    let mut read = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let (header, phases) = text.split_once("\n\n").unwrap();
        let point = |(index, phase): (i64, &str)| Point {
            at: UnixTime::from_nanos(index * 16_000_000_000),
            offset: Nanos::new(phase.parse().unwrap()),
            delay: Nanos::ZERO,
        };
        let told = (0..).zip(phases.split_whitespace()).filter(|(_, phase)| *phase != "-");
        let trend = trend::trend(&told.map(point).collect::<Vec<_>>(), &[]).unwrap();
        let expected: Vec<Vec<&str>> = header
            .lines()
            .filter_map(|line| Some(line.strip_prefix("allan: ")?.split(' ').collect()))
            .collect();
        assert_eq!(trend.allan.len(), expected.len(), "{header}");
        for (found, expected) in trend.allan.iter().zip(expected) {
            assert_eq!(found.tau, Nanos::from_secs(expected[0].parse().unwrap()));
            let deviation: f64 = expected[1].parse().unwrap();
            assert!((found.deviation / deviation - 1.0).abs() < 1e-7, "{found:?} for {deviation}");
            assert_eq!(found.terms.to_string(), expected[2]);
        }
        read += 1;
    }
    assert!(read >= 3, "the vectors are gone");
}
