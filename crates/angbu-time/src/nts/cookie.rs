//! Cookies: a client's two keys, sealed by the server for itself (RFC 8915, section 6), and the epochs of the keys
//! that seal them.
//!
//! A cookie is the epoch (4 bytes), a random nonce (16), and sealed with AEAD_AES_SIV_CMAC_256 under the epoch's cookie
//! key, with epoch and nonce authenticated: the algorithm (2), two zero bytes, C2S (32) and S2C (32); 104 bytes.
//!
//! All that an epoch is for comes from one secret, in the way of HKDF-Expand (RFC 5869, section 2.3), so that one row
//! of a database shared by several centres makes every centre open every other one's cookies.

use angbu_units::NtpServerId;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand_core::CryptoRng;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{AES_SIV_CMAC_256, AeadKey, NONCE, Sealer, TAG};

/// The length of a cookie, bytes.
pub const LENGTH: usize = HEAD + TAG + CONTENTS;

/// How many epochs' cookies are opened: the one in which they are made and the two before.
pub const OPEN: u32 = 3;

const HEAD: usize = 4 + NONCE;
const CONTENTS: usize = 4 + 32 + 32;

const FOR_COOKIES: &[u8] = b"angbu/1 nts cookie\x01";
const FOR_EXCHANGES: &[u8] = b"angbu/1 nts exchange\x01";

/// The secret of one epoch. No `Debug`, no `==`; wiped when dropped.
#[derive(Clone)]
pub struct EpochSecret {
    /// Which epoch; each is one more than the one before.
    pub epoch: u32,
    secret: Zeroizing<[u8; 32]>,
}

impl EpochSecret {
    /// An epoch with a secret that is kept somewhere.
    pub fn new(epoch: u32, secret: [u8; 32]) -> Self {
        Self { epoch, secret: Zeroizing::new(secret) }
    }

    /// An epoch with a new secret.
    pub fn random(epoch: u32, rng: &mut dyn CryptoRng) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *secret);
        Self { epoch, secret }
    }

    /// What is to be kept, sealed, of it.
    pub fn reveal(&self) -> &[u8; 32] {
        &self.secret
    }

    /// A keyed hash for one purpose.
    fn expand(&self, purpose: &[u8]) -> Zeroizing<[u8; 32]> {
        let mac = keyed(&self.secret).chain_update(purpose);
        Zeroizing::new(mac.finalize().into_bytes().into())
    }
}

/// What a cookie holds.
#[derive(Clone)]
pub struct Contents {
    /// For what the client seals and the server opens.
    pub client_to_server: AeadKey,
    /// For what the server seals and the client opens.
    pub server_to_client: AeadKey,
}

/// The keys of one epoch, made ready. It has no `Clone` on purpose: each thread makes its own from the secret.
pub struct EpochKeys {
    epoch: u32,
    cookie: Sealer,
    exchange: Hmac<Sha256>,
}

impl EpochKeys {
    /// Makes an epoch's keys ready.
    pub fn prepare(secret: &EpochSecret) -> Self {
        let cookie = AeadKey::new(*secret.expand(FOR_COOKIES)).prepare();
        Self { epoch: secret.epoch, cookie, exchange: keyed(&secret.expand(FOR_EXCHANGES)) }
    }

    /// Which epoch.
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Seals a client's keys.
    pub fn seal(&mut self, contents: &Contents, nonce: [u8; NONCE], out: &mut [u8; LENGTH]) {
        let (head, sealed) = out.split_at_mut(HEAD);
        put(head, 0, &self.epoch.to_be_bytes());
        put(head, 4, &nonce);
        put(sealed, TAG, &AES_SIV_CMAC_256.to_be_bytes());
        put(sealed, TAG + 2, &[0; 2]);
        put(sealed, TAG + 4, contents.client_to_server.as_bytes());
        put(sealed, TAG + 36, contents.server_to_client.as_bytes());
        self.cookie.seal([head], sealed);
    }

    /// Opens a cookie that was sealed in this epoch; none where it was not.
    pub fn open(&mut self, cookie: &[u8]) -> Option<Contents> {
        let cookie: &[u8; LENGTH] = cookie.try_into().ok()?;
        let (head, sealed) = cookie.split_at(HEAD);
        let mut buffer = Zeroizing::new([0; TAG + CONTENTS]);
        buffer.copy_from_slice(sealed);
        let contents: &[u8; CONTENTS] = self.cookie.open([head], &mut *buffer)?.try_into().ok()?;
        let (algorithm, keys) = contents.split_first_chunk::<4>()?;
        let (client_to_server, server_to_client) = keys.split_first_chunk::<32>()?;
        if *algorithm != (u32::from(AES_SIV_CMAC_256) << 16).to_be_bytes() {
            return None;
        }
        Some(Contents {
            client_to_server: AeadKey::new(*client_to_server),
            server_to_client: AeadKey::new(server_to_client.try_into().ok()?),
        })
    }

    /// A keyed hash over an exchange, see [`crate::proof`].
    pub(crate) fn exchange_hash(&self) -> Hmac<Sha256> {
        self.exchange.clone()
    }
}

/// The keys that a server answers with. Each thread has its own.
pub struct Keys {
    server: NtpServerId,
    current: EpochKeys,
    others: Vec<EpochKeys>,
}

impl Keys {
    /// Makes ready what is needed of these epochs: cookies are made in the `current` one and opened in it, the two before
    /// it, and those after it, which another centre of the site may use already. None where `current` is not there.
    ///
    /// `server` is by what name clients record this server; it goes into the proof of each exchange.
    pub fn prepare(server: NtpServerId, epochs: &[EpochSecret], current: u32) -> Option<Self> {
        let oldest = current.saturating_sub(OPEN - 1);
        let ready = |wanted: u32| epochs.iter().find(|secret| secret.epoch == wanted);
        let others = epochs.iter().filter(|secret| secret.epoch >= oldest && secret.epoch != current);
        Some(Self {
            server,
            current: EpochKeys::prepare(ready(current)?),
            others: others.map(EpochKeys::prepare).collect(),
        })
    }

