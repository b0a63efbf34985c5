//! OCRA (RFC 6287): a key from a question, and from a counter, a PIN, a session and the time where the suite says so.

use std::fmt;
use std::str::FromStr;

use angbu_units::UnixTime;
use subtle::ConstantTimeEq as _;

use crate::{Algorithm, Digits, OneTimeKey, hotp};

/// How many bytes a question takes in what is hashed (RFC 6287, section 5.1).
const QUESTION: usize = 128;

/// A suite: what a key is made from (RFC 6287, section 6), as in `OCRA-1:HOTP-SHA256-8:C-QN08-PSHA1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suite {
    text: String,
    algorithm: Algorithm,
    digits: Digits,
    counter: bool,
    question: (Alphabet, usize),
    pin: Option<Algorithm>,
    session: Option<usize>,
    step_seconds: Option<u64>,
}

/// What a question consists of (RFC 6287, section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alphabet {
    /// `A`: letters and digits.
    Alphanumeric,
    /// `N`: digits.
    Numeric,
    /// `H`: hexadecimal digits.
    Hexadecimal,
}

/// Why a text is no suite.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SuiteError {
    /// Not `OCRA-1:` function `:` inputs.
    #[error("an OCRA suite has three parts behind colons, the first of them OCRA-1")]
    Parts,
    /// Not `HOTP-SHA1`, `HOTP-SHA256` or `HOTP-SHA512` with `-0` or `-4` to `-10`.
    #[error("'{0}' is no function of an OCRA suite; HOTP-SHA256-8 is one, with 4 to 10 digits")]
    Function(String),
    /// An input that the RFC does not know, twice, or not in its order.
    #[error("'{0}' cannot stand there in an OCRA suite")]
    Input(String),
    /// No question.
    #[error("an OCRA suite has a question, as QN08")]
    NoQuestion,
}

/// What a key is made from, beside the key. What the suite does not name is not looked at.
#[derive(Debug, Clone, Copy, Default)]
pub struct Inputs<'a> {
    /// The counter.
    pub counter: u64,
    /// The question, in the suite's alphabet; of two parties first the one's, then the other's.
    pub question: &'a str,
    /// The hash of the PIN, in the suite's algorithm for it.
    pub pin_hash: &'a [u8],
    /// What is known of the session, at most as long as the suite says.
    pub session: &'a [u8],
    /// Now.
    pub time: Option<UnixTime>,
}

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// Empty, too long, or with characters of another alphabet.
    #[error("the question does not fit the suite")]
    Question,
    /// The hash of the PIN has another length.
    #[error("the hash of the PIN does not fit the suite")]
    Pin,
    /// More bytes than the suite says.
    #[error("the session does not fit the suite")]
    Session,
    /// The suite wants the time, and there is none, or it lies before 1970.
    #[error("the suite wants the time")]
    Time,
}

impl Suite {
    /// The hash of the PIN that it wants, if it wants one.
    pub const fn pin(&self) -> Option<Algorithm> {
        self.pin
    }

    /// What its question consists of, and how many characters one party's has: 4 to 64.
    pub const fn question(&self) -> (Alphabet, usize) {
        self.question
    }

    /// Whether it has a counter.
    pub const fn has_counter(&self) -> bool {
        self.counter
    }

    /// How many seconds a step of its time has, if it has a time.
    pub const fn step_seconds(&self) -> Option<u64> {
        self.step_seconds
    }

