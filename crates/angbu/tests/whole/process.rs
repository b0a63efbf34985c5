//! Starts the real binary and talks to it as its users do.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything in these tests may take to come true.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The binary under test, as a command.
pub(crate) fn angbu(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_angbu"));
    command.args(arguments).env_remove("ANGBU_URL").env_remove("ANGBU_TOKEN").env_remove("RUST_LOG");
    command
}

/// Runs a command to its end; panics with all it said when it cannot be started.
pub(crate) fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"))
}

/// Runs a command to its end, asserts success and returns what it printed.
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = run(command);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// Waits until `found` returns something; panics with `what` after [`PATIENCE`].
pub(crate) fn until<T>(what: &str, found: impl FnMut() -> Option<T>) -> T {
    until_within(PATIENCE, what, found)
}

/// Waits until `found` returns something; panics with `what` after `patience`.
pub(crate) fn until_within<T>(patience: Duration, what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(Instant::now() < deadline, "gave up waiting for {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// A running process of ours that prints JSON lines, the first of them when it is ready.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<Value>,
    /// The first line.
    pub(crate) ready: Value,
    /// Later lines read so far and not asked for.
    seen: VecDeque<Value>,
    said: Arc<Mutex<String>>,
}

impl Process {
    /// Starts `command` (which must have `--json`) and waits for its first line.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let stdout = child.stdout.take().expect("standard output is a pipe");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line)
                    .unwrap_or_else(|error| panic!("not a JSON line ({error}): {line}"));
                if sender.send(value).is_err() {
                    break;
                }
            }
        });
        // What it says on standard error is read from the first line on, so that a full pipe never stops it.
        let stderr = child.stderr.take().expect("standard error is a pipe");
        let said = Arc::new(Mutex::new(String::new()));
        let all = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                eprintln!("| {line}");
                all.lock().unwrap().push_str(&line);
                all.lock().unwrap().push('\n');
            }
        });
        let Ok(ready) = lines.recv_timeout(PATIENCE) else {
            let _ = child.kill();
            panic!("{command:?} was never ready; it said:\n{}", said.lock().unwrap());
        };
        Self { child, lines, ready, seen: VecDeque::new(), said }
    }

    /// A text of the first line.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.ready[name]
            .as_str()
            .unwrap_or_else(|| panic!("the first line has no text '{name}': {}", self.ready))
    }

    /// Waits for an event of this name.
    pub(crate) fn event(&mut self, name: &str) -> Value {
        let wanted = |value: &Value| value["event"] == name;
        if let Some(place) = self.seen.iter().position(wanted) {
            return self.seen.remove(place).expect("the place was just found");
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let value = self.lines.recv_timeout(left).unwrap_or_else(|_| panic!("no event '{name}'"));
            if wanted(&value) {
                return value;
            }
            self.seen.push_back(value);
        }
    }

    /// Whether there was an event of this name until now that nobody has asked for.
    pub(crate) fn has_told(&mut self, name: &str) -> bool {
        self.seen.extend(self.lines.try_iter());
        self.seen.iter().any(|value| value["event"] == name)
    }

    /// Waits for the next event of one of these names.
    pub(crate) fn either(&mut self, names: &[&str]) -> Value {
        let wanted = |value: &Value| value["event"].as_str().is_some_and(|name| names.contains(&name));
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let next = self.seen.pop_front().or_else(|| self.lines.recv_timeout(left).ok());
            let value = next.unwrap_or_else(|| panic!("none of the events {names:?}"));
            if wanted(&value) {
                return value;
            }
        }
    }

    /// Forgets every event until now.
    pub(crate) fn forget(&mut self) {
        self.seen.clear();
        while self.lines.try_recv().is_ok() {}
    }

    /// What it said on standard error until now.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGINT, as Ctrl-C does, and waits for a clean end.
    pub(crate) fn interrupt(mut self) {
        self.signal("INT");
        let status = until("a clean end", || self.child.try_wait().expect("its end can be waited for"));
        assert!(status.success(), "it ended with {status}");
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        succeed(Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()));
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// `angbu demo` on a folder, on ports of its own.
pub(crate) fn demo(data: &Path) -> Process {
    Process::start(
        angbu(["demo", "--json", "--http", "127.0.0.1:0", "--ntp", "127.0.0.1:0", "--data"]).arg(data),
    )
}

/// `angbu serve` on a folder, on ports of its own, with a declared reference and a customer `demo`.
pub(crate) fn serve(folder: &Path) -> Process {
    Process::start(&mut serve_command(folder))
}

/// The command of [`serve`], to be added to.
pub(crate) fn serve_command(folder: &Path) -> Command {
    serve_command_with(folder, "")
}

/// The command of [`serve`] with more lines at the configuration's head.
pub(crate) fn serve_command_with(folder: &Path, head: &str) -> Command {
    let config = folder.join("serve.toml");
    let text = "[clock]\nreference = \"declared\"\n[[customer]]\nname = \"demo\"\ntolerance = \"50 ms\"\n";
    std::fs::write(&config, format!("{head}{text}")).unwrap();
    let mut command = angbu(["serve", "--json", "--http", "127.0.0.1:0", "--ntp", "127.0.0.1:0"]);
    command.arg("--config").arg(config).arg("--data").arg(folder.join("data"));
    command
}

/// Lets some time go by.
pub(crate) fn pass(time: Duration) {
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        std::thread::park_timeout(left);
    }
}

/// What makes a process see its wall clock off by the number of seconds that stands in a file, at once when the file
/// changes, while its monotonic clocks go on. Nobody else's clock is touched.
pub(crate) fn moved_clock(offset: &Path) -> [(&'static str, OsString); 4] {
    let folders = ["x86_64-linux-gnu", "aarch64-linux-gnu"];
    let library = folders.map(|folder| format!("/usr/lib/{folder}/faketime/libfaketimeMT.so.1"));
    let library = library.iter().find(|path| Path::new(path).exists());
    let library = library.expect("libfaketime is installed: apt-get install libfaketime");
    [
        ("LD_PRELOAD", library.into()),
        ("FAKETIME_TIMESTAMP_FILE", offset.into()),
        ("FAKETIME_NO_CACHE", "1".into()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
    ]
}

/// One HTTP answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {}", String::from_utf8_lossy(&self.body)))
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One plain HTTP/1.1 request on a connection of its own. `None` when the connection breaks on the way.
pub(crate) fn try_http(url: &str, method: &str, path: &str, headers: &str, body: &[u8]) -> Option<Answer> {
    let address: SocketAddr = url.strip_prefix("http://")?.trim_end_matches('/').parse().ok()?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    // A refusal may come, and the connection close, before the body was read.
    let _ = stream.write_all(body);
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok().filter(|_| !bytes.is_empty())?;
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let mut body = bytes.split_off(end + 4);
    if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        body = unchunk(&body)?;
    }
    Some(Answer { status, head, body })
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|window| window == b"\r\n")?;
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..line]).ok()?, 16).ok()?;
        rest = &rest[line + 2..];
        if length == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..length)?);
        rest = rest.get(length + 2..)?;
    }
}

/// [`try_http`] that must get an answer.
pub(crate) fn http(url: &str, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
    try_http(url, method, path, headers, body)
        .unwrap_or_else(|| panic!("{method} {path}: no answer from {url}"))
}

/// A call of the API with a token: JSON in, an answer out.
pub(crate) fn call(process: &Process, method: &str, path: &str, body: Option<&Value>) -> Answer {
    let headers =
        format!("Authorization: Bearer {}\r\nContent-Type: application/json\r\n", process.text("token"));
    let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
    http(process.text("http"), method, path, &headers, &body)
}