    /// By what name clients record this server.
    pub const fn server(&self) -> NtpServerId {
        self.server
    }

    /// The epoch in which new cookies are made.
    pub const fn current(&self) -> &EpochKeys {
        &self.current
    }

    /// A new cookie.
    pub fn seal(&mut self, contents: &Contents, rng: &mut dyn CryptoRng, out: &mut [u8; LENGTH]) {
        let mut nonce = [0; NONCE];
        rng.fill_bytes(&mut nonce);
        self.current.seal(contents, nonce, out);
    }

    /// Opens a cookie of an epoch that is still open. One of any other epoch is tried as well, in vain, so that it takes
    /// as long as any that cannot be opened.
    pub fn open(&mut self, cookie: &[u8]) -> Option<Contents> {
        let epoch = epoch_of(cookie)?;
        let other = self.others.iter_mut().find(|keys| keys.epoch == epoch);
        other.unwrap_or(&mut self.current).open(cookie)
    }
}

/// The epoch that a cookie says it was made in; none where these bytes are no cookie of this centre's form.
pub fn epoch_of(cookie: &[u8]) -> Option<u32> {
    let cookie: &[u8; LENGTH] = cookie.try_into().ok()?;
    cookie.first_chunk().copied().map(u32::from_be_bytes)
}

fn keyed(secret: &[u8; 32]) -> Hmac<Sha256> {
    Hmac::new_from_slice(secret).expect("broken invariant: HMAC takes a key of any length")
}

/// Copies into a buffer at an offset that fits by construction.
fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(room) = out.get_mut(at..at + bytes.len()) {
        room.copy_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng as _;

    const SERVER: NtpServerId = NtpServerId::from_bytes([7; 16]);

    fn secret(epoch: u32) -> EpochSecret {
        EpochSecret::new(epoch, [u8::try_from(epoch).unwrap(); 32])
    }

    /// The keys of some epochs, of which the first is current.
    fn keys(epochs: &[u32]) -> Keys {
        let secrets: Vec<_> = epochs.iter().map(|epoch| secret(*epoch)).collect();
        Keys::prepare(SERVER, &secrets, epochs[0]).unwrap()
    }

    fn contents() -> Contents {
        Contents { client_to_server: AeadKey::new([1; 32]), server_to_client: AeadKey::new([2; 32]) }
    }

    fn made(keys: &mut Keys) -> [u8; LENGTH] {
        let mut out = [0; LENGTH];
        keys.seal(&contents(), &mut rand::rngs::StdRng::seed_from_u64(1), &mut out);
        out
    }

    #[test]
    fn a_cookie_opens_while_its_epoch_is_one_of_the_newest_three() {
        let cookie = made(&mut keys(&[5]));
        assert_eq!(epoch_of(&cookie), Some(5));
        for (epochs, opens) in [
            (&[5][..], true),
            (&[6, 5], true),
            (&[7, 6, 5], true),
            (&[8, 7, 6, 5], false),
            // Another centre of the site uses the next epoch already.
            (&[4, 5, 3], true),
            (&[9, 30, 5], false),
            (&[4, 3], false),
        ] {
            let opened = keys(epochs).open(&cookie);
            assert_eq!(opened.is_some(), opens, "{epochs:?}");
            if let Some(opened) = opened {
                assert!(opened.client_to_server.is(&contents().client_to_server));
                assert!(opened.server_to_client.is(&contents().server_to_client));
            }
        }
        assert!(Keys::prepare(SERVER, &[], 0).is_none());
        assert!(Keys::prepare(SERVER, &[secret(5)], 6).is_none());
    }

    #[test]
    fn another_sites_cookie_does_not_open() {
        let cookie = made(&mut keys(&[5]));
        let other = EpochSecret::new(5, [99; 32]);
        assert!(Keys::prepare(SERVER, &[other], 5).unwrap().open(&cookie).is_none());
    }

    #[test]
    fn cookies_of_one_client_look_unrelated() {
        let mut keys = keys(&[5]);
        let mut rng = rand::rngs::StdRng::seed_from_u64(1);
        let [mut one, mut two] = [[0; LENGTH]; 2];
        keys.seal(&contents(), &mut rng, &mut one);
        keys.seal(&contents(), &mut rng, &mut two);
        let same = one[4..].iter().zip(&two[4..]).filter(|(one, two)| one == two).count();
        assert!(same < 8, "{same} bytes of 100 are the same");
    }

    proptest! {
        #[test]
        fn a_changed_or_cut_cookie_does_not_open(at in 0..LENGTH, flip in 1u8.., length in 0..200usize) {
            let mut keys = keys(&[5, 4]);
            let mut cookie = made(&mut keys);
            let mut cut = cookie.to_vec();
            cut.resize(length, 0);
            prop_assert_eq!(keys.open(&cut).is_some(), length == LENGTH);
            cookie[at] ^= flip;
            prop_assert!(keys.open(&cookie).is_none());
        }

        #[test]
        fn forged_cookies_do_not_open(bytes in prop::collection::vec(any::<u8>(), LENGTH..=LENGTH), epoch in 0u32..9) {
            let mut bytes = bytes;
            bytes[..4].copy_from_slice(&epoch.to_be_bytes());
            prop_assert!(keys(&[5, 4, 3]).open(&bytes).is_none());
        }
    }
}
