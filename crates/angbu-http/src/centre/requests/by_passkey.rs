//! Answering a request by a passkey.

use std::net::IpAddr;
use std::sync::Arc;

use angbu_requests::Method;
use angbu_units::RequestId;

use super::Browser;
use crate::centre::Centre;
use crate::centre::tries::Tried;
use crate::problem::Refusal;
use crate::types::passkeys::{SignInAnswer, SignInQuestion};
use crate::types::requests::RequestAnswered;

impl Centre {
    /// Asks a browser for a passkey: for one of whom the request is about, where that is known, else for any.
    pub(crate) async fn begin_passkey_answer(
        &self,
        id: RequestId,
        browser: Option<Browser>,
        source: IpAddr,
    ) -> Result<SignInQuestion, Refusal> {
        let (row, _) = self.request_to_answer(id, browser, Method::Passkey).await?;
        self.may_try(&Tried::from(source)).await?;
        let is_named = row.subject.is_some() || !row.said.login_id.is_empty();
        let asked = if is_named { self.asked_in(&row, None, source).await?.0 } else { None };
        self.ask_for_passkey(*id.as_bytes(), asked.map(|asked| asked.subject)).await
    }

    /// Answers by a passkey.
    pub(crate) async fn answer_by_passkey(
        &self,
        id: RequestId,
        browser: Option<Browser>,
        answer: &SignInAnswer,
        source: IpAddr,
    ) -> Result<RequestAnswered, Refusal> {
        let (_, browser) = self.request_to_answer(id, browser, Method::Passkey).await?;
        let tried = Tried::from(source);
        self.may_try(&tried).await?;
        let sign_in = Arc::new(self.read_sign_in(answer)?);
        let (instant, name) = (self.instant(), id.to_string());
        let answered = self
            .answer_request(id, browser, Method::Passkey, move |tx, _| {
                Ok(sign_in.judge(tx, (*id.as_bytes(), &name), instant)?)
            })
            .await?;
        if !answered.right {
            self.try_failed(&tried).await?;
        }
        Ok(answered)
    }
}
