//! Datagrams in batches: one system call receives many, one sends the answers to many.
//!
//! No safe wrapper answers each datagram of a batch from the address that it came to, so the two calls are
//! made here; this and `kernel.rs` are all the unsafe code of the centre. Addresses and control messages are
//! read and written as bytes in the kernel's own layout (`unix(7)`, `cmsg(3)`, `ip(7)`, `ipv6(7)`).

#![allow(
    unsafe_code,
    reason = "recvmmsg and sendmmsg have no safe wrapper with a control message for each datagram"
)]

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};

use angbu_units::UnixTime;

/// The longest datagram that is received whole: IPv6's smallest MTU. Longer ones are cut, which costs an NTP
/// server nothing, since it reads the beginning and never answers with more than it was sent.
pub const LONGEST: usize = 1_280;

/// Room for as many datagrams as one system call may bring, and for the answer to each.
///
/// Everything is allocated once; receiving and sending allocate nothing.
pub struct Batch {
    slots: Box<[Slot]>,
    vectors: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
}

/// What became of the answers of one [`Batch::send`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sent {
    /// Handed to the network.
    pub sent: u64,
    /// Refused by the kernel: no route, a firewall's rule, no buffers.
    pub refused: u64,
}

impl Batch {
    /// Room for `size` datagrams.
    pub fn new(size: usize) -> Self {
        // SAFETY: both are plain C structures of integers and raw pointers, for which all zeros is a valid value.
        let (vector, header) = unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        Self {
            slots: (0..size).map(|_| Slot::empty()).collect(),
            vectors: vec![vector; size].into(),
            headers: vec![header; size].into(),
        }
    }

    /// Receives what is there, waiting for the first datagram as the socket is set to wait, and returns how
    /// many slots are filled. A socket that was shut down fills one with no source.
    ///
    /// # Errors
    /// Whatever `recvmmsg(2)` says.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        for ((slot, vector), header) in self.slots.iter_mut().zip(&mut self.vectors).zip(&mut self.headers) {
            *vector = libc::iovec { iov_base: slot.data.as_mut_ptr().cast(), iov_len: LONGEST };
            let header = &mut header.msg_hdr;
            header.msg_name = slot.name.0.as_mut_ptr().cast();
            header.msg_namelen = NAME_LENGTH;
            header.msg_iov = vector;
            header.msg_iovlen = 1;
            header.msg_control = slot.control.0.as_mut_ptr().cast();
            header.msg_controllen = CONTROL;
        }
        // SAFETY: the first `headers.len()` headers were all set just above, each to a name, one vector and a
        // control buffer that are owned by `self.slots` and `self.vectors`, with those buffers' own lengths;
        // nothing moves or frees them during the call, and the timeout may be null.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                length_of(&self.headers),
                libc::MSG_WAITFORONE,
                std::ptr::null_mut(),
            )
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        for (slot, header) in self.slots.iter_mut().zip(&self.headers).take(count) {
            slot.received(header);
        }
        Ok(count)
    }

    /// The slots in `range`, as far as they exist.
    pub fn slots(&mut self, range: Range<usize>) -> &mut [Slot] {
        self.slots.get_mut(range).unwrap_or_default()
    }

    /// Sends the answers that stand in the slots of `range`, each to where its datagram came from and from
    /// the address that it came to, and takes them out of the slots.
    pub fn send(&mut self, socket: BorrowedFd<'_>, range: Range<usize>) -> Sent {
        let slots = self.slots.get_mut(range).unwrap_or_default();
        let mut rooms = self.vectors.iter_mut().zip(&mut self.headers);
        let mut waiting = 0;
        for slot in slots {
            let answer_length = std::mem::take(&mut slot.answer_length);
            if answer_length == 0 {
                continue;
            }
            let Some((vector, header)) = rooms.next() else { break };
            let control_length = slot.write_control();
            *vector = libc::iovec { iov_base: slot.answer.as_mut_ptr().cast(), iov_len: answer_length };
            let header = &mut header.msg_hdr;
            header.msg_name = slot.name.0.as_mut_ptr().cast();
            header.msg_namelen = slot.name_length;
            header.msg_iov = vector;
            header.msg_iovlen = 1;
            header.msg_control =
                if control_length == 0 { std::ptr::null_mut() } else { slot.control.0.as_mut_ptr().cast() };
            header.msg_controllen = control_length;
            waiting += 1;
        }
        let mut result = Sent::default();
        let mut rest = self.headers.get_mut(..waiting).unwrap_or_default();
        while !rest.is_empty() {
            // SAFETY: each header in `rest` was set just above to a name, one vector and a control message
            // (or none) that are owned by `self.slots` and `self.vectors`, within those buffers' lengths;
            // nothing moves or frees them during the call.
            let count = unsafe { libc::sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), length_of(rest), 0) };
            let done = match usize::try_from(count) {
                Ok(count) => {
                    result.sent += count as u64;
                    count
                }
                Err(_) if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => 0,
                // The call stops at the first datagram that cannot go and says why; the others still can.
                Err(_) => {
                    result.refused += 1;
                    1
                }
            };
            rest = rest.get_mut(done..).unwrap_or_default();
        }
        result
    }
}

