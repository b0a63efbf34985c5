//! Requests as they are shown: to whoever asked, and to the browser that opened them.

use angbu_evidence::Disclosure;
use angbu_requests::{Methods, Request, ReturnTo};
use angbu_store::evidence::Standing;
use angbu_store::requests::RequestRow;
use angbu_store::{Snapshot, StoreError};
use angbu_units::{CustomerId, SubjectId};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{CONSOLE, core_of, is_personal};
use crate::centre::Centre;
use crate::problem::Refusal;
use crate::types::instant;
use crate::types::requests::{MethodWord, RequestEvidence, RequestShown, RequestState};

impl Centre {
    /// As whoever asked sees it, with the proof of its end as far as that is made.
    pub(super) async fn show_state(&self, row: RequestRow) -> Result<RequestState, Refusal> {
        let entry = row.end.as_ref().map(|end| end.entry);
        let mut state = self.store.read(move |snapshot| state(snapshot, row)).await?;
        if let (Some(entry), Some(evidence)) = (entry, &mut state.evidence)
            && let Standing::Proven(receipt) = self.store.standing(entry).await?
        {
            let body = self.store.read(move |snapshot| snapshot.body(entry)).await?;
            let shown = |body: Disclosure| {
                let disclosed = body.disclose(|field| !is_personal(&super::ENDED, field));
                STANDARD.encode(disclosed.encode())
            };
            evidence.receipt = Some(receipt.encode());
            evidence.disclosure = body.map(shown);
        }
        Ok(state)
    }

    /// As the browser that opened it sees it.
    pub(super) async fn show_to_browser(&self, row: RequestRow) -> Result<RequestShown, Refusal> {
        let now = self.clock.read().wall;
        let request = core_of(&row)?;
        let end = request.end.map(|end| end.verdict);
        let left = (row.expires - now).count() / 1_000_000_000;
        let return_to: Option<ReturnTo> = row.said.return_to.parse().ok();
        let next_url =
            return_to.filter(|_| end.is_some()).map(|address| address.with_request(&row.id.to_string()));
        self.store
            .read(move |snapshot| {
                Ok(RequestShown {
                    id: row.id.to_string(),
                    purpose: request.purpose.into(),
                    relying_party: party(snapshot, &row)?,
                    customer: customer(snapshot, row.customer)?,
                    methods: combinations(&request),
                    done: words(request.done),
                    next: words(request.next()),
                    expires_at: instant(row.expires),
                    seconds_left: if end.is_some() { 0 } else { left.max(0) },
                    tries_left: request.tries_left(),
                    verdict: end.map(Into::into),
                    next_url,
                    title: row.said.title,
                    text: row.said.text,
                    login_id: Some(row.said.login_id).filter(|id| !id.is_empty()),
                })
            })
            .await
    }
}

/// As whoever asked sees it, without the proof of its end.
pub(super) fn state(snapshot: &Snapshot<'_>, row: RequestRow) -> Result<RequestState, Refusal> {
    let request = core_of(&row)?;
    let evidence = row.end.as_ref().map(|end| RequestEvidence {
        entry_id: end.entry.to_string(),
        time: instant(end.at.time),
        error_bound_ns: end.at.error_bound.count(),
        clock: end.at.verdict.into(),
        clock_state: end.at.clock_state.to_string(),
        receipt: None,
        disclosure: None,
    });
    Ok(RequestState {
        id: row.id.to_string(),
        customer: customer(snapshot, row.customer)?,
        relying_party: party(snapshot, &row)?,
        purpose: request.purpose.into(),
        methods: combinations(&request),
        started_at: instant(row.started),
        expires_at: instant(row.expires),
        opened: row.browser_hash.is_some(),
        done: words(request.done),
        wrong: row.wrong,
        verdict: request.end.map(|end| end.verdict.into()),
        subject: row.subject.map(|subject| subject.to_string()),
        subject_login_id: row.subject.map(|subject| login_id(snapshot, subject)).transpose()?.flatten(),
        evidence,
        title: row.said.title,
        login_id: Some(row.said.login_id).filter(|id| !id.is_empty()),
    })
}

fn words(methods: Methods) -> Vec<MethodWord> {
    methods.iter().map(Into::into).collect()
}

fn combinations(request: &Request) -> Vec<Vec<MethodWord>> {
    request.accepted.iter().map(words).collect()
}

fn customer(snapshot: &Snapshot<'_>, customer: CustomerId) -> Result<Option<String>, StoreError> {
    if customer == CustomerId::SITE { Ok(None) } else { snapshot.customer_name(customer) }
}

/// The name of whoever asks.
fn party(snapshot: &Snapshot<'_>, row: &RequestRow) -> Result<String, StoreError> {
    if row.asker == CONSOLE {
        return Ok(CONSOLE.to_owned());
    }
    let machine = row.machine.map(|machine| snapshot.machine(machine)).transpose()?.flatten();
    let name = match (machine, row.asker.parse(), row.asker.parse()) {
        (Some(machine), _, _) => Some(machine.name),
        (None, Ok(token), _) => snapshot.token(token)?.map(|token| token.holder),
        (None, _, Ok(staff)) => snapshot.staff_member(staff)?.map(|member| member.name),
        _ => None,
    };
    Ok(name.unwrap_or_else(|| row.asker.clone()))
}

fn login_id(snapshot: &Snapshot<'_>, subject: SubjectId) -> Result<Option<String>, StoreError> {
    match subject {
        SubjectId::Person(id) => {
            Ok(snapshot.person(id)?.and_then(|row| row.known).map(|known| known.login_id))
        }
        SubjectId::Staff(id) => Ok(snapshot.staff_member(id)?.map(|member| member.name)),
    }
}
