//! A PostgreSQL server of a test's own, from Debian's package: it listens on a socket in a folder that nobody else has, or
//! where a test asks for it on this machine's loopback, keeps nothing, and ends with the process that started it, however
//! that ends.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User, chown};

/// Who the server runs as where the tests run as root, which it refuses to.
const USER: &str = "postgres";
/// The one role there is.
const ROLE: &str = "angbu";
/// What it shows over TCP.
const PASSWORD: &str = "a-password-of-the-database";
/// Part of the socket's name alone, and what an address means that names no port: there is none unless a test asks for it.
const PORT: u16 = 5432;
/// How long a server may take until it answers, or until it has ended.
const DEADLINE: Duration = Duration::from_secs(60);

/// A running server. Dropping it ends it and removes what it kept.
pub struct Server {
    folder: tempfile::TempDir,
    settings: Vec<String>,
    port: u16,
    running: Mutex<Option<Running>>,
    databases: AtomicU32,
}

/// The server's process, and the thread that it is bound to: it dies with the thread that started it.
struct Running {
    pid: Pid,
    stop: Sender<()>,
    keeper: JoinHandle<()>,
}

impl Server {
    /// Starts a server that does not wait for its disk, for tests that kill nothing.
    pub fn start() -> Self {
        Self::with(&["fsync=off", "full_page_writes=off"])
    }

    /// Starts a server with these settings, written `name=value`.
    pub fn with(settings: &[&str]) -> Self {
        let server = Self::new(settings, PORT);
        hand_over(server.folder.path());
        server.start_again();
        server
    }