/// One datagram, and the answer to it.
#[repr(align(64))]
pub struct Slot {
    data: [u8; LONGEST],
    answer: [u8; LONGEST],
    name: Aligned<{ NAME_LENGTH as usize }>,
    control: Aligned<CONTROL>,
    length: usize,
    answer_length: usize,
    name_length: libc::socklen_t,
    came_to: CameTo,
    stamp: Option<UnixTime>,
}

impl Slot {
    /// The datagram, cut at [`LONGEST`].
    pub fn data(&self) -> &[u8] {
        self.data.get(..self.length).unwrap_or_default()
    }

    /// When the kernel received it, on the kernel's wall clock, if the socket asked for stamps.
    pub fn stamp(&self) -> Option<UnixTime> {
        self.stamp
    }

    /// Where it came from; none where a socket was shut down.
    pub fn source(&self) -> Option<SocketAddr> {
        self.name.0.get(..usize::try_from(self.name_length).ok()?).and_then(parse_name)
    }

    /// Whether it was sent to a broadcast or multicast group and not to this machine; known only where the
    /// socket asked for packet information.
    pub fn was_for_a_group(&self) -> bool {
        match self.came_to {
            CameTo::Unasked => false,
            CameTo::V4 { local, destination, .. } => local != destination,
            CameTo::V6 { destination, .. } => {
                let group = |v4: Ipv4Addr| v4.is_broadcast() || v4.is_multicast();
                destination.is_multicast() || destination.to_ipv4_mapped().is_some_and(group)
            }
        }
    }

    /// Puts the answer to it in the slot: `write` gets the datagram and room of the same length, so that no
    /// answer is longer than what was asked, and says how much of the room it used.
    pub fn answer_with<E>(
        &mut self,
        write: impl FnOnce(&[u8], &mut [u8]) -> Result<usize, E>,
    ) -> Result<(), E> {
        let length = self.length.min(LONGEST);
        let (data, room) = (self.data.get(..length), self.answer.get_mut(..length));
        self.answer_length = write(data.unwrap_or_default(), room.unwrap_or_default())?.min(length);
        Ok(())
    }

    /// The answer that stands in the slot, empty where there is none.
    pub fn answer_mut(&mut self) -> &mut [u8] {
        self.answer.get_mut(..self.answer_length).unwrap_or_default()
    }

    /// Takes the answer out of the slot.
    pub fn leave_unanswered(&mut self) {
        self.answer_length = 0;
    }

    /// A slot as it is after a datagram came from `port` of 192.0.2.1.
    #[cfg(test)]
    pub(super) fn from_port(port: u16, datagram: &[u8]) -> Self {
        let mut slot = Self::empty();
        copy(&mut slot.name.0, 0, &u16::try_from(libc::AF_INET).unwrap().to_ne_bytes());
        copy(&mut slot.name.0, 2, &port.to_be_bytes());
        copy(&mut slot.name.0, 4, &[192, 0, 2, 1]);
        copy(&mut slot.data, 0, datagram);
        slot.name_length = 16;
        slot.length = datagram.len();
        slot
    }

    fn empty() -> Self {
        Self {
            data: [0; LONGEST],
            answer: [0; LONGEST],
            name: Aligned([0; _]),
            control: Aligned([0; _]),
            length: 0,
            answer_length: 0,
            name_length: 0,
            came_to: CameTo::Unasked,
            stamp: None,
        }
    }

    fn received(&mut self, header: &libc::mmsghdr) {
        self.length = usize::try_from(header.msg_len).unwrap_or(0).min(LONGEST);
        self.answer_length = 0;
        self.name_length = header.msg_hdr.msg_namelen.min(NAME_LENGTH);
        self.stamp = None;
        self.came_to = CameTo::Unasked;
        let control = self.control.0.get(..header.msg_hdr.msg_controllen).unwrap_or_default();
        for message in ControlMessages(control) {
            match (message.level, message.kind) {
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => self.stamp = parse_stamp(message.data),
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    self.came_to = CameTo::parse_v4(message.data).unwrap_or(CameTo::Unasked);
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    self.came_to = CameTo::parse_v6(message.data).unwrap_or(CameTo::Unasked);
                }
                _ => {}
            }
        }
    }

    /// Writes the control message that makes the answer leave from where the datagram came to.
    fn write_control(&mut self) -> usize {
        match self.came_to {
            CameTo::Unasked => 0,
            // struct in_pktinfo: interface (none: the routing table decides), local address, unused here.
            CameTo::V4 { local, .. } => {
                let mut info = [0; 12];
                copy(&mut info, 4, &local.octets());
                write_message(&mut self.control.0, libc::IPPROTO_IP, libc::IP_PKTINFO, &info)
            }
            // struct in6_pktinfo: local address, interface. Only a link-local address needs its interface.
            CameTo::V6 { destination, interface } => {
                let mut info = [0; 20];
                copy(&mut info, 0, &destination.octets());
                if destination.is_unicast_link_local() {
                    copy(&mut info, 16, &interface.to_ne_bytes());
                }
                write_message(&mut self.control.0, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info)
            }
        }
    }
}

