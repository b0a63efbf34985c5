//! The load in a closed loop: so many sockets, so many requests in flight on each, a new one for each reply.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;

use angbu_agent::ntp::batch::Batch;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::Failure;
use crate::questions::{Kind, Questions};

pub(crate) const SOCKETS: usize = 8;
const IN_FLIGHT: usize = 16;

/// One socket of the load, and the tokens of the requests that wait for a reply.
pub(crate) struct Client {
    socket: UdpSocket,
    batch: Batch,
    questions: Questions,
    waiting: [u64; IN_FLIGHT],
    last: u64,
}

impl Client {
    pub(crate) fn new(server: SocketAddr, kind: &Kind) -> Result<Self, Failure> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(server)?;
        socket.set_nonblocking(true)?;
        let questions = Questions::new(kind, server, IN_FLIGHT)?;
        // Above every fixed token.
        let last = IN_FLIGHT as u64;
        Ok(Self { socket, batch: Batch::new(IN_FLIGHT), questions, waiting: [0; IN_FLIGHT], last })
    }

    pub(crate) fn begin(&mut self, to_send: &mut u64) -> Result<(), Failure> {
        let mut datagram = [0; 2_048];
        for place in 0..IN_FLIGHT {
            if let Some(token) = next(&self.questions, &mut self.waiting, &mut self.last, place, to_send) {
                let length =
                    self.questions.write(place, token, &mut datagram).ok_or("a question is too long")?;
                self.socket.send(datagram.get(..length).unwrap_or_default())?;
            }
        }
        Ok(())
    }

    /// Asks once more what has no answer yet, which a full buffer somewhere has swallowed; says how many that were.
    pub(crate) fn ask_again(&mut self) -> Result<u64, Failure> {
        let mut datagram = [0; 2_048];
        let mut lost = 0;
        for (place, token) in self.waiting.iter().enumerate().filter(|(_, token)| **token != 0) {
            let length =
                self.questions.write(place, *token, &mut datagram).ok_or("a question is too long")?;
            self.socket.send(datagram.get(..length).unwrap_or_default())?;
            lost += 1;
        }
        Ok(lost)
    }

    /// Checks what came and sends a new request for each, while there are any to send.
    pub(crate) fn go_on(&mut self, to_send: &mut u64) -> Result<u64, Failure> {
        let count = match self.batch.receive(self.socket.as_fd()) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
            Err(error) => return Err(error.into()),
        };
        let (questions, waiting, last) = (&self.questions, &mut self.waiting, &mut self.last);
        let mut datagram = [0; 2_048];
        for slot in self.batch.slots(0..count) {
            let token = questions.check(slot.data()).ok_or("a reply is wrong")?;
            let place = waiting.iter().position(|waits| *waits == token).ok_or("a reply to nothing")?;
            let Some(token) = next(questions, waiting, last, place, to_send) else { continue };
            // A question that is longer than the reply has no room in its slot, and goes by itself.
            let fits = slot.answer_with(|_, out| questions.write(place, token, out).ok_or(()));
            if fits.is_err() {
                let length = questions.write(place, token, &mut datagram).ok_or("a question is too long")?;
                self.socket.send(datagram.get(..length).unwrap_or_default())?;
            }
        }
        self.batch.send(self.socket.as_fd(), 0..count);
        Ok(count as u64)
    }
}

/// The next token for a place in flight, while there are requests to send.
fn next(
    questions: &Questions,
    waiting: &mut [u64; IN_FLIGHT],
    last: &mut u64,
    place: usize,
    to_send: &mut u64,
) -> Option<u64> {
    let waits = waiting.get_mut(place)?;
    *waits = 0;
    *to_send = to_send.checked_sub(1)?;
    *last += 1;
    *waits = questions.token(place, *last);
    Some(*waits)
}

/// Waits until some client can go on; false where none can for a while that no server needs.
pub(crate) fn wait(clients: &[Client]) -> io::Result<bool> {
    let mut sockets: Vec<PollFd<'_>> =
        clients.iter().map(|client| PollFd::new(client.socket.as_fd(), PollFlags::POLLIN)).collect();
    Ok(poll(&mut sockets, PollTimeout::from(100_u16))? > 0)
}
