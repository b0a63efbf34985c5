//! Telling that a used key was shown again, as somebody may have seen it: the holder by mail, the customer's programs by their
//! webhooks, and the relying party with the next good key.

use angbu_accounts::EmailAddress;
use angbu_store::deliveries::Channel;
use angbu_store::keys::KeyTokenRow;
use angbu_store::{StoreError, Tx};
use angbu_units::{Language, Nanos, SubjectId, UnixTime};
use serde_json::json;

use crate::centre::webhooks;
use crate::types::instant;

/// What such a message is about.
const TOPIC: &str = "keys-used-again";
/// One message for all that happens within this time.
const BETWEEN: Nanos = Nanos::from_secs(3_600);

/// Notes that a used key was shown again, tells the customer's programs, and writes to its holder where the login id is a mail
/// address and this centre sends mail. The console shows it in any case.
pub(super) fn used_again(
    tx: &mut Tx<'_>,
    row: &KeyTokenRow,
    at: UnixTime,
    sends_mail: bool,
) -> Result<(), StoreError> {
    tx.note_key_replay(row.id, at)?;
    if row.replayed.is_some_and(|before| at - before < BETWEEN) {
        return Ok(());
    }
    let SubjectId::Person(person) = row.subject else { return Ok(()) };
    let Some(known) = tx.person(person)?.and_then(|person| person.known) else { return Ok(()) };
    webhooks::queue_each(tx, row.customer, at, |customer| {
        let data = json!({
            "customer": customer,
            "login_id": known.login_id,
            "holder_id": person.to_string(),
            "token": row.id.to_string(),
            "at": instant(at),
        });
        json!({ "type": "keys.used-again", "timestamp": instant(at), "data": data })
    })?;
    if !sends_mail || known.login_id.parse::<EmailAddress>().is_err() {
        return Ok(());
    }
    let language = known.language.parse().unwrap_or(Language::English);
    let written = words(language, &format!("{} UTC", at.rfc3339(0).trim_end_matches('Z').replace('T', " ")));
    webhooks::put(
        tx,
        &webhooks::deliveries(row.customer, TOPIC, written, [(Channel::Mail, known.login_id)], at),
    )
}

/// Subject, text, HTML and no picture.
fn words(language: Language, at: &str) -> Vec<String> {
    let (subject, first, second) = match language {
        Language::Korean => (
            "[Angbu] 이미 사용한 일회용 키가 다시 입력되었습니다",
            format!("{at}에 이미 사용한 일회용 키가 다시 입력되어 거부되었습니다."),
            "직접 두 번 입력하셨다면 아무 일도 하지 않으셔도 됩니다. 그렇지 않다면 다른 사람이 키를 보았을 수 있으니 관리자에게 알려 주십시오.",
        ),
        Language::Japanese => (
            "[Angbu] 使用済みのワンタイムキーが再び入力されました",
            format!("{at} に、使用済みのワンタイムキーが再び入力され、拒否されました。"),
            "ご自身が二度入力した場合は、何もする必要はありません。そうでない場合は、誰かがキーを見た可能性がありますので、管理者にお知らせください。",
        ),
        Language::English => (
            "[Angbu] A used one-time key was entered again",
            format!("At {at} a one-time key of yours that was used before was entered again, and refused."),
            "If you entered it twice yourself, there is nothing to do. If not, somebody may have seen it: tell whoever manages \
             your account.",
        ),
    };
    let text = format!("{first}\n\n{second}\n");
    let html = format!("<!doctype html>\n<html><body><p>{first}</p><p>{second}</p></body></html>\n");
    vec![subject.to_owned(), text, html, String::new()]
}
