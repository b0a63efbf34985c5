//! The verifier that needs nothing of ours: docs/verify.py checks the same files.

use std::path::Path;
use std::process::Command;

use angbu_evidence::cosign::cosign;
use angbu_evidence::fork::ForkProof;
use angbu_evidence::note::{Ed25519Signer, Note, Signer};
use angbu_evidence::report::{Package, embed};
use angbu_evidence::{Checkpoint, Kind, Receipt, merkle};
use angbu_units::AgentId;

use crate::refusals::numbered;
use crate::site::{ORIGIN, OURS, Site, THEIRS, file, honest, log_key, log_signer, minute};

/// Exchanges as angbu-time packs them: four at 11:00 with offsets of -1.5, 2.25 and 0.125 ms and, an hour later, 9 ms;
/// with gaps in their numbers, rates that follow from nothing, and two states of the server.
const EXCHANGES: &str = "01041801010101010101010101010101010101000ae9000000007f7f01010000000077359400048080bfb29fb1b1da31bf9cb201\
    d08c01c0febb0186013401ffaf92bf90b1b1da31e0e1c903d08c01dfe1c90300d00f3c01010101010101010101010101010101000ae900\
    0000017f7f0101000000007735940001008fb38302d08c0190b3830200a01f34018090bfb199d101f0afbb08d08c01efafbb0800f02e";

/// Exit status, standard output, standard error.
fn verify(arguments: &[&str]) -> (i32, String, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/verify.py");
    let output = Command::new("python3").arg(script).args(arguments).output().expect("Python 3 is installed");
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

pub(crate) fn verify_bytes(bytes: &[u8]) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    std::fs::write(&path, bytes).unwrap();
    verify(&[path.to_str().unwrap(), &log_key().to_string()])
}

fn page(package: &Package) -> Vec<u8> {
    embed("<!doctype html>\n", &package.encode(), "\n").into_bytes()
}

fn refused(bytes: &[u8], why: &str) {
    let (status, output, error) = verify_bytes(bytes);
    assert_eq!((status, output.as_str()), (1, ""), "{why}: {error}");
    assert!(error.starts_with("refused: ") && error.contains(why), "{why} in {error}");
}

#[test]
fn an_honest_report_is_proven() {
    let package = Site::after_half_a_day().honest();
    let (status, output, error) = verify_bytes(file(&package).as_bytes());
    assert_eq!((status, error.as_str()), (0, ""));
    let expected = format!(
        "proven by {ORIGIN}, whose log then had 54 entries\n\
         customer {OURS}, from 2026-10-01T04:00:00.000000000Z to 2026-10-01T12:00:00.000000000Z\n\
         entries 8 to 25 of this customer, none left out; data up to 2026-10-01T12:00:00.000000000Z by the centre's \
         clock, declared then\n\
         signed by {ORIGIN} (1068b451)\n\
         in all: 1 account.customer, 2 clock.state, 1 evidence.manifest, 1 evidence.note, 1 time.alarm, 17 time.segment\n\
         the readable page was NOT checked against this; `angbu verify` does that too\n"
    );
    assert_eq!(output, expected);
}

#[test]
fn a_time_report_is_summed_up() {
    let mut site = Site::empty();
    site.clock(minute(0), "declared");
    site.append("account.customer", OURS, minute(0), &[("tolerance-ns", "50000000")]);
    let agent = AgentId::from_bytes([3; 16]).to_string();
    site.append("time.enrolment", OURS, minute(1), &[("agent", &agent), ("public-key", "00")]);
    let digits = EXCHANGES.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    let packed = digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
    let fields = [("agent", agent.clone().into_bytes()), ("exchanges", packed)];
    site.append_fields(Kind::new("time.segment").unwrap(), OURS, minute(719), &fields);
    for (at, centre_at) in [
        (minute(700), "-".to_owned()),
        (minute(0), minute(701).nanos().to_string()),
        (minute(1), "-".to_owned()),
    ] {
        let at = at.nanos().to_string();
        site.append(
            "time.alarm",
            OURS,
            minute(719),
            &[("agent", &agent), ("at", &at), ("centre-at", &centre_at)],
        );
    }
    let manifest = site.manifest(minute(720));
    let mut package = site.package(manifest, minute(240), minute(720), |_| true);
    package.subject.kind = "time".to_owned();
    let (status, output, error) = verify_bytes(&page(&package));
    assert_eq!((status, error.as_str()), (0, ""));
    let expected = format!("\n{agent} : 3 exchanges in the period, offset -1.500 to 2.250 ms, 2 alarms\n");
    assert!(output.contains(&expected), "{output}");
}

