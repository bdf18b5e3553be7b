//! Reads any registers, one by one where the device refuses them together.

use std::str::FromStr;

use riverwatts_shared::profile::{Function, REGISTERS_PER_REQUEST_MAX};
use serde::Serialize;

use super::session::{Ended, Session};
use crate::bus::wire::Failure;

/// Most registers that are read at once.
pub const REGISTERS_MAX: u32 = 4_096;
/// Most requests spent on finding out which of them the device refuses.
pub const EXTRA_MAX: usize = 512;
/// Silences in a row, among answers or not, after which the rest is given up.
const SILENCES_MAX: u32 = 4;

/// Addresses to read, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write it like 100, 100..119 or 100+20, counted from 0 as on the wire".to_owned();
        let (first, last) = match (text.split_once(".."), text.split_once('+')) {
            (Some((first, last)), _) => {
                let (first, last) = (address(first), address(last.trim_start_matches('=')));
                (first, last)
            }
            (_, Some((first, count))) => {
                let first = address(first);
                let count = address(count).and_then(|count| count.checked_sub(1));
                (first, first.zip(count).map(|(first, count)| first + count))
            }
            _ => (address(text), address(text)),
        };
        let (first, last) = first.zip(last).ok_or_else(wrong)?;
        if last > 0xFFFF {
            return Err("addresses end at 65535; a manual's 40001 is 0 with --function holding".to_owned());
        }
        if last < first || last - first >= REGISTERS_MAX {
            return Err(format!("at most {REGISTERS_MAX} registers, the first one first"));
        }
        Ok(Span { first: first as u16, last: last as u16 })
    }
}

fn address(text: &str) -> Option<u32> {
    let text = text.trim();
    let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    };
    number.filter(|number| *number <= 1 << 17)
}

/// One register and what it brought.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Read {
    /// PDU address.
    pub address: u16,
    /// Its word; 0 or 1 for a coil.
    pub word: Option<u16>,
    /// Why there is none.
    pub error: Option<String>,
}

/// Reads a span; what was read so far is in `found` also when it ends early.
///
/// # Errors
/// When there are to be no more requests.
pub async fn read(
    session: &mut Session,
    unit: u8,
    function: Function,
    span: Span,
    found: &mut Vec<Read>,
) -> Result<(), Ended> {
    let most = u32::from(REGISTERS_PER_REQUEST_MAX);
    let (first, end) = (u32::from(span.first), u32::from(span.last) + 1);
    // Even cuts, so that values of two registers stay together.
    let step = (most - most % 2) as usize;
    let mut waiting: Vec<(u32, u32)> =
        (first..end).step_by(step).map(|start| (start, (end - start).min(step as u32))).rev().collect();
    let (mut left, mut silences) = (waiting.len() + EXTRA_MAX, 0);
    while let Some((start, count)) = waiting.pop() {
        let mut give_up = |error: String| {
            found.extend((start..start + count).map(|at| Read {
                address: at as u16,
                word: None,
                error: Some(error.clone()),
            }));
        };
        if left == 0 || silences >= SILENCES_MAX {
            give_up("not asked: too much before it brought nothing".to_owned());
            continue;
        }
        left -= 1;
        let failure = match session.read(unit, function, start as u16, count as u16).await? {
            Ok(words) => {
                silences = 0;
                let addressed = (start..).zip(words);
                found.extend(addressed.map(|(at, word)| Read { address: at as u16, word: Some(word), error: None }));
                continue;
            }
            Err(failure) => failure,
        };
        let halve = match failure {
            Failure::Exception(2..=4) => true,
            Failure::Silent(_) => {
                silences += 1;
                session.heard()
            }
            _ => false,
        };
        if halve && count > 1 {
            let half = (count / 2).next_multiple_of(2).min(count - 1);
            waiting.extend([(start + half, count - half), (start, half)]);
        } else {
            give_up(failure.to_string());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_in_three_ways() {
        let span = |first, last| Ok(Span { first, last });
        for (text, expected) in [
            ("100", span(100, 100)),
            ("0x64", span(100, 100)),
            ("100..119", span(100, 119)),
            ("100+20", span(100, 119)),
            ("0..0", span(0, 0)),
            ("65535", span(65_535, 65_535)),
            ("0+4096", span(0, 4_095)),
        ] {
            assert_eq!(text.parse::<Span>(), expected, "{text}");
        }
        for text in ["", "x", "5..4", "0+0", "0+5000", "65535+2", "65536", "1..", "-1", "400001"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
