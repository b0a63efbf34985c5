//! Judging a sign-in by a passkey, inside the transaction of the request that it answers.

use angbu_evidence::Kind;
use angbu_passkeys::{Assertion, Challenge, PublicKey, Refused, RelyingParty, judge_sign_in};
use angbu_store::passkeys::{Asked, PasskeyRow};
use angbu_store::{StoreError, Tx};
use angbu_units::{ProvenInstant, SubjectId};

use super::{Client, LIFETIME, TIMEOUT, bytes, credentials, new_challenge, text, user_handle};
use crate::centre::{Centre, append_text};
use crate::problem::Refusal;
use crate::types::passkeys::{SignInAnswer, SignInQuestion};

const USE: Kind = Kind::constant("passkey.use");

impl Centre {
    /// Asks for a sign-in by a passkey, for a request: by one of `only` where it is known who is meant, else by any.
    pub(crate) async fn ask_for_passkey(
        &self,
        request: [u8; 16],
        only: Option<SubjectId>,
    ) -> Result<SignInQuestion, Refusal> {
        let party = self.party()?;
        let challenge = new_challenge();
        let now = self.clock.read().wall;
        let kept = self
            .store
            .write(move |tx| {
                tx.ask_for_passkey(&challenge, Asked::SignIn(request), now, now + LIFETIME)?;
                only.map_or(Ok(Vec::new()), |holder| tx.passkeys_of(holder))
            })
            .await?;
        Ok(SignInQuestion {
            challenge: text(&challenge),
            timeout: TIMEOUT,
            rp_id: party.id().to_owned(),
            allow_credentials: credentials(&kept),
            user_verification: "required",
        })
    }

    /// Reads what a browser answered to [`Centre::ask_for_passkey`], to be judged in the request's own transaction.
    pub(crate) fn read_sign_in(&self, answer: &SignInAnswer) -> Result<SignIn, Refusal> {
        let response = &answer.response;
        let client = Client::read(&response.client_data_json)?;
        Ok(SignIn {
            party: self.party()?,
            challenge: client.challenge()?,
            client,
            credential_id: bytes("id", &answer.id)?,
            authenticator_data: bytes("authenticatorData", &response.authenticator_data)?,
            signature: bytes("signature", &response.signature)?,
            user_handle: response.user_handle.as_deref().map(|text| bytes("userHandle", text)).transpose()?,
        })
    }
}

/// An answer to the question of a sign-in.
pub(crate) struct SignIn {
    party: RelyingParty,
    challenge: Challenge,
    client: Client,
    credential_id: Vec<u8>,
    authenticator_data: Vec<u8>,
    signature: Vec<u8>,
    user_handle: Option<Vec<u8>>,
}

impl SignIn {
    /// Judges the answer for a request, and keeps what follows from it: the question is answered, whatever comes of it;
    /// the counter goes on; a use of a known passkey is an entry. Says whose passkey it is, or nothing of a wrong answer.
    pub(crate) fn judge(
        &self,
        tx: &mut Tx<'_>,
        (request, name): ([u8; 16], &str),
        instant: ProvenInstant,
    ) -> Result<Option<SubjectId>, StoreError> {
        if !tx.take_passkey_question(&self.challenge, Asked::SignIn(request), instant.time)? {
            return Ok(None);
        }
        let Some(mut row) = tx.passkey_by_credential(&self.credential_id)? else {
            return Ok(None);
        };
        let judged = self.against(&row);
        let word = judged.map_or_else(|word| word, |_| "accepted");
        match judged {
            Ok(counter) => (row.counter, row.last_used) = (counter, Some(instant.time)),
            Err(word) if word == Refused::CountedBack.word() => row.doubted = Some(instant.time),
            Err(_) => {}
        }
        let fields = [
            ("passkey", row.id.to_string()),
            ("holder", row.holder.to_string()),
            ("request", name.to_owned()),
            ("counter", row.counter.to_string()),
            ("verdict", word.to_owned()),
        ];
        row.entry = append_text(tx, USE, row.customer, instant, fields)?;
        tx.update_passkey(&row)?;
        Ok(judged.ok().map(|_| row.holder))
    }

    fn against(&self, row: &PasskeyRow) -> Result<u32, &'static str> {
        if row.revoked.is_some() {
            return Err("revoked");
        }
        let key = PublicKey::read(&row.public_key).map_err(Refused::word)?;
        let answer = Assertion {
            client: self.client.data(&self.challenge),
            authenticator_data: &self.authenticator_data,
            signature: &self.signature,
            user_handle: self.user_handle.as_deref(),
        };
        let user = user_handle(row.holder);
        judge_sign_in(&self.party, &self.challenge, &answer, (&key, row.counter, &user))
            .map_err(Refused::word)
    }
}
