//! Every request to the virtual devices and what was said, one JSON object a line: what a gateway's
//! readings can be compared with.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use riverwatts_shared::time::{Clock, SystemClock};
use serde::Serialize;

use crate::faults::Reply;
use crate::modbus::frame::Request;

/// A file that grows.
#[derive(Debug)]
pub struct Log {
    file: Mutex<File>,
    clock: SystemClock,
}

#[derive(Serialize)]
struct Entry<'a> {
    time: String,
    device: &'a str,
    unit: u8,
    /// Function code and what follows, in hexadecimal.
    request: String,
    /// The same of what was said in a frame that is right, if any was.
    answer: Option<String>,
    faults: &'a [&'static str],
}

impl Log {
    /// Begins a file anew.
    pub fn create(path: &Path) -> io::Result<Arc<Log>> {
        Ok(Arc::new(Log { file: Mutex::new(File::create(path)?), clock: SystemClock::default() }))
    }

    /// Adds a line; what cannot be written is told, and the devices go on.
    pub fn write(&self, device: &str, request: &Request<'_>, reply: &Reply) {
        let entry = Entry {
            time: self.clock.wall().to_string(),
            device,
            unit: request.unit,
            request: hexadecimal(request.pdu),
            answer: reply.said.as_deref().map(hexadecimal),
            faults: &reply.faults,
        };
        let line = serde_json::to_string(&entry).expect("texts and numbers become JSON") + "\n";
        let mut file = self.file.lock().expect("never poisoned: nothing panics inside");
        if let Err(error) = file.write_all(line.as_bytes()) {
            tracing::warn!(%error, "a request is missing in the log");
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
