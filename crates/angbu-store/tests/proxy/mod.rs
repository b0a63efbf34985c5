//! Stands between a store and its database, and cuts the connection at a commit.

#![allow(unreachable_pub, reason = "a module of one test binary")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// When the connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// When the database has committed, before its answer is handed on.
    AfterCommit,
    /// Before the word to commit reaches the database.
    BeforeCommit,
}

/// A listener whose connections lead to a server's socket. It lives as long as the test's process.
pub struct Proxy {
    port: u16,
    armed: Arc<Mutex<Option<Cut>>>,
}

impl Proxy {
    pub fn start(socket: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let armed = Arc::new(Mutex::new(None));
        let (socket, cut) = (socket.to_owned(), Arc::clone(&armed));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                lead(client, &socket, &cut);
            }
        });
        Self { port, armed }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts one connection at its next commit.
    pub fn arm(&self, cut: Cut) {
        *self.armed.lock().unwrap() = Some(cut);
    }

    pub fn disarm(&self) {
        *self.armed.lock().unwrap() = None;
    }
}

fn lead(client: TcpStream, socket: &PathBuf, armed: &Arc<Mutex<Option<Cut>>>) {
    let Ok(server) = UnixStream::connect(socket) else { return };
    // Set by the way there, for the way back.
    let cutting = Arc::new(Mutex::new(false));
    let (mut from_client, mut to_client) = (client.try_clone().unwrap(), client);
    let (mut from_server, mut to_server) = (server.try_clone().unwrap(), server);
    let (armed, told) = (Arc::clone(armed), Arc::clone(&cutting));
    std::thread::spawn(move || {
        copy(&mut from_client, |bytes| {
            // A simple query of this one word; nobody else's COMMIT is so short.
            if holds(bytes, b"Q\0\0\0\x0bCOMMIT\0") {
                match armed.lock().unwrap().take() {
                    Some(Cut::BeforeCommit) => return false,
                    Some(Cut::AfterCommit) => *told.lock().unwrap() = true,
                    None => {}
                }
            }
            to_server.write_all(bytes).is_ok()
        });
        let _ = (to_server.shutdown(Shutdown::Both), from_client.shutdown(Shutdown::Both));
    });
    std::thread::spawn(move || {
        copy(&mut from_server, |bytes| {
            if *cutting.lock().unwrap() {
                // Everything is kept back until the commit is done, and then the connection ends.
                return !holds(bytes, b"COMMIT\0");
            }
            to_client.write_all(bytes).is_ok()
        });
        let _ = (to_client.shutdown(Shutdown::Both), from_server.shutdown(Shutdown::Both));
    });
}

fn copy(from: &mut impl Read, mut each: impl FnMut(&[u8]) -> bool) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if !each(&buffer[..count]) {
            break;
        }
    }
}

fn holds(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}