    /// Starts a server that takes connections over TCP too, on 127.0.0.1: encrypted with this certificate (both as PEM) or
    /// not at all, with the password that [`tcp_address`](Self::tcp_address) names.
    pub fn encrypted(certificate: &str, key: &str) -> Self {
        let settings = ["fsync=off", "full_page_writes=off", "listen_addresses=127.0.0.1", "ssl=on"];
        let server = Self::new(&settings, free_port());
        let write = |name: &str, text: &str, mode: u32| {
            let path = server.folder.path().join("data").join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        write("server.crt", certificate, 0o644);
        write("server.key", key, 0o600);
        write("pg_hba.conf", "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n", 0o600);
        hand_over(server.folder.path());
        server.start_again();
        server.ask("postgres", &format!("ALTER ROLE {ROLE} PASSWORD '{PASSWORD}'"));
        server
    }

    /// The folder of a server that does not run yet.
    fn new(settings: &[&str], port: u16) -> Self {
        let folder = tempfile::Builder::new().prefix("angbu-pg-").tempdir().unwrap();
        copy(&template(), &folder.path().join("data"));
        Self {
            folder,
            settings: settings.iter().map(|setting| (*setting).to_owned()).collect(),
            port,
            running: Mutex::default(),
            databases: AtomicU32::new(0),
        }
    }

    /// The server that the tests of this process share: it ends when the last of them lets go of it.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start());
            *shared = Arc::downgrade(&server);
            server
        })
    }

    /// Makes an empty database and says its address.
    pub fn database(&self) -> String {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::SeqCst));
        self.ask("postgres", &format!("CREATE DATABASE {name}"));
        self.address(&name)
    }

    /// The address of a database by its name.
    pub fn address(&self, name: &str) -> String {
        let folder = self.folder.path().to_str().unwrap();
        format!("postgres://{ROLE}@{}:{}/{name}", folder.replace('/', "%2F"), self.port)
    }

    /// The address over TCP of a database by its name, under which an encrypted server has it.
    pub fn tcp_address(&self, name: &str) -> String {
        format!("postgres://{ROLE}:{PASSWORD}@127.0.0.1:{}/{name}", self.port)
    }

    /// The socket that it listens on, for whoever stands between it and its clients.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join(format!(".s.PGSQL.{}", self.port))
    }

    /// Asks something as its superuser, and gives the answer's lines.
    pub fn ask(&self, database: &str, sql: &str) -> String {
        let output = self.psql(database, sql);
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Ends it at once, as a crash does: nothing is written that was not written before.
    pub fn kill(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Running { pid, stop, keeper }) = running else { return };
        // PostgreSQL's own word for an immediate end, which reaches the processes beneath it too.
        let _ = kill(pid, Signal::SIGQUIT);
        drop(stop);
        keeper.join().unwrap();
    }

    /// Starts it after it was ended, and waits until it answers.
    pub fn start_again(&self) {
        let mut command = as_user(&program("postgres"), true);
        command.arg("-D").arg(self.folder.path().join("data")).arg("-k").arg(self.folder.path());
        command.args(["-p", &self.port.to_string(), "-c", "listen_addresses="]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        let log = fs::File::options().append(true).create(true).open(self.folder.path().join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(start(command));
        let begun = Instant::now();
        while !self.psql("postgres", "SELECT 1").status.success() {
            assert!(begun.elapsed() < DEADLINE, "the server does not answer: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it wrote into its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn psql(&self, database: &str, sql: &str) -> Output {
        Command::new(program("psql"))
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1"])
            .args(["--username", ROLE, "--port", &self.port.to_string(), "--dbname", database])
            .args(["--command", sql, "--host"])
            .arg(self.folder.path())
            .output()
            .unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts the server from a thread that lives as long as it: the system tells it to end when that thread does, be it that the
/// whole process was killed.
fn start(mut command: Command) -> Running {
    let (started, pid) = channel();
    let (stop, stopped) = channel::<()>();
    let keeper = std::thread::spawn(move || {
        let mut child = command.spawn().unwrap();
        started.send(child.id()).unwrap();
        // Until the sender is dropped.
        let _ = stopped.recv();
        wait(&mut child);
    });
    let pid = Pid::from_raw(i32::try_from(pid.recv().unwrap()).unwrap());
    Running { pid, stop, keeper }
}

fn wait(child: &mut Child) {
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > DEADLINE {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A port that nobody listens on: PostgreSQL takes none that the system chooses.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A program of the newest PostgreSQL that is installed.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|version| version.file_name().to_str().and_then(|name| name.parse::<u32>().ok()))
        .max()
        .expect("PostgreSQL is missing; apt-get install postgresql");
    Path::new("/usr/lib/postgresql").join(newest.to_string()).join("bin").join(name)
}

/// A program as the server's user; `dies` with the thread that starts it.
fn as_user(program: &Path, dies: bool) -> Command {
    let mut command = Command::new("setpriv");
    if dies {
        command.args(["--pdeathsig", "QUIT"]);
    }
    if Uid::effective().is_root() {
        let user = User::from_name(USER).unwrap().expect("Debian's package makes this user");
        command
            .arg(format!("--reuid={}", user.uid))
            .arg(format!("--regid={}", user.gid))
            .arg("--clear-groups");
    }
    command.arg(program);
    command.current_dir("/");
    command
}

/// An empty cluster, made once and copied for every server: making one takes longer than most tests.
fn template() -> PathBuf {
    let binary = std::env::current_exe().unwrap();
    // target/PROFILE/deps/TEST: beside `deps`, where nothing of cargo's is disturbed.
    let place = binary.ancestors().nth(2).unwrap().join("postgres-template");
    if place.join("PG_VERSION").exists() {
        return place;
    }
    let folder = tempfile::Builder::new().prefix("angbu-pg-").tempdir().unwrap();
    hand_over(folder.path());
    let data = folder.path().join("data");
    let output = as_user(&program("initdb"), false)
        .args(["--username", ROLE, "--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8"])
        .args(["--no-sync", "--no-instructions", "--wal-segsize", "1", "--pgdata"])
        .arg(&data)
        .output()
        .unwrap();
    assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
    let unfinished = place.with_extension(std::process::id().to_string());
    copy(&data, &unfinished);
    // Whoever else made one meanwhile made the same.
    if fs::rename(&unfinished, &place).is_err() {
        fs::remove_dir_all(&unfinished).unwrap();
    }
    place
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-r").arg(from).arg(to).status().unwrap();
    assert!(status.success());
}

/// Gives a folder and all in it to the server's user, as private as the server wants it.
fn hand_over(folder: &Path) {
    if Uid::effective().is_root() {
        let user = User::from_name(USER).unwrap().expect("Debian's package makes this user");
        let mut owner = String::new();
        write!(owner, "{}:{}", user.uid, user.gid).unwrap();
        chown(folder, Some(user.uid), Some(user.gid)).unwrap();
        let status = Command::new("chown").arg("-R").arg(owner).arg(folder).status().unwrap();
        assert!(status.success());
    }
    let data = folder.join("data");
    if data.exists() {
        fs::set_permissions(data, fs::Permissions::from_mode(0o700)).unwrap();
    }
}