/// Room for a `sockaddr_in` or a `sockaddr_in6`.
const NAME_LENGTH: libc::socklen_t = 28;
/// Room for a stamp and packet information: 32 + 40 bytes, and some to spare.
const CONTROL: usize = 96;
const WORD: usize = size_of::<usize>();
/// struct cmsghdr: the length with this header, the level, the kind.
const MESSAGE_HEADER: usize = WORD + 8;

/// Bytes at an address where the kernel's structures may stand.
#[repr(align(8))]
struct Aligned<const N: usize>([u8; N]);

/// The address that a datagram was sent to.
#[derive(Clone, Copy)]
enum CameTo {
    Unasked,
    /// The address of this machine that the kernel took it for, and the one that stood in it.
    V4 {
        local: Ipv4Addr,
        destination: Ipv4Addr,
    },
    V6 {
        destination: Ipv6Addr,
        interface: u32,
    },
}

impl CameTo {
    fn parse_v4(info: &[u8]) -> Option<Self> {
        let local = Ipv4Addr::from(array::<4>(info, 4)?);
        Some(Self::V4 { local, destination: Ipv4Addr::from(array::<4>(info, 8)?) })
    }

    fn parse_v6(info: &[u8]) -> Option<Self> {
        let destination = Ipv6Addr::from(array::<16>(info, 0)?);
        Some(Self::V6 { destination, interface: u32::from_ne_bytes(array(info, 16)?) })
    }
}

struct ControlMessage<'a> {
    level: i32,
    kind: i32,
    data: &'a [u8],
}

/// The control messages of a datagram, in the layout of `cmsg(3)`.
struct ControlMessages<'a>(&'a [u8]);

impl<'a> Iterator for ControlMessages<'a> {
    type Item = ControlMessage<'a>;

    fn next(&mut self) -> Option<ControlMessage<'a>> {
        let length = usize::from_ne_bytes(array(self.0, 0)?);
        let level = i32::from_ne_bytes(array(self.0, WORD)?);
        let kind = i32::from_ne_bytes(array(self.0, WORD + 4)?);
        let data = self.0.get(MESSAGE_HEADER..length)?;
        self.0 = self.0.get(length.next_multiple_of(WORD)..).unwrap_or_default();
        Some(ControlMessage { level, kind, data })
    }
}

/// Writes one control message and returns the length that it takes.
fn write_message(control: &mut [u8], level: i32, kind: i32, data: &[u8]) -> usize {
    let length = MESSAGE_HEADER + data.len();
    copy(control, 0, &length.to_ne_bytes());
    copy(control, WORD, &level.to_ne_bytes());
    copy(control, WORD + 4, &kind.to_ne_bytes());
    copy(control, MESSAGE_HEADER, data);
    length.next_multiple_of(WORD)
}

/// struct timespec of a 64-bit kernel interface: seconds, nanoseconds.
fn parse_stamp(data: &[u8]) -> Option<UnixTime> {
    let seconds = i64::from_ne_bytes(array(data, 0)?);
    let nanos = i64::from_ne_bytes(array(data, 8)?);
    Some(UnixTime::from_nanos(seconds.checked_mul(1_000_000_000)?.checked_add(nanos)?))
}

/// struct sockaddr_in: family, port, address. struct sockaddr_in6: family, port, flow, address, scope.
fn parse_name(name: &[u8]) -> Option<SocketAddr> {
    let family = i32::from(u16::from_ne_bytes(array(name, 0)?));
    let port = u16::from_be_bytes(array(name, 2)?);
    match family {
        libc::AF_INET => Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(array::<4>(name, 4)?)), port)),
        libc::AF_INET6 => {
            let flow = u32::from_be_bytes(array(name, 4)?);
            let scope = u32::from_ne_bytes(array(name, 24)?);
            let address = Ipv6Addr::from(array::<16>(name, 8)?);
            Some(SocketAddr::V6(SocketAddrV6::new(address, port, flow, scope)))
        }
        _ => None,
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn copy(to: &mut [u8], at: usize, from: &[u8]) {
    if let Some(room) = to.get_mut(at..at + from.len()) {
        room.copy_from_slice(from);
    }
}

