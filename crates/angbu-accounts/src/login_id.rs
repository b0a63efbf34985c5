//! Login ids of people, in any script, so that no two of them look the same.

use std::fmt;
use std::str::FromStr;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;
use unicode_security::GeneralSecurityProfile as _;
use unicode_security::confusable_detection::skeleton;
use unicode_security::mixed_script::AugmentedScriptSet;

/// The most characters, after normalisation.
const LONGEST: usize = 64;
/// The most bytes of a text that is looked at: more than 64 characters of any script need, however they are written.
const MOST_BYTES: usize = 1_024;
/// The most marks on one letter; no script in daily use needs more.
const MOST_MARKS: usize = 4;
/// What may stand in a login id beside letters, their marks and digits.
const SIGNS: &str = "._-@+";

/// Why a text cannot be a login id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LoginIdError {
    /// No characters at all.
    #[error("the login id is empty; give 1 to 64 characters")]
    Empty,
    /// More than 64 characters.
    #[error("the login id is longer than 64 characters; shorten it")]
    TooLong,
    /// A character that is no letter in common use, no digit 0 to 9 and none of the signs.
    #[error("'{shown}' (U+{code:04X}) cannot stand in a login id; use letters of one script, 0-9, '.', '_', '-', '@' and '+'", shown = .0, code = u32::from(*.0))]
    Character(char),
    /// A space, a line's end, a control character, or a character that is not seen, or turns the text around.
    #[error("the login id holds a character that cannot be seen (U+{code:04X}); type it again without", code = u32::from(*.0))]
    Unseen(char),
    /// Letters of scripts that are not written together.
    #[error("the login id mixes letters of several scripts, some of which look alike; use letters of one")]
    MixedScripts,
    /// A mark with no letter before it, twice the same one, or too many.
    #[error(
        "the login id has accents or vowel signs that belong to no letter, or too many of them; type it again"
    )]
    Marks,
    /// Signs only.
    #[error("a login id has at least one letter or digit")]
    SignsOnly,
}

/// The login id of a person: 1 to 64 characters of any one script.
///
/// It is kept in lower case and in Unicode's normal form C. Two login ids are the same one when their [`key`](Self::key)s
/// are, which those of ids that look alike are too.
#[derive(Clone, PartialEq, Eq)]
pub struct LoginId {
    text: String,
    key: String,
}

impl LoginId {
    /// The login id, in lower case and normal form C.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What two login ids have in common that cannot both exist: the skeleton of UTS #39, section 4, without regard to
    /// case. It is for comparing, not for showing.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl FromStr for LoginId {
    type Err = LoginIdError;

    fn from_str(text: &str) -> Result<Self, LoginIdError> {
        if text.len() > MOST_BYTES {
            return Err(LoginIdError::TooLong);
        }
        // Letter by letter: what a letter becomes must not depend on those around it, as a final sigma does.
        let text: String = text.nfc().flat_map(char::to_lowercase).nfc().collect();
        match text.chars().count() {
            0 => return Err(LoginIdError::Empty),
            1..=LONGEST => {}
            _ => return Err(LoginIdError::TooLong),
        }
        if let Some(refused) = text.chars().find_map(unfit) {
            return Err(refused);
        }
        check_marks(&text)?;
        if !text.chars().any(char::is_alphanumeric) {
            return Err(LoginIdError::SignsOnly);
        }
        if AugmentedScriptSet::for_str(&text).is_empty() {
            return Err(LoginIdError::MixedScripts);
        }
        let key = key(&text);
        Ok(Self { text, key })
    }
}

/// Why this character cannot stand in a login id.
fn unfit(c: char) -> Option<LoginIdError> {
    if c.is_ascii() {
        return match c {
            _ if c.is_ascii_alphanumeric() || SIGNS.contains(c) => None,
            _ if c.is_ascii_control() || c == ' ' => Some(LoginIdError::Unseen(c)),
            _ => Some(LoginIdError::Character(c)),
        };
    }
    // UTS #39's identifier profile leaves out what is obsolete, technical, unassigned, or only another width or style.
    let letter = c.identifier_allowed() && (c.is_alphabetic() || is_combining_mark(c));
    match c {
        _ if letter => None,
        _ if is_unseen(c) => Some(LoginIdError::Unseen(c)),
        _ => Some(LoginIdError::Character(c)),
    }
}

/// Spaces, controls, and the characters that are never seen or that turn text around. It only chooses the words of the
/// refusal: whatever is no letter is refused.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || c.is_whitespace()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// UTS #39, 5.4: no mark without a letter, none twice in a row, and not many of them.
fn check_marks(text: &str) -> Result<(), LoginIdError> {
    let (mut marks, mut before) = (0, None);
    for c in text.chars() {
        if is_combining_mark(c) {
            marks += 1;
            let on_a_letter =
                before.is_some_and(|before: char| before.is_alphabetic() || is_combining_mark(before));
            if !on_a_letter || before == Some(c) || marks > MOST_MARKS {
                return Err(LoginIdError::Marks);
            }
        } else {
            marks = 0;
        }
        before = Some(c);
    }
    Ok(())
}

/// The skeleton without regard to case. A look-alike can be a capital letter (a zero's is an O), and folding one can
/// make another, so it is done until nothing changes.
fn key(text: &str) -> String {
    let mut key = text.to_owned();
    for _ in 0..4 {
        let folded: String = key.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect();
        let next: String = skeleton(&folded).collect();
        if next == key {
            break;
        }
        key = next;
    }
    key
}

