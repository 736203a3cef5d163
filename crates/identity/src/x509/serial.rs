//! Serial numbers of certificates.

use crate::key::KeyError;
use std::fmt;

/// A serial number of up to 16 octets, as SPIRE makes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SerialNumber([u8; 16]);

impl SerialNumber {
    /// A random number from 1 to 2^128 − 1.
    pub fn random() -> Result<Self, KeyError> {
        let mut octets = [0; 16];
        while octets == [0; 16] {
            aws_lc_rs::rand::fill(&mut octets).map_err(|_| KeyError::Failed)?;
        }
        Ok(Self(octets))
    }

    /// From big-endian octets.
    pub const fn from_bytes(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// The big-endian octets.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// In decimal: how SPIRE stores serial numbers, and the `serialNumber` of a CA's subject.
    pub fn to_decimal(&self) -> String {
        u128::from_be_bytes(self.0).to_string()
    }
}

impl fmt::Display for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_decimal())
    }
}

/// A big-endian magnitude of any length in decimal.
pub(crate) fn magnitude_to_decimal(magnitude: &[u8]) -> String {
    const GROUP: u64 = 1_000_000_000;
    // Little-endian groups of nine digits.
    let mut groups = vec![0u64];
    for octet in magnitude {
        let mut carry = u64::from(*octet);
        for group in &mut groups {
            let value = *group * 256 + carry;
            *group = value % GROUP;
            carry = value / GROUP;
        }
        if carry > 0 {
            groups.push(carry);
        }
    }
    let mut text = groups.pop().unwrap_or_default().to_string();
    for group in groups.iter().rev() {
        text.push_str(&format!("{group:09}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn random_numbers_differ() {
        assert_ne!(SerialNumber::random().unwrap(), SerialNumber::random().unwrap());
    }

    proptest! {
        #[test]
        fn decimal_is_right(number in any::<u128>()) {
            let octets = number.to_be_bytes();
            prop_assert_eq!(SerialNumber::from_bytes(octets).to_decimal(), number.to_string());
            prop_assert_eq!(magnitude_to_decimal(&octets), number.to_string());
        }
    }

    #[test]
    fn long_magnitudes() {
        assert_eq!(magnitude_to_decimal(&[]), "0");
        assert_eq!(magnitude_to_decimal(&[0xff; 20]), "1461501637330902918203684832716283019655932542975");
    }
}
