//! Who has a serial port open, so that the technician knows what to stop.

use std::fs;
use std::path::Path;

/// Most programs that are named.
const NAMED_MAX: usize = 3;

/// Other programs that have a file open, as far as the system tells: of other people's programs to root only.
pub fn holders(file: &str) -> Vec<String> {
    let Ok(file) = fs::canonicalize(file) else { return Vec::new() };
    let own = std::process::id().to_string();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
    let numbered = processes.filter_map(|path| Some((path.file_name()?.to_str()?.to_owned(), path)));
    let others = numbered.filter(|(id, _)| *id != own && id.bytes().all(|byte| byte.is_ascii_digit()));
    let holding = others.filter(|(_, process)| has_open(process, &file));
    let named = holding.map(|(id, process)| {
        let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
        format!("{} (process {id})", name.trim())
    });
    named.take(NAMED_MAX).collect()
}

fn has_open(process: &Path, file: &Path) -> bool {
    let open = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    open.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|target| target == file)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn another_program_that_has_the_file_open_is_named_and_we_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("port");
        let file = fs::File::create(&path).unwrap();
        assert_eq!(holders(path.to_str().unwrap()), Vec::<String>::new());
        let mut other = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::from(file)).spawn().unwrap();
        // It has its name once it has begun.
        let expected = format!("cat (process {})", other.id());
        let found = (0..1_000).any(|_| holders(path.to_str().unwrap()) == [expected.as_str()]);
        other.kill().unwrap();
        other.wait().unwrap();
        assert!(found, "{expected}");
    }
}