impl fmt::Display for LoginId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for LoginId {
    /// How long it is, and nothing else: a login id is personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LoginId({} characters)", self.text.chars().count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(text: &str) -> LoginId {
        text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
    }

    #[test]
    fn login_ids_are_of_any_one_script() {
        for (text, kept) in [
            ("kim.minsu", "kim.minsu"),
            ("Kim_Minsu+1@Example.co.kr", "kim_minsu+1@example.co.kr"),
            ("7", "7"),
            ("김민수", "김민수"),
            // Decomposed jamo, as some keyboards and file systems write them.
            ("\u{1100}\u{1175}\u{11b7}", "김"),
            ("金민수", "金민수"),
            ("山田たろう", "山田たろう"),
            ("ヤマダー1", "ヤマダー1"),
            ("иванов", "иванов"),
            ("ΣΑΣ", "σασ"),
            ("cafe\u{301}", "café"),
            ("สมชาย", "สมชาย"),
            ("राम", "राम"),
            ("משה", "משה"),
        ] {
            assert_eq!(id(text).as_str(), kept, "{text}");
        }
        assert_eq!(format!("{:?}", id("김민수")), "LoginId(3 characters)");
    }

    #[test]
    fn each_refusal_says_why() {
        use LoginIdError as E;
        let long = "a".repeat(65);
        let very_long = "e\u{301}".repeat(10_000);
        for (text, why) in [
            ("", E::Empty),
            (&long, E::TooLong),
            (&very_long, E::TooLong),
            ("kim minsu", E::Unseen(' ')),
            ("kim\u{a0}", E::Unseen('\u{a0}')),
            ("kim\n", E::Unseen('\n')),
            ("kim\0", E::Unseen('\0')),
            ("kim\u{200b}", E::Unseen('\u{200b}')),
            ("kim\u{200d}", E::Unseen('\u{200d}')),
            ("\u{202e}mik", E::Unseen('\u{202e}')),
            ("kim\u{2066}", E::Unseen('\u{2066}')),
            ("ki\u{ad}m", E::Unseen('\u{ad}')),
            ("\u{feff}kim", E::Unseen('\u{feff}')),
            ("kim\u{fe0f}", E::Unseen('\u{fe0f}')),
            ("\u{3164}", E::Unseen('\u{3164}')),
            ("kim\u{e0041}", E::Unseen('\u{e0041}')),
            // Other widths and styles of the same letters.
            ("\u{ff4b}im", E::Character('\u{ff4b}')),
            ("\u{1d424}im", E::Character('\u{1d424}')),
            ("\u{2170}", E::Character('\u{2170}')),
            // Jamo that make no syllable, and their stand-alone look-alikes.
            ("\u{1100}", E::Character('\u{1100}')),
            ("\u{3131}", E::Character('\u{3131}')),
            ("user\u{0661}", E::Character('\u{0661}')),
            ("kim!", E::Character('!')),
            ("' OR 1=1 --", E::Character('\'')),
            ("kim/..", E::Character('/')),
            ("kim\u{1f600}", E::Character('\u{1f600}')),
            // A Cyrillic letter among Latin ones.
            ("p\u{0430}ypal", E::MixedScripts),
            ("kim\u{03bf}", E::MixedScripts),
            ("김kim", E::MixedScripts),
            ("たろう김", E::MixedScripts),
            ("\u{301}a", E::Marks),
            (".\u{301}", E::Marks),
            ("q\u{323}\u{323}", E::Marks),
            ("...", E::SignsOnly),
            ("@", E::SignsOnly),
        ] {
            assert_eq!(text.parse::<LoginId>().err(), Some(why), "{text:?}");
        }
    }

    #[test]
    fn what_looks_alike_is_the_same() {
        for (one, other) in [
            ("kim", "KIM"),
            ("café", "cafe\u{301}"),
            ("김", "\u{1100}\u{1175}\u{11b7}"),
            // All Cyrillic beside all Latin: one script each, and the same to the eye.
            ("сор", "cop"),
            ("user1", "userl"),
            ("user0", "usero"),
            ("mark", "rnark"),
            ("ΣΑΣ", "σας"),
            ("straße", "strasse"),
            ("b.kim", "B.KIM"),
        ] {
            assert_eq!(id(one).key(), id(other).key(), "{one} {other}");
        }
        for (one, other) in
            [("kim", "kin"), ("user1", "user2"), ("김민수", "김민서"), ("a.b", "ab"), ("a-b", "a_b")]
        {
            assert_ne!(id(one).key(), id(other).key(), "{one} {other}");
        }
    }

    proptest! {
        #[test]
        fn what_is_kept_is_kept(text in "(\\PC|[a-zA-Zа-я가-힣ᄀ-ᇿあ-ん一-龥à-ÿ0-9._@+\u{300}-\u{330}-]){1,20}") {
            if let Ok(id) = text.parse::<LoginId>() {
                let again: LoginId = id.as_str().parse().expect("what was kept is a login id");
                prop_assert_eq!(&again, &id);
                let normal: String = id.as_str().nfc().collect();
                prop_assert_eq!(normal, id.as_str());
                prop_assert!(id.as_str().chars().count() <= 64);
                prop_assert!(!id.as_str().contains(|c: char| c.is_control() || c.is_whitespace()));
            }
        }

        #[test]
        fn any_text_is_refused_or_taken_in_peace(text: String) {
            let _ = text.parse::<LoginId>();
        }

        #[test]
        fn case_and_form_make_no_other_id(text in "[a-zà-öа-я가-힣]{1,12}") {
            let Ok(id) = text.parse::<LoginId>() else { return Ok(()) };
            let decomposed: String = text.nfd().collect();
            for other in [text.to_uppercase(), decomposed] {
                let other: LoginId = other.parse().expect("the same letters");
                prop_assert_eq!(other.key(), id.key());
            }
        }
    }
}
