//! Checks of bodies beyond their types: collects every mistake before it refuses.

use jiff::tz::TimeZone;

use super::error::{ApiError, FieldError};
use crate::auth::password;
use crate::db::column::Object;

/// Largest `metadata` of a record, in bytes of JSON.
const OBJECT_BYTES_MAX: usize = 16 << 10;
/// Longest e-mail address (the plan's column).
pub const EMAIL_CHARS_MAX: usize = 255;
/// Longest device key: `<site uuid>/<key>` must fit a serial number of 100.
pub const KEY_BYTES_MAX: usize = 63;
/// Largest capacity in kW that the plan's DECIMAL(10, 2) holds.
pub const CAPACITY_KW_MAX: f64 = 99_999_999.99;

/// The mistakes found so far.
#[derive(Debug, Default)]
pub struct Check {
    mistakes: Vec<FieldError>,
}

impl Check {
    /// Refuses when there was any mistake.
    pub fn done(self) -> Result<(), ApiError> {
        if self.mistakes.is_empty() { Ok(()) } else { Err(ApiError::validation(self.mistakes)) }
    }

    /// The mistakes found so far.
    pub fn mistakes(&self) -> &[FieldError] {
        &self.mistakes
    }

    /// Notes a mistake.
    pub fn mistake(&mut self, field: &str, message: impl Into<String>) {
        self.mistakes.push(FieldError::new(field, message));
    }

    /// Text with something in it, of at most `chars_max` characters, none of them a control.
    pub fn text(&mut self, field: &str, value: Option<&String>, chars_max: usize) {
        let Some(value) = value else { return };
        if value.trim().is_empty() {
            self.mistake(field, "is empty");
        } else if value.chars().count() > chars_max {
            self.mistake(field, format!("is longer than {chars_max} characters"));
        } else if value.chars().any(char::is_control) {
            self.mistake(field, "has control characters");
        }
    }

    /// A number within `[min, max]`.
    pub fn number(&mut self, field: &str, value: Option<f64>, min: f64, max: f64) {
        if value.is_some_and(|value| !(min..=max).contains(&value)) {
            self.mistake(field, format!("is between {min} and {max}"));
        }
    }

    /// A capacity in kW.
    pub fn capacity(&mut self, value: Option<f64>) {
        self.number("capacity_kw", value, 0.0, CAPACITY_KW_MAX);
    }

    /// An e-mail address, roughly: something, `@`, something that neither begins nor ends with a dot.
    pub fn email(&mut self, value: Option<&String>) {
        let Some(value) = value else { return };
        let plain = !value.chars().any(|c| c.is_whitespace() || c.is_control());
        let parts = value.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty()
                && !domain.is_empty()
                && !domain.contains('@')
                && !domain.starts_with('.')
                && !domain.ends_with('.')
        });
        if !plain || !parts || value.chars().count() > EMAIL_CHARS_MAX {
            self.mistake("email", "is no e-mail address");
        }
    }

    /// A password that somebody chooses.
    pub fn password(&mut self, field: &str, value: Option<&String>) {
        if value.is_some_and(|value| !password::LENGTH.contains(&value.chars().count())) {
            let (min, max) = password::LENGTH.into_inner();
            self.mistake(field, format!("is between {min} and {max} characters long"));
        }
    }

    /// The key of a device in `edge.toml`.
    pub fn key(&mut self, value: Option<&String>) {
        let Some(value) = value else { return };
        let plain = value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if value.is_empty() || value.len() > KEY_BYTES_MAX || !plain {
            self.mistake("key", format!("is 1 to {KEY_BYTES_MAX} of a-z, 0-9 and hyphen"));
        }
    }

    /// An IANA time zone.
    pub fn timezone(&mut self, value: Option<&String>) {
        if value.is_some_and(|value| TimeZone::get(value).is_err()) {
            self.mistake("timezone", "is no IANA time zone like America/Anchorage");
        }
    }

    /// An ISO 4217 code.
    pub fn currency(&mut self, value: Option<&String>) {
        if value.is_some_and(|value| value.len() != 3 || !value.bytes().all(|byte| byte.is_ascii_uppercase())) {
            self.mistake("currency", "is no ISO 4217 code like USD");
        }
    }

    /// A free object of bounded size.
    pub fn object(&mut self, field: &str, value: Option<&Object>) {
        if value.is_some_and(|value| value.to_string().len() > OBJECT_BYTES_MAX) {
            self.mistake(field, format!("is larger than {OBJECT_BYTES_MAX} bytes"));
        }
    }
}
