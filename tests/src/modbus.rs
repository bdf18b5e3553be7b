//! The foreign Modbus server of `modbus_server.py`, and orders to it.

use std::path::Path;
use std::time::Duration;

use riverwatts_shared::time::UtcMs;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::place::{free_port, python, repository};
use crate::program::{Program, command};

/// How long an order may take, and the start of Python.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// Which registers.
#[derive(Debug, Clone, Copy)]
pub enum Table {
    /// Function code 3.
    Holding,
    /// Function code 4.
    Input,
}

/// A Modbus server with some units.
#[derive(Debug)]
pub struct ModbusServer {
    address: String,
    speech: Mutex<Speech>,
    _program: Program,
    _folder: TempDir,
}

#[derive(Debug)]
struct Speech {
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

/// A number that the counter of a unit has served, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// Grows by one with every answer.
    pub number: u64,
    /// When the server answered.
    pub at: UtcMs,
}

impl ModbusServer {
    /// Answers for `units` on a port of the loopback.
    pub async fn tcp(units: &[u8]) -> ModbusServer {
        Self::socket("tcp", units).await
    }

    /// The same with RTU frames in the socket.
    pub async fn rtu_tcp(units: &[u8]) -> ModbusServer {
        Self::socket("rtu-tcp", units).await
    }

    async fn socket(kind: &str, units: &[u8]) -> ModbusServer {
        let port = free_port();
        Self::start(kind, &port.to_string(), format!("127.0.0.1:{port}"), units).await
    }

    /// Answers for `units` on a serial port.
    pub async fn rtu(port: &Path, units: &[u8]) -> ModbusServer {
        let port = port.display().to_string();
        Self::start("rtu", &port, port.clone(), units).await
    }

    async fn start(kind: &str, place: &str, address: String, units: &[u8]) -> ModbusServer {
        let folder = tempfile::tempdir().unwrap();
        let mut command = command(&python());
        command.arg(repository("tests/modbus_server.py")).args([kind, place]);
        command.args(units.iter().map(u8::to_string)).env("PYTHONDONTWRITEBYTECODE", "1");
        let mut program = Program::speaking(command, &folder.path().join("modbus.log"));
        let orders = program.child().stdin.take().unwrap();
        let answers = BufReader::new(program.child().stdout.take().unwrap()).lines();
        let mut speech = Speech { orders, answers };
        assert_eq!(speech.hear().await, json!("ready"));
        ModbusServer { address, speech: Mutex::new(speech), _program: program, _folder: folder }
    }

    /// Where a gateway finds it: `127.0.0.1:port`, or the path of its own end of the line.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Sets registers from `at` on.
    pub async fn set(&self, unit: u8, table: Table, at: u16, words: &[u16]) {
        let table = match table {
            Table::Holding => "holding",
            Table::Input => "input",
        };
        self.tell(json!({"do": "set", "unit": unit, "table": table, "at": at, "words": words})).await;
    }

    /// Lets a unit answer nothing any more, or answer again.
    pub async fn silence(&self, unit: u8, on: bool) {
        self.tell(json!({"do": "silence", "unit": unit, "on": on})).await;
    }

    /// Lets the holding registers 0 and 1 of a unit count its answers.
    pub async fn count(&self, unit: u8) {
        self.tell(json!({"do": "count", "unit": unit})).await;
    }

    /// How many requests came to a unit.
    pub async fn requests(&self, unit: u8) -> u64 {
        self.tell(json!({"do": "requests", "unit": unit})).await.as_u64().unwrap()
    }

    /// What the counter of a unit has served.
    pub async fn served(&self, unit: u8) -> Vec<Served> {
        let served = self.tell(json!({"do": "served", "unit": unit})).await;
        let read = |pair: &Value| Served { number: pair[0].as_u64().unwrap(), at: UtcMs(pair[1].as_i64().unwrap()) };
        served.as_array().unwrap().iter().map(read).collect()
    }

    /// Lets a unit take writes.
    pub async fn open(&self, unit: u8) {
        self.tell(json!({"do": "open", "unit": unit})).await;
    }

    /// Every write that came to a unit, taken or not: function code, address, words or coils.
    pub async fn written(&self, unit: u8) -> Vec<(u8, u16, Vec<u16>)> {
        let written = self.tell(json!({"do": "written", "unit": unit})).await;
        serde_json::from_value(written).unwrap()
    }

    async fn tell(&self, order: Value) -> Value {
        let mut speech = self.speech.lock().await;
        speech.orders.write_all(format!("{order}\n").as_bytes()).await.unwrap();
        speech.hear().await
    }
}

impl Speech {
    async fn hear(&mut self) -> Value {
        let line = timeout(ANSWER_WITHIN, self.answers.next_line()).await.expect("the Modbus server does not answer");
        serde_json::from_str(&line.unwrap().expect("the Modbus server ended")).unwrap()
    }
}

/// The two registers of a float, high word first.
pub fn f32_words(number: f32) -> [u16; 2] {
    u32_words(number.to_bits())
}

/// The two registers of a number, high word first.
pub const fn u32_words(number: u32) -> [u16; 2] {
    [(number >> 16) as u16, number as u16]
}
