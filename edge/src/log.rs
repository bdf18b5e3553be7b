//! Logs on stderr, as `LOG_FORMAT` (`text` or `json`) and `LOG_LEVEL` ask.

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::LevelFilter;

/// Why the log cannot be begun.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LogError {
    /// `LOG_FORMAT` is neither.
    #[error("LOG_FORMAT is `{0}`; write text or json")]
    Format(String),
    /// `LOG_LEVEL` is none.
    #[error("LOG_LEVEL is `{0}`; write error, warn, info, debug or trace")]
    Level(String),
}

/// Begins to log. `format` and `level` are what the environment says.
///
/// # Errors
/// For words that mean nothing.
pub fn begin(format: Option<&str>, level: Option<&str>) -> Result<(), LogError> {
    let (json, level) = read(format, level)?;
    let lines = tracing_subscriber::fmt().with_writer(io::stderr).with_max_level(level);
    if json {
        lines.json().flatten_event(true).with_current_span(false).with_span_list(false).init();
    } else {
        lines.with_ansi(io::stderr().is_terminal()).init();
    }
    Ok(())
}

/// Whether to write JSON, and how much.
fn read(format: Option<&str>, level: Option<&str>) -> Result<(bool, LevelFilter), LogError> {
    let json = match format {
        None | Some("" | "text") => false,
        Some("json") => true,
        Some(other) => return Err(LogError::Format(other.to_owned())),
    };
    let level = match level {
        None | Some("") => LevelFilter::INFO,
        Some(word) => match word.to_ascii_lowercase().as_str() {
            "error" => LevelFilter::ERROR,
            "warn" | "warning" => LevelFilter::WARN,
            "info" => LevelFilter::INFO,
            "debug" => LevelFilter::DEBUG,
            "trace" => LevelFilter::TRACE,
            _ => return Err(LogError::Level(word.to_owned())),
        },
    };
    Ok((json, level))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_or_refused() {
        assert_eq!(read(None, None), Ok((false, LevelFilter::INFO)));
        assert_eq!(read(Some("json"), Some("WARN")), Ok((true, LevelFilter::WARN)));
        assert_eq!(read(Some("xml"), None), Err(LogError::Format("xml".to_owned())));
        assert_eq!(read(None, Some("loud")), Err(LogError::Level("loud".to_owned())));
    }
}
