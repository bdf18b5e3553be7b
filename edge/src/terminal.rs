//! Asking for a new password: what is typed is not shown, and the terminal is as before however that ends.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;

/// Most bytes of a line.
const LINE_BYTES_MAX: usize = 4_096;
/// What Ctrl-C sends: here it ends the line, so that the terminal can be put right.
const INTERRUPT: u8 = 3;

/// A new password: a line of standard input, or twice the same from the terminal.
///
/// # Errors
/// When there is none to be had, or the two differ.
pub fn new_password(from_stdin: bool) -> io::Result<String> {
    if from_stdin {
        return Ok(io::stdin().lines().next().transpose()?.unwrap_or_default());
    }
    let no_terminal = |error| io::Error::other(format!("{error}; or give it by --stdin"));
    let mut terminal = Silent::new().map_err(no_terminal)?;
    let password = terminal.ask("New password of the panel: ")?;
    if terminal.ask("The same again: ")? == password {
        Ok(password)
    } else {
        Err(io::Error::other("the two differ; nothing was changed"))
    }
}

/// The terminal of whoever runs the program, silent until it is dropped.
struct Silent {
    lines: BufReader<File>,
    before: libc::termios,
}

impl Silent {
    /// The terminal, also where standard input is something else.
    fn new() -> io::Result<Self> {
        let terminal = File::options().read(true).write(true).open("/dev/tty")?;
        let before = modes(&terminal)?;
        let mut silent = before;
        silent.c_lflag &= !(libc::ECHO | libc::ISIG);
        silent.c_cc[libc::VEOL] = INTERRUPT;
        set_modes(&terminal, &silent)?;
        Ok(Silent { lines: BufReader::new(terminal), before })
    }

    /// Asks, and gives what was typed.
    fn ask(&mut self, question: &str) -> io::Result<String> {
        self.lines.get_mut().write_all(question.as_bytes())?;
        let mut line = Vec::new();
        for byte in self.lines.by_ref().bytes().take(LINE_BYTES_MAX) {
            match byte? {
                b'\n' => break,
                INTERRUPT => return Err(io::Error::other("interrupted")),
                byte => line.push(byte),
            }
        }
        self.lines.get_mut().write_all(b"\n")?;
        String::from_utf8(line).map_err(|_| io::Error::other("what was typed is no text"))
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // A terminal that is gone needs no modes.
        let _ = set_modes(self.lines.get_ref(), &self.before);
    }
}

#[expect(unsafe_code, reason = "the modes of a terminal have no safe wrapper among our dependencies")]
fn modes(terminal: &File) -> io::Result<libc::termios> {
    let mut modes = MaybeUninit::uninit();
    // SAFETY: the descriptor is open, and the kernel writes a struct of exactly this layout when it says 0.
    match unsafe { libc::tcgetattr(terminal.as_raw_fd(), modes.as_mut_ptr()) } {
        // SAFETY: it said 0.
        0 => Ok(unsafe { modes.assume_init() }),
        _ => Err(io::Error::last_os_error()),
    }
}

#[expect(unsafe_code, reason = "the modes of a terminal have no safe wrapper among our dependencies")]
fn set_modes(terminal: &File, modes: &libc::termios) -> io::Result<()> {
    // SAFETY: the descriptor is open, and the kernel only reads the struct.
    match unsafe { libc::tcsetattr(terminal.as_raw_fd(), libc::TCSAFLUSH, modes) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
