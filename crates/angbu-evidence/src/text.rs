//! The one spelling of numbers and bytes inside the log's texts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Bytes as standard base64 with padding.
pub(crate) fn encode64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// The bytes of a standard base64 text with padding; other spellings of the same bytes are refused.
pub(crate) fn decode64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// A decimal number of at least 0, without sign or leading zeros.
pub(crate) fn unsigned(text: &str) -> Option<u64> {
    let canonical = text == "0" || text.starts_with(|first: char| ('1'..='9').contains(&first));
    if canonical { text.parse().ok() } else { None }
}

/// A decimal number, with "-" where it is below 0 and without leading zeros.
pub(crate) fn signed(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let canonical = digits.starts_with(|first: char| ('1'..='9').contains(&first)) || text == "0";
    if canonical { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_have_one_spelling() {
        for text in ["", "-", "+1", "01", "-0", "00", " 1", "1 ", "1_000", "0x1", "18446744073709551616", "١"]
        {
            assert_eq!(unsigned(text), None, "{text}");
            assert_eq!(signed(text), None, "{text}");
        }
        assert_eq!(unsigned("-1"), None);
        assert_eq!(unsigned("18446744073709551615"), Some(u64::MAX));
        assert_eq!(signed("-9223372036854775808"), Some(i64::MIN));
    }

    #[test]
    fn base64_has_one_spelling() {
        for text in ["AA", "AA=", "AB==", "AA==\n", "A A==", "AA===", "-_=="] {
            assert_eq!(decode64(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_reads_back_is_canonical(text in "-?[0-9]{1,20}", bytes: Vec<u8>, base in "[A-Za-z0-9+/]{0,8}={0,2}") {
            if let Some(number) = unsigned(&text) {
                prop_assert_eq!(number.to_string(), text.clone());
            }
            if let Some(number) = signed(&text) {
                prop_assert_eq!(number.to_string(), text);
            }
            prop_assert_eq!(decode64(&encode64(&bytes)), Some(bytes));
            if let Some(decoded) = decode64(&base) {
                prop_assert_eq!(encode64(decoded), base);
            }
        }
    }
}