    /// The key (RFC 6287, section 5.2: the suite, a zero byte, then C, Q, P, S and T).
    ///
    /// # Errors
    /// [`InputError`] for inputs that do not fit the suite.
    pub fn key(&self, secret: &[u8], inputs: &Inputs<'_>) -> Result<OneTimeKey, InputError> {
        let mut message = self.text.clone().into_bytes();
        message.push(0);
        if self.counter {
            message.extend(inputs.counter.to_be_bytes());
        }
        message.extend(self.question_bytes(inputs.question)?);
        if let Some(algorithm) = self.pin {
            if inputs.pin_hash.len() != algorithm.length() {
                return Err(InputError::Pin);
            }
            message.extend(inputs.pin_hash);
        }
        if let Some(length) = self.session {
            // On the left, as the RFC's reference has it.
            let zeros = length.checked_sub(inputs.session.len()).ok_or(InputError::Session)?;
            message.extend(std::iter::repeat_n(0, zeros));
            message.extend(inputs.session);
        }
        if let Some(step) = self.step_seconds {
            let seconds = inputs.time.map(|time| time.nanos().div_euclid(1_000_000_000));
            let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok()).ok_or(InputError::Time)?;
            message.extend((seconds / step).to_be_bytes());
        }
        Ok(hotp::truncated(self.algorithm, secret, &[&message], self.digits))
    }

    /// Whether `shown` is the key, in constant time.
    ///
    /// # Errors
    /// As [`Self::key`].
    pub fn verify(&self, secret: &[u8], inputs: &Inputs<'_>, shown: &OneTimeKey) -> Result<bool, InputError> {
        Ok(self.key(secret, inputs)?.ct_eq(shown).into())
    }

    /// The question as it is hashed: 128 bytes, zeros on the right.
    fn question_bytes(&self, question: &str) -> Result<Vec<u8>, InputError> {
        let (alphabet, most) = self.question;
        // Where both parties ask, the questions stand one behind the other (RFC 6287, section 7.2).
        if question.is_empty() || question.len() > 2 * most {
            return Err(InputError::Question);
        }
        let mut bytes = match alphabet {
            Alphabet::Alphanumeric if question.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                question.as_bytes().to_vec()
            }
            Alphabet::Numeric => from_nibbles(&decimal_to_nibbles(question).ok_or(InputError::Question)?),
            Alphabet::Hexadecimal => from_nibbles(&hex_to_nibbles(question).ok_or(InputError::Question)?),
            Alphabet::Alphanumeric => return Err(InputError::Question),
        };
        if bytes.len() > QUESTION {
            return Err(InputError::Question);
        }
        bytes.resize(QUESTION, 0);
        Ok(bytes)
    }
}

/// A number's hexadecimal digits, the highest first, without leading zeros; one zero for zero.
fn decimal_to_nibbles(text: &str) -> Option<Vec<u8>> {
    let mut nibbles = vec![0_u8];
    for character in text.chars() {
        let mut carry = u8::try_from(character.to_digit(10)?).ok()?;
        for nibble in nibbles.iter_mut().rev() {
            // At most 15 × 10 + 15.
            let value = *nibble * 10 + carry;
            (*nibble, carry) = (value & 0x0f, value >> 4);
        }
        if carry > 0 {
            nibbles.insert(0, carry);
        }
    }
    Some(nibbles)
}

fn hex_to_nibbles(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|character| character.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect()
}

/// Two a byte; where they are odd in number the last byte ends with zero, as the RFC's reference pads on the right.
fn from_nibbles(nibbles: &[u8]) -> Vec<u8> {
    nibbles
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |byte, nibble| byte << 4 | nibble) << (4 * (2 - pair.len())))
        .collect()
}

impl FromStr for Suite {
    type Err = SuiteError;

    fn from_str(text: &str) -> Result<Self, SuiteError> {
        let parts: Vec<&str> = text.split(':').collect();
        let ["OCRA-1", function, inputs] = parts[..] else { return Err(SuiteError::Parts) };
        let (algorithm, digits) =
            read_function(function).ok_or_else(|| SuiteError::Function(function.to_owned()))?;
        let mut suite = Self {
            text: text.to_owned(),
            algorithm,
            digits,
            counter: false,
            question: (Alphabet::Numeric, 0),
            pin: None,
            session: None,
            step_seconds: None,
        };
        // Inputs stand in this order, each at most once (RFC 6287, section 6.3).
        let mut place = 0;
        for input in inputs.split('-') {
            let next = suite.take(input).filter(|next| *next > place);
            place = next.ok_or_else(|| SuiteError::Input(input.to_owned()))?;
        }
        if suite.question.1 == 0 { Err(SuiteError::NoQuestion) } else { Ok(suite) }
    }
}