#[test]
fn what_is_wrong_is_named() {
    let mut site = Site::after_half_a_day();
    let package = site.honest();
    let text = package.encode();
    let edited = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        embed("", &text.replacen(from, to, 1), "").into_bytes()
    };
    let changed = |change: fn(&mut Package)| {
        let mut package = package.clone();
        change(&mut package);
        page(&package)
    };
    refused(b"<!doctype html>", "no evidence");
    refused(&edited("\nend\n", "\n"), "the evidence ends too early");
    refused(&edited("counter 25", "counter 025"), "'025' is no number in its one spelling");
    refused(
        &edited("checkpoint 5\ncentre", "checkpoint 5\nCentre"),
        "the signature of 'centre.example/log' is wrong",
    );
    refused(
        &edited(
            "customer cus_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
            "customer cus_55555555555555555555555555555555\n",
        ),
        "belongs to cus_aaaa",
    );
    refused(&edited(" c3RlcA==", " c2xldw=="), "a field of entry 44 (time.alarm) was changed");
    refused(&edited("counter 25 1 49", "counter 25 1 48"), "the manifest does not count cus_aaaa");
    refused(&changed(|package| package.counter.count = 24), "the manifest does not count cus_aaaa");
    refused(&changed(|package| drop(package.items.remove(8))), "entry number 13 of cus_aaaa");
    refused(&changed(|package| drop(package.items.remove(0))), "on whose clock entry");
    refused(&changed(|package| drop(package.items.pop())), "the manifest, is missing");
    refused(&changed(|package| package.nodes.push(package.nodes[0])), "hashes too many");
    refused(&changed(|package| package.nodes.truncate(2)), "hashes of the proof are missing");
    refused(&changed(|package| package.nodes[0] = package.nodes[1]), "do not lead to the root");
    refused(
        &changed(|package| package.subject.to = minute(721)),
        "the manifest is older than the period's end",
    );
    let without_a_row = site.package(package.manifest, minute(240), minute(720), |item| {
        honest(item, package.manifest, minute(240)) && item.index != 44
    });
    refused(&page(&without_a_row), "entry number 22 of cus_aaaa");
    let forged =
        text.replace("\ninstant 1790827200000000000 1000000 ", "\ninstant 1790827200000000000 1000001 ");
    assert_ne!(forged, text);
    refused(&embed("", &forged, "").into_bytes(), "is not what the log holds at that place");
    let last = |package: &mut Package| package.items.retain(|item| numbered(item) != (OURS, 25));
    let mut truncated = package.clone();
    last(&mut truncated);
    refused(
        &page(&truncated),
        "entry number 25 of cus_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa is missing, the last",
    );
    let hour = site.package(package.manifest, minute(240), minute(720), |item| {
        honest(item, package.manifest, minute(240)) && !matches!(numbered(item), (OURS, 13..=14))
    });
    refused(
        &page(&hour),
        "entry number 13 to 14 of cus_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa is missing, between 2026-10-01T05:30",
    );
    let mut uncounted = package.clone();
    uncounted.items.retain(|item| item.index + 1 != package.manifest);
    refused(&page(&uncounted), "as late as the period's end");
}

#[test]
fn cosigners_are_checked_and_told() {
    let package = Site::after_half_a_day().honest();
    let witness = Ed25519Signer::new("witness.example/w1", &[9; 32]).unwrap();
    let key = witness.verifier_key().as_witness().to_string();
    let mut note = Note::parse(&package.checkpoint).unwrap();
    note.signatures.push(cosign(&note.text, 1_790_856_060, &witness).unwrap());
    let signers = [package.signers.clone(), vec![witness.verifier_key().as_witness()]].concat();
    let cosigned = Package { checkpoint: note.encode(), signers, ..package.clone() };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    let tell = |package: &Package, keys: &[&str]| {
        std::fs::write(&path, page(package)).unwrap();
        verify(&[&[path.to_str().unwrap()], keys].concat())
    };
    let log = log_key().to_string();
    let next = Ed25519Signer::new(ORIGIN, &[8; 32]).unwrap().verifier_key().to_string();
    let told = "\ncosigned by witness witness.example/w1 (24b5d9fe) at 2026-10-01T12:01:00.000000000Z by its own clock";
    let (status, output, error) = tell(&cosigned, &[&next, &log, "--witness", &key]);
    assert!(status == 0 && output.contains(&format!("{told}\n")), "{output}{error}");
    let (status, output, _) = tell(&cosigned, &[&log]);
    assert!(
        status == 0
            && output.contains(&format!("{told}: this key was not given, so that counts for nothing\n"))
    );
    let (status, _, error) = tell(&package, &[&log, "--witness", &key]);
    assert!(status == 1 && error.contains("the witness 'witness.example/w1' has not cosigned"), "{error}");
    let (status, _, error) = tell(&cosigned, &[&next]);
    assert!(status == 1 && error.contains("whose key was not given"), "{error}");
    let mut wrong = cosigned.clone();
    let mut note = Note::parse(&wrong.checkpoint).unwrap();
    note.signatures[1].signature[7] ^= 1;
    wrong.checkpoint = note.encode();
    let (status, _, error) = tell(&wrong, &[&log]);
    assert!(status == 1 && error.contains("the signature of 'witness.example/w1' is wrong"), "{error}");
    for wrong in [&[log.as_str(), "--witness", &log][..], &[&key], &[&log, "--witness"]] {
        assert_eq!(tell(&cosigned, wrong).0, 2, "{wrong:?}");
    }
}

