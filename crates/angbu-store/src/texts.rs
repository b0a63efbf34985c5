//! Several texts in one sealed column: each with its length before it (4 bytes, big-endian).

use crate::StoreError;

pub(crate) fn encode<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    for text in texts {
        let length = u32::try_from(text.len())
            .map_err(|_| StoreError::Unfit { what: "a text is longer than 4 GiB".to_owned() })?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    Ok(bytes)
}

pub(crate) fn decode(mut bytes: &[u8]) -> Result<Vec<String>, StoreError> {
    let mut texts = Vec::new();
    while !bytes.is_empty() {
        let wrong = || StoreError::corrupt("a sealed column holds no texts");
        let (length, rest) = bytes.split_first_chunk().ok_or_else(wrong)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| wrong())?;
        let (text, rest) = rest.split_at_checked(length).ok_or_else(wrong)?;
        texts.push(std::str::from_utf8(text).map_err(|_| wrong())?.to_owned());
        bytes = rest;
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn texts_survive(texts: Vec<String>) {
            let bytes = encode(texts.iter().map(String::as_str)).unwrap();
            prop_assert_eq!(decode(&bytes).unwrap(), texts);
        }

        #[test]
        fn whatever_is_read_is_written_again(bytes: Vec<u8>) {
            if let Ok(texts) = decode(&bytes) {
                prop_assert_eq!(encode(texts.iter().map(String::as_str)).unwrap(), bytes);
            }
        }
    }
}
