//! A centre of twenty lines: it answers each request as a function says, over plain HTTP or TLS.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Method and path.
    pub line: String,
    /// Headers, as sent.
    pub headers: String,
    /// Body.
    pub body: Vec<u8>,
}

/// What to answer with; `None` lets the caller wait until it gives up.
pub type Answer = Option<Vec<u8>>;

pub struct Centre {
    pub url: String,
    pub asked: Arc<Mutex<Vec<Asked>>>,
}

pub fn answer(status: u16, content_type: &str, body: &[u8]) -> Answer {
    let head = format!(
        "HTTP/1.1 {status} Said\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\nlocation: /elsewhere\r\nconnection: close\r\n\r\n",
        body.len()
    );
    Some([head.as_bytes(), body].concat())
}

pub fn json(status: u16, body: &str) -> Answer {
    answer(status, "application/json", body.as_bytes())
}

impl Centre {
    pub fn start(
        tls: Option<Arc<ServerConfig>>,
        answers: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let answers = Arc::new(answers);
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let (tls, seen, answers) = (tls.clone(), Arc::clone(&seen), Arc::clone(&answers));
                std::thread::spawn(move || {
                    let socket = socket.unwrap();
                    match tls {
                        None => serve(socket, &seen, &*answers),
                        Some(tls) => {
                            serve(
                                StreamOwned::new(ServerConnection::new(tls).unwrap(), socket),
                                &seen,
                                &*answers,
                            );
                        }
                    }
                });
            }
        });
        Self { url, asked }
    }

    pub fn lines(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|asked| asked.line.clone()).collect()
    }
}

fn serve(mut socket: impl Read + Write, seen: &Mutex<Vec<Asked>>, answers: &dyn Fn(&Asked) -> Answer) {
    let Some(asked) = read(&mut socket) else { return };
    seen.lock().unwrap().push(asked.clone());
    match answers(&asked) {
        Some(answer) => {
            let _gone = socket.write_all(&answer);
            let _gone = socket.flush();
        }
        // Until the caller hangs up.
        None => {
            let _gone = socket.read(&mut [0]);
        }
    }
}

fn read(socket: &mut impl Read) -> Option<Asked> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4_096];
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let (line, headers) = head.split_once("\r\n").unwrap_or((&head, ""));
            let length = headers
                .lines()
                .find_map(|header| {
                    header.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok()
                })
                .unwrap_or(0);
            if bytes.len() >= end + 4 + length {
                return Some(Asked {
                    line: line.trim_end_matches(" HTTP/1.1").to_owned(),
                    headers: headers.to_owned(),
                    body: bytes[end + 4..end + 4 + length].to_vec(),
                });
            }
        }
        match socket.read(&mut chunk) {
            Ok(0) | Err(_) => return None,
            Ok(length) => bytes.extend_from_slice(&chunk[..length]),
        }
    }
}