fn length_of<T>(slice: &[T]) -> libc::c_uint {
    libc::c_uint::try_from(slice.len()).unwrap_or(libc::c_uint::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use angbu_units::{Clock as _, Nanos};
    use nix::sys::socket::{setsockopt, sockopt};
    use std::net::UdpSocket;
    use std::os::fd::AsFd as _;

    #[test]
    fn a_batch_brings_each_datagram_with_its_source_and_its_stamp_and_takes_the_answers_back() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        setsockopt(&server, sockopt::ReceiveTimestampns, &true).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        let mut batch = Batch::new(8);
        // The first socket on a machine to ask for stamps waits some time until the kernel makes them at
        // the door; until then it makes them at the read.
        let deadline = SystemClock.read().monotonic + Nanos::from_secs(20);
        loop {
            client.send(&[]).unwrap();
            let sent = SystemClock.read();
            batch.receive(server.as_fd()).unwrap();
            if batch.slots(0..1)[0].stamp().unwrap() <= sent.wall {
                break;
            }
            assert!(sent.monotonic < deadline, "no stamp from before the read");
        }
        let before = SystemClock.read().wall;
        for length in [3, 0, 2_000] {
            client.send(&vec![7; length]).unwrap();
        }
        let after = SystemClock.read().wall;
        assert_eq!(batch.receive(server.as_fd()).unwrap(), 3);
        for (slot, length) in batch.slots(0..3).iter_mut().zip([3, 0, LONGEST]) {
            assert_eq!(slot.data(), vec![7; length]);
            assert_eq!(slot.source(), Some(client.local_addr().unwrap()));
            // The datagrams were stamped when they came, not when they were read.
            assert!((before..=after).contains(&slot.stamp().unwrap()));
            assert!(!slot.was_for_a_group());
            slot.answer_with(|data, room| {
                assert_eq!(data.len(), room.len(), "an answer is never longer than what was asked");
                room.copy_from_slice(data);
                Ok::<_, ()>(data.len())
            })
            .unwrap();
        }
        assert_eq!(batch.send(server.as_fd(), 0..3), Sent { sent: 2, refused: 0 });
        assert_eq!(batch.send(server.as_fd(), 0..3), Sent::default(), "an answer goes once");
        let mut answer = [0; 2_000];
        assert_eq!(client.recv(&mut answer).unwrap(), 3);
        assert_eq!(client.recv(&mut answer).unwrap(), LONGEST);
    }

    #[test]
    fn one_answer_that_cannot_go_does_not_keep_the_others() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut batch = Batch::new(3);
        for _ in 0..3 {
            client.send_to(&[7], server.local_addr().unwrap()).unwrap();
        }
        assert_eq!(batch.receive(server.as_fd()).unwrap(), 3);
        for slot in batch.slots(0..3) {
            slot.answer_with(|_, room| Ok::<_, ()>(room.len())).unwrap();
        }
        copy(&mut batch.slots(0..3)[1].name.0, 2, &[0, 0]);
        assert_eq!(batch.send(server.as_fd(), 0..3), Sent { sent: 2, refused: 1 });
    }

    #[test]
    fn control_messages_round_trip() {
        let mut control = [0; CONTROL];
        let first = write_message(&mut control, 1, 35, &[7; 16]);
        let second = write_message(&mut control[first..], 41, 50, &[9; 20]);
        let read: Vec<_> = ControlMessages(&control[..first + second])
            .map(|message| (message.level, message.kind, message.data.to_vec()))
            .collect();
        assert_eq!(read, [(1, 35, vec![7; 16]), (41, 50, vec![9; 20])]);
    }

    #[test]
    fn control_messages_that_lie_about_their_length_end_the_list() {
        for length in [0, 1, MESSAGE_HEADER - 1, 97, usize::MAX] {
            let mut control = [0; CONTROL];
            control[..WORD].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(ControlMessages(&control).count(), 0, "{length}");
        }
    }

    #[test]
    fn names_of_other_families_are_no_source() {
        assert_eq!(parse_name(&[]), None);
        assert_eq!(parse_name(&[1, 0, 0, 123]), None);
        let mut name = [0; 16];
        name[..2].copy_from_slice(&u16::try_from(libc::AF_INET).unwrap().to_ne_bytes());
        name[2..8].copy_from_slice(&[0, 123, 192, 0, 2, 1]);
        assert_eq!(parse_name(&name), Some("192.0.2.1:123".parse().unwrap()));
    }
}
