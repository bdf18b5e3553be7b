//! What the kernel says of a process.

/// A process of this machine, by its id.
#[derive(Debug, Clone, Copy)]
pub struct Process(pub u32);

impl Process {
    /// This one.
    pub fn own() -> Process {
        Process(std::process::id())
    }

    /// Resident memory.
    pub fn rss_mib(self) -> f64 {
        let status = self.file("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("every process has it");
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }

    /// User and system time so far, in seconds.
    pub fn cpu_s(self) -> f64 {
        let stat = self.file("stat");
        // The name, which may hold anything, ends with the last parenthesis.
        let fields: Vec<&str> =
            stat.rsplit_once(')').expect("its name is in parentheses").1.split_whitespace().collect();
        let ticks = |field: usize| fields[field].parse::<f64>().unwrap();
        (ticks(11) + ticks(12)) / 100.0
    }

    fn file(self, name: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{name}", self.0)).unwrap()
    }
}
