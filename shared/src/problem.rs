//! What is wrong with a file that a person wrote, and what to do about it: one shape for device
//! profiles and for the gateway's configuration, in text and in JSON.

use std::fmt;

use serde::Serialize;

/// One mistake in one file. Checkers report all of them, in order of line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// The file, as it was named to us.
    pub file: String,
    /// The line, counted from 1; `None` when the mistake has no place (a file that cannot be read).
    pub line: Option<usize>,
    /// The key, with its path: `area.meter.registers.voltage_l1.scale`; empty for the file itself.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)?;
        if !self.remedy.is_empty() {
            write!(f, "; {}", self.remedy)?;
        }
        Ok(())
    }
}

/// The line, counted from 1, of the byte at `offset` of `text`.
pub fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|&byte| byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_as_a_line_that_an_editor_can_jump_to() {
        let problem = Problem {
            file: "edge.toml".into(),
            line: Some(7),
            key: "bus.0.port".into(),
            message: "`ttyUSB0` is no path".into(),
            remedy: "write `/dev/ttyUSB0`".into(),
        };
        assert_eq!(problem.to_string(), "edge.toml:7: bus.0.port: `ttyUSB0` is no path; write `/dev/ttyUSB0`");
    }

    #[test]
    fn lines_count_from_one() {
        for (offset, line) in [(0, 1), (1, 1), (2, 2), (3, 3), (99, 3)] {
            assert_eq!(line_at("a\n\nb", offset), line, "{offset}");
        }
    }
}
