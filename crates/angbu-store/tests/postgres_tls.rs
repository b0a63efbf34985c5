//! The way to an encrypted PostgreSQL: what each `sslmode` reaches, and what the refusals say.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "inside tests a panic is the report")]
#![allow(clippy::disallowed_methods, reason = "certificates are files")]

#[expect(dead_code, reason = "this binary needs only the way, not what cuts it")]
mod proxy;
mod support;

use std::path::{Path, PathBuf};

use angbu_store::{Engine, Options, Store, StoreError};
use angbu_testkit::postgres::Server;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use support::{Drafter, TestClock, append, customer, proven, sequencer};

/// A certificate authority.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A server's certificate under it and the key, as PEM.
    fn certificate(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// A server with a database, and the folder of whoever opens it.
struct Encrypted {
    server: Server,
    database: String,
    folder: tempfile::TempDir,
}

impl Encrypted {
    fn new((certificate, key): (String, String)) -> Self {
        let server = Server::encrypted(&certificate, &key);
        let database = server.database().rsplit('/').next().unwrap().to_owned();
        Self { server, database, folder: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn open(&self, query: &str) -> Result<Store, StoreError> {
        open(&self.folder.path().join("centre"), &self.server.tcp_address(&self.database), query)
    }

    fn opens(&self, query: &str) {
        if let Err(error) = self.open(query) {
            panic!("{query}: {error}");
        }
    }

    /// Asserts that it is refused, in words among which are these, and without the password.
    fn refuses(&self, query: &str, words: &str) {
        refused(query, self.open(query), words);
    }
}

fn open(folder: &Path, address: &str, query: &str) -> Result<Store, StoreError> {
    let engine: Engine = format!("{address}{query}").parse().unwrap();
    Store::open(&Options { engine, ..Options::new(folder) }, TestClock::new())
}

fn refused(query: &str, opened: Result<Store, StoreError>, words: &str) {
    let error = opened.map(drop).expect_err(query).to_string();
    assert!(error.contains(words), "{query}: {error}");
    assert!(!error.contains("a-password-of-the-database"), "{error}");
}

fn verifying(mode: &str, root: &Path) -> String {
    format!("?sslmode={mode}&sslrootcert={}", root.display())
}

#[test]
fn a_certificate_is_verified_as_far_as_the_address_says() {
    let (ours, strange) = (Authority::new("ours"), Authority::new("strange"));
    let encrypted = Encrypted::new(ours.certificate("127.0.0.1"));
    let ca = encrypted.file("ca.pem", &ours.pem);
    let unknown = encrypted.file("unknown.pem", &strange.pem);
    let both = encrypted.file("both.pem", &format!("{}{}", strange.pem, ours.pem));
    encrypted.opens("?sslmode=require");
    for mode in ["require", "verify-ca", "verify-full"] {
        encrypted.opens(&verifying(mode, &ca));
        encrypted.opens(&verifying(mode, &both));
        encrypted.refuses(&verifying(mode, &unknown), "UnknownIssuer");
    }
    for mode in ["verify-ca", "verify-full"] {
        encrypted.refuses(&format!("?sslmode={mode}"), "UnknownIssuer");
        let missing = encrypted.folder.path().join("missing.pem");
        encrypted.refuses(&verifying(mode, &missing), "missing.pem");
        encrypted.refuses(&verifying(mode, &encrypted.file("empty.pem", "")), "it holds no certificate");
    }
    // The server is asked in plain words, and says what it wants.
    for query in ["", "?sslmode=disable"] {
        encrypted.refuses(query, "no encryption");
    }
}

#[test]
fn a_certificate_for_another_host_is_refused_where_names_count() {
    let ours = Authority::new("ours");
    let encrypted = Encrypted::new(ours.certificate("database.example"));
    let ca = encrypted.file("ca.pem", &ours.pem);
    encrypted.opens(&verifying("verify-ca", &ca));
    encrypted.refuses(&verifying("verify-full", &ca), "database.example");
}

#[test]
fn a_server_that_signed_for_itself_is_reached() {
    let as_authority = IsCa::Ca(BasicConstraints::Unconstrained);
    for (is_ca, name) in [(IsCa::NoCa, "127.0.0.1"), (as_authority, "127.0.0.1"), (as_authority, "elsewhere")]
    {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.is_ca = is_ca;
        let certificate = params.self_signed(&key).unwrap().pem();
        let encrypted = Encrypted::new((certificate.clone(), key.serialize_pem()));
        let itself = encrypted.file("server.pem", &certificate);
        encrypted.opens("?sslmode=require");
        encrypted.refuses("?sslmode=verify-full", "invalid peer certificate");
        encrypted.opens(&verifying("verify-ca", &itself));
        if name == "127.0.0.1" {
            encrypted.opens(&verifying("verify-full", &itself));
        } else {
            encrypted.refuses(&verifying("verify-full", &itself), "elsewhere");
        }
        let stranger = encrypted.file("strange.pem", &Authority::new("strange").pem);
        encrypted.refuses(&verifying("verify-ca", &stranger), "invalid peer certificate");
    }
}

#[test]
fn a_log_is_kept_over_an_encrypted_way() {
    let ours = Authority::new("ours");
    let encrypted = Encrypted::new(ours.certificate("127.0.0.1"));
    let ca = encrypted.file("ca.pem", &ours.pem);
    let store = encrypted.open(&verifying("verify-full", &ca)).unwrap();
    let (running, key) = sequencer(&store);
    let clock = TestClock::new();
    let mut drafter = Drafter::new(1, &clock);
    append(&store, drafter.clock_state());
    proven(&store, append(&store, drafter.note(customer(1))), &key);
    let ways =
        "SELECT count(*), count(*) FILTER (WHERE ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                WHERE application_name = 'angbu'";
    let counts = encrypted.server.ask("postgres", ways);
    let (all, encrypted_ones) = counts.split_once('|').unwrap();
    assert!(all != "0" && all == encrypted_ones, "{counts}");
    // After a loss, the new way is as the old one was.
    encrypted.server.kill();
    encrypted.server.start_again();
    support::until("the log to go on", || {
        let (draft, body) = drafter.note(customer(1));
        store.write_blocking(move |tx| tx.append(&draft, &body)).is_ok()
    });
    proven(&store, append(&store, drafter.note(customer(1))), &key);
    drop(running);
}

#[test]
fn a_server_without_encryption_is_refused_where_encryption_is_asked_for() {
    let (server, folder) = (Server::shared(), tempfile::tempdir().unwrap());
    let direct = server.database();
    let way = proxy::Proxy::start(&server.socket());
    let name = direct.rsplit('/').next().unwrap();
    let address = format!("postgres://angbu@127.0.0.1:{}/{name}", way.port());
    for query in ["?sslmode=require", "?sslmode=verify-ca", "?sslmode=verify-full"] {
        refused(query, open(folder.path(), &address, query), "does not support TLS");
    }
    assert!(open(folder.path(), &address, "").is_ok());
}
