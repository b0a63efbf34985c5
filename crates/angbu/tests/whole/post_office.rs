//! A mail server of a test's own: Exim from Debian's package, in a folder that nobody else has, on a port of its own.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::unistd::{Uid, User};
use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;

use super::process::{succeed, until};

/// Who Exim is where the tests run as root.
const USER: &str = "Debian-exim";
/// Who may sign in.
pub(crate) const NAME: &str = "angbu";
pub(crate) const PASSWORD: &str = "a-password-of-the-mail-server";

/// A mail server. Dropping it ends it and removes what it kept.
pub(crate) struct PostOffice {
    folder: tempfile::TempDir,
    pub(crate) port: u16,
    running: Option<Child>,
}

/// What the server does with recipients: `late` is put off until the file `open` is there, `nobody` is refused for good, all
/// others of its hosts have a mailbox, if the sender has signed in.
const RULES: &str = r#"
acl_smtp_rcpt = recipient
acl_smtp_data = accept
domainlist ours = example.org : xn--vv4b11d.xn--3e0b707e
tls_advertise_hosts = *
auth_advertise_hosts = ${if eq{$tls_in_cipher}{}{}{*}}
smtputf8_advertise_hosts = *
host_lookup =
rfc1413_query_timeout = 0s
deliver_drop_privilege
never_users =
message_logs = false
split_spool_directory = false
begin acl
recipient:
  deny !authenticated = *
       message = sign in first
  defer local_parts = late
        condition = ${if exists{OPEN}{no}{yes}}
        message = greylisted, come again
  deny local_parts = nobody
       message = no such mailbox
  accept domains = +ours
  deny message = not of this house
begin routers
all:
  driver = accept
  transport = maildir
begin transports
maildir:
  driver = appendfile
  maildir_format
  create_directory
  envelope_to_add
  directory = MAIL
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and{{eq{$auth2}{angbu}}{eq{$auth3}{a-password-of-the-mail-server}}}{yes}{no}}
  server_set_id = $auth2
"#;

impl PostOffice {
    /// A server that does not run yet, with a certificate for `localhost`.
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("angbu-post-").tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let office = Self { folder, port, running: None };
        for name in ["spool", "log", "mail"] {
            fs::create_dir(office.path(name)).unwrap();
        }
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        fs::write(office.path("cert.pem"), certificate.pem()).unwrap();
        fs::write(office.path("key.pem"), key.serialize_pem()).unwrap();
        let head = format!(
            "OPEN = {open}\nMAIL = {mail}\nprimary_hostname = mail.example.org\nspool_directory = {spool}\n\
             log_file_path = {log}/%slog\npid_file_path = {log}/pid\ntls_certificate = {cert}\ntls_privatekey = {key}\n\
             local_interfaces = 127.0.0.1\ndaemon_smtp_ports = {port}\n",
            open = office.path("open").display(),
            mail = office.path("mail").display(),
            spool = office.path("spool").display(),
            log = office.path("log").display(),
            cert = office.path("cert.pem").display(),
            key = office.path("key.pem").display(),
        );
        fs::write(office.path("exim.conf"), format!("{head}{RULES}")).unwrap();
        hand_over(office.folder.path());
        // Exim takes no configuration that others could change.
        if Uid::effective().is_root() {
            chown(office.path("exim.conf"), Some(0), Some(0)).unwrap();
        }
        office
    }

    /// A server that runs.
    pub(crate) fn open() -> Self {
        let mut office = Self::new();
        office.start();
        office
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn start(&mut self) {
        let child = Command::new("/usr/sbin/exim4")
            .arg("-C")
            .arg(self.path("exim.conf"))
            .args(["-bdf", "-q1s"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("exim4 is installed: apt-get install exim4-daemon-light");
        self.running = Some(child);
        until("the mail server", || TcpStream::connect(("127.0.0.1", self.port)).ok());
    }

    /// Everything that has arrived, read by Python's own library, the oldest first.
    pub(crate) fn mails(&self) -> Vec<Value> {
        let folder = self.path("mail").join("new");
        let Ok(files) = fs::read_dir(folder) else { return Vec::new() };
        let mut files: Vec<_> = files.map_while(Result::ok).map(|file| file.path()).collect();
        files.sort();
        files.iter().map(|file| read(file)).collect()
    }

    /// Waits until there are so many mails.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Value> {
        let mails = || Some(self.mails()).filter(|mails| mails.len() >= count);
        until(&format!("{count} mails"), mails)
    }
}

impl Drop for PostOffice {
    fn drop(&mut self) {
        if let Some(mut child) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn hand_over(folder: &Path) {
    if !Uid::effective().is_root() {
        return;
    }
    let user = User::from_name(USER).unwrap().expect("the mail server's user is there");
    let give = |path: &Path| chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
    give(folder);
    for path in fs::read_dir(folder).unwrap().map_while(Result::ok) {
        give(&path.path());
    }
}

/// A mail's headers and parts, as a reader's program sees them.
fn read(file: &Path) -> Value {
    const SCRIPT: &str = r#"
import email, email.policy, json, sys
raw = open(sys.argv[1], 'rb').read()
mail = email.message_from_bytes(raw, policy=email.policy.default)
part = lambda kind: next((p for p in mail.walk() if p.get_content_type() == kind), None)
text = lambda kind: part(kind).get_content() if part(kind) else None
image = part('image/png')
print(json.dumps({
    'to': str(mail['To']), 'for': str(mail['Envelope-to']), 'from': str(mail['From']), 'subject': str(mail['Subject']),
    'id': str(mail['Message-ID']), 'date': str(mail['Date']), 'auto': str(mail['Auto-Submitted']),
    'bcc': mail['Bcc'], 'structure': [p.get_content_type() for p in mail.walk()], 'defects': [str(d) for d in mail.defects],
    'text': text('text/plain'), 'html': text('text/html'),
    'image': image.get_content().hex() if image else None, 'cid': str(image['Content-ID']) if image else None,
    'long': max(len(line) for line in raw.split(b'\n')),
}))
"#;
    serde_json::from_str(&succeed(Command::new("python3").args(["-c", SCRIPT]).arg(file))).unwrap()
}
