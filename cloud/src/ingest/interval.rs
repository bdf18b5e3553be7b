//! The one part of a receipt that is of the moment: how often the gateway is to upload. Receipts are
//! kept without it.

/// How a kept receipt has it.
const UNSET: &[u8] = br#""upload_every_s":null"#;

/// A kept receipt with the interval that is wanted now.
pub fn with_interval(mut receipt: Vec<u8>, every_s: Option<u32>) -> Vec<u8> {
    // Quotes inside of strings are escaped, so this is found only where it is the field.
    if let Some(every_s) = every_s
        && let Some(at) = receipt.windows(UNSET.len()).rposition(|part| part == UNSET)
    {
        receipt.splice(at..at + UNSET.len(), format!(r#""upload_every_s":{every_s}"#).into_bytes());
    }
    receipt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_interval_changes() {
        let kept =
            br#"{"accepted":3,"rejected":[],"upload_every_s":null,"config_version":null,"commands":[]}"#.to_vec();
        assert_eq!(with_interval(kept.clone(), None), kept);
        let asked: serde_json::Value = serde_json::from_slice(&with_interval(kept.clone(), Some(1))).unwrap();
        let mut expected: serde_json::Value = serde_json::from_slice(&kept).unwrap();
        expected["upload_every_s"] = 1.into();
        assert_eq!(asked, expected);
    }
}
