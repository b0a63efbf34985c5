//! Replies in a chain, and the proof that a server lied (RFC 10049, sections 8.2 and 8.4).
//!
//! Each request's nonce is a hash of the reply before it, so that whoever holds the chain can show in which order the replies
//! were made. When a later reply allows only times before those that an earlier one allows, one of the two servers lied.

use rand_core::CryptoRng;

use super::client::{self, Refusal, Reply};
use super::{HASH, LONGEST_PACKET, hash};

/// The most replies in a chain.
pub const MOST_LINKS: usize = 64;

/// One question and its answer, as they stand in a malfeasance report (RFC 10049, section 8.4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What, after the reply before, was hashed into the nonce. The first link's is never used.
    pub rand: Option<[u8; HASH]>,
    /// The long-term key of the server that was asked.
    pub public_key: [u8; HASH],
    /// The request packet.
    pub request: Vec<u8>,
    /// The reply packet.
    pub response: Vec<u8>,
}

/// A request that waits for its reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    rand: [u8; HASH],
    public_key: [u8; HASH],
    request: Vec<u8>,
}

impl Question {
    /// The packet to send.
    pub fn packet(&self) -> &[u8] {
        &self.request
    }
}

/// Two replies that cannot both be true, by their numbers in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contradiction {
    /// The one that came first, and allows only later times.
    pub earlier: usize,
    /// The one that came after it, and allows only earlier times.
    pub later: usize,
}

/// Why links are no chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// None, or more than a chain has.
    #[error("a chain has 1 to 64 replies, and this has {0}")]
    Length(usize),
    /// A reply that proves nothing.
    #[error("reply {number} proves nothing: {why}")]
    Reply {
        /// Its number, from 1.
        number: usize,
        /// Why.
        why: Refusal,
    },
    /// A request that could have been made before the reply ahead of it.
    #[error("request {0} does not follow from the reply before it, so nothing shows that it came later")]
    Order(usize),
}

/// Replies that were checked, each asked for after the one before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Chain {
    links: Vec<Link>,
    replies: Vec<Reply>,
}

impl Chain {
    /// A chain without replies.
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks what somebody else holds for a chain.
    ///
    /// # Errors
    /// [`ChainError`], naming the first link that is none.
    pub fn check(links: Vec<Link>) -> Result<Self, ChainError> {
        if links.is_empty() || links.len() > MOST_LINKS {
            return Err(ChainError::Length(links.len()));
        }
        let mut replies = Vec::with_capacity(links.len());
        let mut before: Option<&Link> = None;
        for (number, link) in (1..).zip(&links) {
            let refused = |why| ChainError::Reply { number, why };
            let reply = client::verify(&link.public_key, &link.request, &link.response).map_err(refused)?;
            if let Some(before) = before {
                let nonce = client::nonce(&link.request).map_err(|why| refused(why.into()))?;
                let follows = link.rand.is_some_and(|rand| nonce == after(&before.response, &rand));
                if !follows {
                    return Err(ChainError::Order(number));
                }
            }
            replies.push(reply);
            before = Some(link);
        }
        Ok(Self { links, replies })
    }

    /// The next request, to the server with this long-term key.
    pub fn question(&self, public_key: &[u8; HASH], rng: &mut dyn CryptoRng) -> Question {
        let mut rand = [0; HASH];
        rng.fill_bytes(&mut rand);
        let before = self.links.last().map_or(&[][..], |link| &link.response);
        let nonce = after(before, &rand);
        Question { rand, public_key: *public_key, request: client::request(public_key, &nonce) }
    }

    /// Takes the reply to the newest question.
    ///
    /// # Errors
    /// [`Refusal`], and the chain is what it was.
    pub fn answered(&mut self, question: &Question, response: &[u8]) -> Result<Reply, Refusal> {
        let response = response.get(..response.len().min(LONGEST_PACKET)).unwrap_or_default();
        let reply = client::verify(&question.public_key, &question.request, response)?;
        if self.links.len() < MOST_LINKS {
            self.links.push(Link {
                rand: (!self.links.is_empty()).then_some(question.rand),
                public_key: question.public_key,
                request: question.request.clone(),
                response: response.to_vec(),
            });
            self.replies.push(reply);
        }
        Ok(reply)
    }

    /// The links, in their order.
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// What each link's reply says.
    pub fn replies(&self) -> &[Reply] {
        &self.replies
    }

    /// The first two replies that cannot both be true: the earlier one's earliest second lies after the later one's latest.
    pub fn contradiction(&self) -> Option<Contradiction> {
        let pairs = self.replies.iter().enumerate().flat_map(|(later, second)| {
            self.replies
                .iter()
                .take(later)
                .enumerate()
                .map(move |(earlier, first)| (earlier, first, later, second))
        });
        let mut wrong = pairs.filter(|(_, first, _, second)| first.earliest() > second.latest());
        wrong.next().map(|(earlier, _, later, _)| Contradiction { earlier, later })
    }
}

/// The nonce of a request that follows a reply: H(reply ‖ rand) (RFC 10049, section 8.2).
fn after(response: &[u8], rand: &[u8; HASH]) -> [u8; HASH] {
    hash(&[response, rand])
}
