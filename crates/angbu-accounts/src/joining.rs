//! What a person gives to join.

use angbu_units::{Language, Phone, PhoneError, UnixTime, UnknownLanguage};

use crate::{Birthday, BirthdayError, LoginId, LoginIdError, Password, PasswordError};

/// Why joining data cannot be taken: the first field that is wrong, and what is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoiningError {
    /// The login id.
    #[error(transparent)]
    LoginId(#[from] LoginIdError),
    /// The password.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The birthday.
    #[error(transparent)]
    Birthday(#[from] BirthdayError),
    /// The phone number.
    #[error(transparent)]
    Phone(#[from] PhoneError),
    /// The language.
    #[error(transparent)]
    Language(#[from] UnknownLanguage),
}

/// Joining data as somebody typed it.
pub struct Wish<'a> {
    /// The login id.
    pub login_id: &'a str,
    /// The password.
    pub password: String,
    /// The birthday, `YYYY-MM-DD`.
    pub birthday: &'a str,
    /// The phone number, digits only.
    pub phone: &'a str,
    /// `en`, `ko` or `ja`, if one was chosen.
    pub language: Option<&'a str>,
}

/// Joining data that can be taken. No `Debug`: it is personal.
pub struct Joining {
    /// The login id.
    pub login_id: LoginId,
    /// The password.
    pub password: Password,
    /// The birthday.
    pub birthday: Birthday,
    /// The phone number.
    pub phone: Phone,
    /// The language that the person is written to in, if one was chosen.
    pub language: Option<Language>,
}

impl Joining {
    /// Reads joining data; `now` says which day is today.
    ///
    /// # Errors
    /// [`JoiningError`] with the first field that is wrong, in the order of the fields.
    pub fn read(wish: Wish<'_>, now: UnixTime) -> Result<Self, JoiningError> {
        Ok(Self {
            login_id: wish.login_id.parse()?,
            password: Password::new(wish.password)?,
            birthday: Birthday::parse(wish.birthday, now)?,
            phone: wish.phone.parse()?,
            language: wish.language.map(str::parse).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(change: impl FnOnce(&mut Wish<'static>)) -> Result<Joining, JoiningError> {
        let mut wish = Wish {
            login_id: "kim.minsu",
            password: "열두 글자가 넘는 비밀번호".to_owned(),
            birthday: "1990-04-30",
            phone: "01012345678",
            language: None,
        };
        change(&mut wish);
        Joining::read(wish, UnixTime::parse_rfc3339("2026-11-22T00:00:00Z").unwrap())
    }

    #[test]
    fn every_field_is_refused_in_its_own_words() {
        assert!(read(|_| {}).is_ok());
        let refusals = [
            read(|wish| wish.login_id = "kim minsu"),
            read(|wish| wish.password = "short".to_owned()),
            read(|wish| wish.birthday = "1990-02-30"),
            read(|wish| wish.phone = "010-1234-5678"),
            read(|wish| wish.language = Some("de")),
        ]
        .map(|result| result.err().expect("a refusal"));
        let words: std::collections::BTreeSet<_> = refusals.iter().map(ToString::to_string).collect();
        assert_eq!(words.len(), refusals.len());
        assert!(matches!(
            refusals,
            [
                JoiningError::LoginId(LoginIdError::Unseen(' ')),
                JoiningError::Password(PasswordError::TooShort),
                JoiningError::Birthday(BirthdayError::NoSuchDay),
                JoiningError::Phone(PhoneError::Character('-')),
                JoiningError::Language(_),
            ]
        ));
    }
}