impl Suite {
    /// Takes one input in and says which place it has among them.
    fn take(&mut self, input: &str) -> Option<u8> {
        let mut characters = input.chars();
        let head = characters.next()?;
        let rest = characters.as_str();
        match head {
            'C' if rest.is_empty() => {
                self.counter = true;
                Some(1)
            }
            'Q' => {
                self.question = read_question(rest)?;
                Some(2)
            }
            'P' => {
                self.pin = Some(rest.parse().ok()?);
                Some(3)
            }
            'S' => {
                let length = (rest.len() == 3).then(|| number(rest)).flatten()?;
                self.session =
                    Some(usize::try_from(length).ok().filter(|length| (1..=512).contains(length))?);
                Some(4)
            }
            'T' => {
                self.step_seconds = Some(read_step(rest)?);
                Some(5)
            }
            _ => None,
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// `HOTP-SHA256-8` (RFC 6287, section 6.2). A key that is not truncated (`-0`) is nothing that a person can type.
fn read_function(text: &str) -> Option<(Algorithm, Digits)> {
    let (algorithm, digits) = text.strip_prefix("HOTP-")?.split_once('-')?;
    Some((algorithm.parse().ok()?, Digits::new(number(digits)?).ok()?))
}

/// `N08`: an alphabet, and two digits from 04 to 64.
fn read_question(text: &str) -> Option<(Alphabet, usize)> {
    let alphabet = match text.get(..1)? {
        "A" => Alphabet::Alphanumeric,
        "N" => Alphabet::Numeric,
        "H" => Alphabet::Hexadecimal,
        _ => return None,
    };
    let length = text.get(1..).filter(|digits| digits.len() == 2).and_then(number)?;
    usize::try_from(length).ok().filter(|length| (4..=64).contains(length)).map(|length| (alphabet, length))
}

/// `30S`, `1M`, `12H`: 1 to 59 seconds or minutes, 1 to 48 hours.
fn read_step(text: &str) -> Option<u64> {
    let (count, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let (most, seconds) = match unit {
        "S" => (59, 1),
        "M" => (59, 60),
        "H" => (48, 3_600),
        _ => return None,
    };
    let count = number(count).filter(|count| (1..=most).contains(count) && !text.starts_with('0'))?;
    Some(count * seconds)
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;

    /// The hash of the PIN 1234 in RFC 6287, appendix C.
    const PIN: &str = "7110eda4d09e062aa5e4a390b0a572ac0d2c0220";
    /// The step of one minute there, 0x132d0b6.
    const MINUTE: i64 = 0x0132_d0b6;

    /// The keys of the RFC's appendix C: ASCII digits, as many as the hash has bytes.
    fn secret(algorithm: Algorithm) -> Vec<u8> {
        b"1234567890".iter().copied().cycle().take(algorithm.length()).collect()
    }

    #[track_caller]
    fn check(suite: &str, cases: &[(u64, &str, &str)]) {
        let suite: Suite = suite.parse().unwrap();
        let pin = HEXLOWER.decode(PIN.as_bytes()).unwrap();
        for (counter, question, expected) in cases {
            let inputs = Inputs {
                counter: *counter,
                question,
                pin_hash: &pin,
                session: &[],
                time: Some(UnixTime::from_nanos(MINUTE * 60 * 1_000_000_000)),
            };
            let key = suite.key(&secret(suite.algorithm), &inputs).unwrap();
            assert_eq!(key.reveal(), *expected, "{suite} {counter} {question}");
            assert_eq!(suite.verify(&secret(suite.algorithm), &inputs, &key), Ok(true));
        }
    }

    /// RFC 6287, appendix C.1: one-way challenge and response.
    #[test]
    fn the_rfcs_one_way_vectors() {
        check(
            "OCRA-1:HOTP-SHA1-6:QN08",
            &[
                (0, "00000000", "237653"),
                (0, "11111111", "243178"),
                (0, "22222222", "653583"),
                (0, "33333333", "740991"),
                (0, "44444444", "608993"),
                (0, "55555555", "388898"),
                (0, "66666666", "816933"),
                (0, "77777777", "224598"),
                (0, "88888888", "750600"),
                (0, "99999999", "294470"),
            ],
        );
        let counted = [
            "65347737", "86775851", "78192410", "71565254", "10104329", "65983500", "70069104", "91771096",
            "75011558", "08522129",
        ];
        let cases: Vec<_> = (0..).zip(counted).map(|(counter, key)| (counter, "12345678", key)).collect();
        check("OCRA-1:HOTP-SHA256-8:C-QN08-PSHA1", &cases);
        check(
            "OCRA-1:HOTP-SHA256-8:QN08-PSHA1",
            &[
                (0, "00000000", "83238735"),
                (0, "11111111", "01501458"),
                (0, "22222222", "17957585"),
                (0, "33333333", "86776967"),
                (0, "44444444", "86807031"),
            ],
        );
        check(
            "OCRA-1:HOTP-SHA512-8:C-QN08",
            &[
                (0, "00000000", "07016083"),
                (1, "11111111", "63947962"),
                (2, "22222222", "70123924"),
                (3, "33333333", "25341727"),
                (4, "44444444", "33203315"),
                (5, "55555555", "34205738"),
                (6, "66666666", "44343969"),
                (7, "77777777", "51946085"),
                (8, "88888888", "20403879"),
                (9, "99999999", "31409299"),
            ],
        );
        check(
            "OCRA-1:HOTP-SHA512-8:QN08-T1M",
            &[
                (0, "00000000", "95209754"),
                (0, "11111111", "55907591"),
                (0, "22222222", "22048402"),
                (0, "33333333", "24218844"),
                (0, "44444444", "36209546"),
            ],
        );
    }

    /// RFC 6287, appendix C.2: both sides ask.
    #[test]
    fn the_rfcs_mutual_vectors() {
        check(
            "OCRA-1:HOTP-SHA256-8:QA08",
            &[
                (0, "CLI22220SRV11110", "28247970"),
                (0, "CLI22221SRV11111", "01984843"),
                (0, "CLI22222SRV11112", "65387857"),
                (0, "CLI22223SRV11113", "03351211"),
                (0, "CLI22224SRV11114", "83412541"),
                (0, "SRV11110CLI22220", "15510767"),
                (0, "SRV11111CLI22221", "90175646"),
                (0, "SRV11112CLI22222", "33777207"),
                (0, "SRV11113CLI22223", "95285278"),
                (0, "SRV11114CLI22224", "28934924"),
            ],
        );
        check(
            "OCRA-1:HOTP-SHA512-8:QA08",
            &[
                (0, "CLI22220SRV11110", "79496648"),
                (0, "CLI22221SRV11111", "76831980"),
                (0, "CLI22222SRV11112", "12250499"),
                (0, "CLI22223SRV11113", "90856481"),
                (0, "CLI22224SRV11114", "12761449"),
            ],
        );
        check(
            "OCRA-1:HOTP-SHA512-8:QA08-PSHA1",
            &[
                (0, "SRV11110CLI22220", "18806276"),
                (0, "SRV11111CLI22221", "70020315"),
                (0, "SRV11112CLI22222", "01600026"),
                (0, "SRV11113CLI22223", "18951020"),
                (0, "SRV11114CLI22224", "32528969"),
            ],
        );
    }

    /// RFC 6287, appendix C.3: a plain signature.
    #[test]
    fn the_rfcs_signature_vectors() {
        check(
            "OCRA-1:HOTP-SHA256-8:QA08",
            &[
                (0, "SIG10000", "53095496"),
                (0, "SIG11000", "04110475"),
                (0, "SIG12000", "31331128"),
                (0, "SIG13000", "76028668"),
                (0, "SIG14000", "46554205"),
            ],
        );
        check(
            "OCRA-1:HOTP-SHA512-8:QA10-T1M",
            &[
                (0, "SIG1000000", "77537423"),
                (0, "SIG1100000", "31970405"),
                (0, "SIG1200000", "10235557"),
                (0, "SIG1300000", "95213541"),
                (0, "SIG1400000", "65360607"),
            ],
        );
    }

    #[test]
    fn what_is_no_suite_is_refused() {
        for text in [
            "",
            "OCRA-1",
            "OCRA-2:HOTP-SHA1-6:QN08",
            "OCRA-1:HOTP-SHA1-6:QN08:more",
            "OCRA-1:HOTP-MD5-6:QN08",
            "OCRA-1:HOTP-SHA1-0:QN08",
            "OCRA-1:HOTP-SHA1-3:QN08",
            "OCRA-1:HOTP-SHA1-11:QN08",
            "OCRA-1:HOTP-SHA1-6:C",
            "OCRA-1:HOTP-SHA1-6:QN03",
            "OCRA-1:HOTP-SHA1-6:QN65",
            "OCRA-1:HOTP-SHA1-6:QN8",
            "OCRA-1:HOTP-SHA1-6:QX08",
            "OCRA-1:HOTP-SHA1-6:QN08-C",
            "OCRA-1:HOTP-SHA1-6:QN08-QN08",
            "OCRA-1:HOTP-SHA1-6:QN08-PMD5",
            "OCRA-1:HOTP-SHA1-6:QN08-S000",
            "OCRA-1:HOTP-SHA1-6:QN08-S513",
            "OCRA-1:HOTP-SHA1-6:QN08-T0S",
            "OCRA-1:HOTP-SHA1-6:QN08-T60S",
            "OCRA-1:HOTP-SHA1-6:QN08-T60M",
            "OCRA-1:HOTP-SHA1-6:QN08-T49H",
            "OCRA-1:HOTP-SHA1-6:QN08-T01M",
            "OCRA-1:HOTP-SHA1-6:QN08-",
        ] {
            assert!(text.parse::<Suite>().is_err(), "{text}");
        }
        for text in ["OCRA-1:HOTP-SHA1-6:QN64-T48H", "OCRA-1:HOTP-SHA256-10:C-QH04-PSHA512-S512-T59S"] {
            assert_eq!(text.parse::<Suite>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn inputs_that_do_not_fit_are_refused() {
        let suite: Suite = "OCRA-1:HOTP-SHA256-8:QN08-PSHA1-S004-T1M".parse().unwrap();
        let good = Inputs {
            counter: 0,
            question: "12345678",
            pin_hash: &[1; 20],
            session: &[1; 4],
            time: Some(UnixTime::from_nanos(0)),
        };
        assert!(suite.key(&[7; 32], &good).is_ok());
        for (inputs, why) in [
            (Inputs { question: "", ..good }, InputError::Question),
            (Inputs { question: "1234567a", ..good }, InputError::Question),
            (Inputs { question: "12345678901234567", ..good }, InputError::Question),
            (Inputs { question: "\u{ff11}\u{ff12}", ..good }, InputError::Question),
            (Inputs { pin_hash: &[1; 19], ..good }, InputError::Pin),
            (Inputs { session: &[1; 5], ..good }, InputError::Session),
            (Inputs { time: None, ..good }, InputError::Time),
            (Inputs { time: Some(UnixTime::from_nanos(-1)), ..good }, InputError::Time),
        ] {
            assert_eq!(suite.key(&[7; 32], &inputs).err(), Some(why));
        }
    }

    proptest! {
        #[test]
        fn numbers_become_hexadecimal(value: u64) {
            let nibbles = decimal_to_nibbles(&value.to_string()).unwrap();
            let text: String = nibbles.iter().map(|nibble| format!("{nibble:x}")).collect();
            prop_assert_eq!(text, format!("{value:x}"));
        }

        #[test]
        fn no_text_panics(text in "(OCRA-1:)?(HOTP-SHA1-6:)?\\PC{0,40}", question in "\\PC{0,200}") {
            if let Ok(suite) = text.parse::<Suite>() {
                prop_assert_eq!(suite.to_string(), text);
                let _ = suite.key(&[7; 20], &Inputs { question: &question, ..Inputs::default() });
            }
        }
    }
}
