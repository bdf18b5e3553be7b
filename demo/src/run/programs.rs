//! What the demo needs from the machine: the two programs, and free ports.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

/// Something that the demo needs is missing or taken.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// A program is not where it should be.
    #[error("there is no {}; build it (cargo build -p {name}), or name its folder with --bin-dir", path.display())]
    NoProgram { name: &'static str, path: PathBuf },
    /// Another port has to be chosen.
    #[error("port {port} cannot be taken; choose another one with {option}")]
    Port { port: u16, option: &'static str, source: io::Error },
}

/// The programs that run beside this one.
#[derive(Debug)]
pub struct Programs {
    pub cloud: PathBuf,
    pub edge: PathBuf,
}

impl Programs {
    /// Both, from one folder.
    pub fn find(folder: &Path) -> Result<Programs, ProgramError> {
        let find = |name| {
            let path = folder.join(name);
            if path.is_file() { Ok(path) } else { Err(ProgramError::NoProgram { name, path }) }
        };
        Ok(Programs { cloud: find("riverwatts-cloud")?, edge: find("riverwatts-edge")? })
    }
}

/// `port` when it is free on the loopback, or any free one for 0. It is free only now: whoever
/// takes it next says so itself.
pub fn free_port(port: u16, option: &'static str) -> Result<u16, ProgramError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let free = listener.and_then(|listener| listener.local_addr());
    free.map(|address| address.port()).map_err(|source| ProgramError::Port { port, option, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_its_option() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let message = free_port(port, "--cloud-port").unwrap_err().to_string();
        assert!(message.contains(&port.to_string()) && message.contains("--cloud-port"), "{message}");
        assert_ne!(free_port(0, "--cloud-port").unwrap(), 0);
    }

    #[test]
    fn a_missing_program_is_named_with_what_to_do() {
        let message = Programs::find(Path::new("/nowhere")).unwrap_err().to_string();
        assert!(message.contains("/nowhere/riverwatts-cloud") && message.contains("--bin-dir"), "{message}");
    }
}
