//! An agent that serves its site: chrony and a Windows-like client as its children, and those that it does not serve.

use std::io::IoSlice;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::libc;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, sendmsg};
use serde_json::json;

use super::process::{PATIENCE, Process, angbu, call, serve_command, until};

/// An agent of the centre that serves 127.0.0.0/8, one address left out, and each of its sources four times at once.
fn agent(folder: &Path, centre: &Process) -> Process {
    let wish = json!({"kind": "agent", "customer": "demo", "name": "db-3"});
    let said = call(centre, "POST", "/api/v1/enrolments", Some(&wish)).json();
    let file = folder.join("agent.toml");
    let text = format!(
        "centre = {:?}\nname = \"db-3\"\ncode = {}\nstate = {:?}\npoll_interval = \"200 ms\"\n\
         [children]\nlisten = [\"127.0.0.1:0\"]\nallow = [\"127.0.0.0/8\"]\ndeny = [\"127.0.0.66\"]\n\
         rate = {{ every = \"1 s\", burst = 8 }}\n",
        centre.text("http"),
        said["code"],
        folder.join("agent"),
    );
    std::fs::write(&file, text).unwrap();
    Process::start(angbu(["agent", "--json", "--config"]).arg(file))
}

/// Where the agent serves, once it does.
fn served(agent: &mut Process) -> String {
    let address = agent.event("serving")["addresses"][0].as_str().unwrap().to_owned();
    assert_eq!(agent.event("children")["served"], true);
    address
}

/// What a request of this first byte, from this address, is answered with.
fn ask(from: &str, server: &str, first: u8) -> UdpSocket {
    let socket = UdpSocket::bind((from, 0)).unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut request = [0; 48];
    request[0] = first;
    request[40..].copy_from_slice(&[7; 8]);
    socket.send(&request).unwrap();
    socket
}

fn reply(socket: &UdpSocket) -> [u8; 48] {
    let mut reply = [0; 48];
    assert_eq!(socket.recv(&mut reply).unwrap(), 48);
    assert_eq!(reply[24..32], [7; 8], "the reply answers this request");
    reply
}

#[test]
fn chrony_and_windows_take_time_from_an_agent() {
    let folder = tempfile::tempdir().unwrap();
    let centre = Process::start(&mut serve_command(folder.path()));
    let mut agent = agent(folder.path(), &centre);
    let server = served(&mut agent);
    // Version 3, mode 1: what w32tm sends to a server that is not marked as one (0x8).
    let windows = reply(&ask("127.0.0.2", &server, 0x19));
    assert_eq!((windows[0], windows[1]), (0x1a, 11), "version 3, mode 2, one stratum below the centre");
    let client = reply(&ask("127.0.0.2", &server, 0x23));
    assert_eq!((client[0], client[1]), (0x24, 11));
    assert!(client[8..12] > [0; 4][..], "it states a dispersion");
    let port = server.rsplit(':').next().unwrap();
    // -Q prints what it would do and sets nothing; -x says once more that the clock is not ours to touch.
    let said = Command::new("chronyd")
        .args(["-Q", "-x", "-t", "20", "-f", "/dev/null"])
        .arg(format!("server 127.0.0.1 port {port} iburst maxsamples 4"))
        .arg(format!("pidfile {}", folder.path().join("chronyd.pid").display()))
        .output()
        .expect("chronyd is installed: apt-get install chrony");
    let words = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success() && words.contains("System clock wrong by"), "{words}");
    // Without its centre the agent soon knows no time any more, and says so.
    centre.interrupt();
    assert_eq!(agent.event("children")["served"], false);
    // Each time from another source: none of them asks too often.
    let mut sources = (0..=u16::MAX).map(|number| format!("127.2.{}.{}", number >> 8, number & 0xff));
    let unknown = until("leap 3", || {
        let reply = reply(&ask(&sources.next().unwrap(), &server, 0x23));
        (reply[0] >> 6 == 3).then_some(reply)
    });
    assert_eq!(unknown[1], 0, "stratum 16 is 0 on the wire (RFC 5905, figure 11)");
    agent.interrupt();
}

/// Sends a datagram under an address of this machine's choice.
fn send_as(from: Ipv4Addr, socket: &UdpSocket, datagram: &[u8], to: &str) {
    let to = SockaddrIn::from(to.parse::<SocketAddrV4>().unwrap());
    let source = libc::in_addr { s_addr: from.to_bits().to_be() };
    let info = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: source, ipi_addr: source };
    let message = [ControlMessage::Ipv4PacketInfo(&info)];
    let parts = [IoSlice::new(datagram)];
    sendmsg(socket.as_raw_fd(), &parts, &message, MsgFlags::empty(), Some(&to)).unwrap();
}

/// The bytes of a process that are in memory.
fn resident(process: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/statm")).unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4_096
}

#[test]
fn strangers_get_nothing_and_the_greedy_little() {
    let folder = tempfile::tempdir().unwrap();
    let centre = Process::start(&mut serve_command(folder.path()));
    let mut agent = agent(folder.path(), &centre);
    let server = served(&mut agent);
    let greedy_socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let denied = ask("127.0.0.66", &server, 0x23);
    reply(&ask("127.0.0.67", &server, 0x23));
    denied.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(denied.recv(&mut [0; 48]).is_err(), "what is denied is not answered");
    // 64 requests at once: eight, then every fourth, and among those a word.
    let greedy = ask("127.0.0.3", &server, 0x23);
    let mut request = [0; 48];
    request[0] = 0x23;
    for number in 1..64_u8 {
        request[40] = number;
        greedy.send(&request).unwrap();
    }
    let (mut answered, mut kissed) = (0, 0);
    greedy.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut reply_bytes = [0; 48];
    while greedy.recv(&mut reply_bytes).is_ok() {
        answered += 1;
        kissed += u32::from(&reply_bytes[12..16] == b"RATE" && reply_bytes[1] == 0);
    }
    assert!((8..=30).contains(&answered) && kissed >= 1, "{answered} answered, {kissed} kissed");
    // A hundred thousand invented sources: the agent's memory is what it was, and a patient one is answered as ever.
    let before = resident(agent.id());
    for source in 0..100_000_u32 {
        send_as(Ipv4Addr::from_bits(0x7f10_0000 + source), &greedy_socket, &request, &server);
    }
    until("an answer beside the flood", || {
        let patient = ask("127.0.0.68", &server, 0x23);
        patient.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        patient.recv(&mut [0; 48]).ok()
    });
    let grown = resident(agent.id()).saturating_sub(before);
    assert!(grown < 4 << 20, "the agent grew by {grown} bytes");
    reply(&ask("127.0.0.68", &server, 0x23));
    agent.interrupt();
    centre.interrupt();
}