#[test]
fn receipts_and_forks_are_checked_too() {
    let mut site = Site::after_half_a_day();
    let size = u64::try_from(site.items.len()).unwrap();
    let old = site.checkpoint();
    let item = &site.items[20];
    let path = merkle::inclusion(&site, 20, size).unwrap();
    let receipt =
        Receipt { entry: item.entry.clone().into_bytes(), index: 20, path, checkpoint: old.clone() };
    let (status, output, error) = verify_bytes(receipt.encode().as_bytes());
    assert!(status == 0 && output.contains(": entry 20 is\n    angbu/1 time.segment\n"), "{output}{error}");
    let mut changed = receipt.clone();
    changed.index = 21;
    refused(changed.encode().as_bytes(), "is not what the log holds at that place");
    let mut changed = receipt.clone();
    changed.entry[40] ^= 1;
    refused(changed.encode().as_bytes(), "is not what the log holds at that place");
    let mut changed = receipt;
    changed.path.pop();
    refused(changed.encode().as_bytes(), "hashes of the proof are missing");
    // A second history: the same log with another entry in it, signed as well.
    let mut other = Site::after_half_a_day();
    other.items[30].entry = other.items[29].entry.clone();
    other.append("time.segment", THEIRS, minute(721), &[("exchanges", "1")]);
    let root = merkle::tree_root(&other, size + 1).unwrap();
    let new = Checkpoint { origin: ORIGIN.to_owned(), size: size + 1, root }.sign(&log_signer()).unwrap();
    let fork = ForkProof::find(&old, &new, &other, &[log_key()]).unwrap().encode();
    let (status, output, error) = verify_bytes(fork.as_bytes());
    assert!(
        status == 0 && output.starts_with("proven: centre.example/log has signed two histories\n"),
        "{error}"
    );
    refused(fork.replacen("\nnode ", "\nnode A", 1).as_bytes(), "is not base64 in its one spelling");
    refused(fork.replacen(&format!("\n{size}\n"), "\n50\n", 1).as_bytes(), "the signature of");
    site.append("time.segment", THEIRS, minute(721), &[("exchanges", "1")]);
    let honest = merkle::whole_path(&site, size, size + 1).unwrap();
    let nodes: String = honest.iter().map(|hash| format!("node {hash}\n")).collect();
    let lines = |note: &str| format!("checkpoint {}\n{note}", note.matches('\n').count());
    let none = format!("angbu/1 fork\n{}{}{nodes}end\n", lines(&old), lines(&site.checkpoint()));
    refused(none.as_bytes(), "do not contradict each other");
}

#[test]
fn every_changed_byte_of_the_evidence_is_refused() {
    let mut site = Site::empty();
    site.clock(minute(0), "declared");
    site.append("account.customer", OURS, minute(700), &[("tolerance-ns", "1")]);
    let manifest = site.manifest(minute(720));
    let text = site.package(manifest, minute(690), minute(720), |_| true).encode();
    // One process for them all: Python starts slowly.
    let program = "import sys; sys.argv[0] = sys.argv[1]; sys.path.insert(0, sys.argv[1]); import verify, functools\n\
        verify.signed_by = functools.lru_cache(None)(verify.signed_by)\n\
        data, keys = open(sys.argv[2], 'rb').read(), verify.Keys([verify.verifier_key(sys.argv[3])], [])\n\
        verify.Report(data, keys)\n\
        begin, end = data.index(b'angbu/1 report'), data.index(b'</template>')\n\
        for place in range(begin, end):\n\
        \x20   changed = bytearray(data); changed[place] ^= 1\n\
        \x20   try: verify.Report(bytes(changed), keys)\n\
        \x20   except (verify.Refused, ValueError, IndexError, OverflowError, RuntimeError): continue\n\
        \x20   line = data[:place].split(b'\\n')[-1] + data[place:].split(b'\\n')[0]\n\
        \x20   if not line.startswith((b'angbu/1 report', b'period')): sys.exit(f'byte {place} in {line}')\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    std::fs::write(&path, embed("<!doctype html>\n", &text, "\n")).unwrap();
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let output = Command::new("python3")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .args(["-c", program, docs.to_str().unwrap(), path.to_str().unwrap(), &log_key().to_string()])
        .output()
        .expect("Python 3 is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn keys_and_arguments() {
    let package = Site::after_half_a_day().honest();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    std::fs::write(&path, file(&package)).unwrap();
    let path = path.to_str().unwrap();
    let (status, _, error) = verify(&[path]);
    assert!(status == 1 && error.contains("signer not given"), "{status} {error}");
    let other = Ed25519Signer::new(ORIGIN, &[8; 32]).unwrap().verifier_key().to_string();
    let (status, _, error) = verify(&[path, &other]);
    assert!(status == 1 && error.contains("whose key was not given"), "{status} {error}");
    let key = log_signer().verifier_key().to_string();
    for arguments in
        [&[][..], &[path, &key, "more"], &[path, &key[1..]], &[path, "key"], &["/no/such/file", &key]]
    {
        assert_eq!(verify(arguments).0, 2, "{arguments:?}");
    }
}
