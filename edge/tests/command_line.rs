//! The program itself: its documents, its exit codes, its end.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long the program may take to end once it is told to.
const END_WITHIN: Duration = Duration::from_secs(10);

fn edge() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_riverwatts-edge"));
    command.env_clear().stdin(Stdio::null());
    command
}

fn ends(arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = edge().args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn config(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("edge.toml");
    std::fs::write(&path, text).unwrap();
    let path = path.display().to_string();
    (folder, path)
}

#[test]
fn wrong_arguments_are_64() {
    for arguments in [&[][..], &["fly"], &["run", "--cofig", "x"], &["run", "--set", "panel"], &["enroll"]] {
        let (code, stdout, stderr) = ends(arguments);
        assert_eq!((code, stdout.as_str()), (64, ""), "{arguments:?}");
        assert!(!stderr.is_empty());
    }
    assert_eq!(ends(&["--version"]).0, 0);
    assert_eq!(ends(&["run", "--help"]).0, 0);
    let output = edge().args(["default-config"]).env("LOG_LEVEL", "loud").output().unwrap();
    assert_eq!(output.status.code(), Some(64));
}

#[test]
fn the_default_configuration_is_one_that_check_likes() {
    let (code, example, stderr) = ends(&["default-config"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let (_folder, path) = config(&example);
    let (code, stdout, _) = ends(&["check", "--config", &path, "--json"]);
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        (code, &report["problems"], &report["buses"]),
        (0, &Value::from(Vec::<Value>::new()), &Value::from(Vec::<Value>::new()))
    );
}

#[test]
fn a_wrong_configuration_is_78_everywhere_and_starts_nothing() {
    let store = tempfile::tempdir().unwrap();
    let dir = store.path().join("store");
    let (_folder, path) = config(&format!("[store]\ndir = \"{}\"\nflush = 3\n[panel]\nlisen = \"x\"\n", dir.display()));
    let (code, stdout, _) = ends(&["check", "--json", "--config", &path]);
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, report["problems"].as_array().unwrap().len()), (78, 2));
    let problem = &report["problems"][1];
    assert_eq!((problem["file"].as_str(), problem["line"].as_u64()), (Some(path.as_str()), Some(5)));
    assert_eq!(
        (problem["key"].as_str(), problem["remedy"].as_str()),
        (Some("panel.lisen"), Some("did you mean `listen`?"))
    );
    for command in ["run", "status"] {
        let (code, stdout, stderr) = ends(&[command, "--config", &path]);
        assert_eq!((code, stdout.as_str()), (78, ""), "{command}");
        assert!(
            stderr.contains("edge.toml:3: store.flush: ") && stderr.contains("edge.toml:5: panel.lisen: "),
            "{stderr}"
        );
    }
    assert!(!dir.exists(), "nothing was started");
}

#[test]
fn what_is_missing_is_69() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store").display().to_string();
    let (_folder, path) =
        config(&format!("[store]\ndir = \"{store}\"\n[panel]\nlisten = \"{}\"\n", taken.local_addr().unwrap()));
    let (code, _, stderr) = ends(&["run", "--config", &path]);
    assert_eq!(code, 69, "{stderr}");
    assert!(stderr.contains("panel cannot listen at"), "{stderr}");
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, _, stderr) = ends(&["status", "--config", &path, "--set", &format!("panel.listen={free}")]);
    assert_eq!(code, 69);
    assert!(stderr.contains("the gateway is not running"), "{stderr}");
}

struct Running {
    child: Child,
    address: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Ended already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the gateway and waits until its panel answers.
fn start(path: &str) -> Running {
    start_by(edge(), path)
}

fn start_by(mut command: Command, path: &str) -> Running {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    command.args(["run", "--config", path]).env("RIVERWATTS_PANEL_LISTEN", free.to_string()).env("LOG_FORMAT", "json");
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let running = Running { child, address: free.to_string() };
    let deadline = Instant::now() + END_WITHIN;
    while get(&running.address, "/healthz").is_none() {
        assert!(Instant::now() < deadline, "the panel never answered");
        std::thread::sleep(Duration::from_millis(20));
    }
    running
}

fn get(address: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[test]
fn a_store_in_use_is_69_and_one_of_a_newer_version_too() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    let (_folder, path) = config(&format!("[store]\ndir = \"{}\"\n", dir.display()));
    let running = start(&path);
    let (code, _, stderr) = ends(&["run", "--config", &path, "--set", "panel.listen="]);
    assert_eq!(code, 69);
    assert!(stderr.contains("is in use by another riverwatts-edge"), "{stderr}");
    drop(running);
    // The version stands at byte 60 of the file; its log would hide that.
    std::fs::remove_file(dir.join("store.db-wal")).unwrap();
    let mut bytes = std::fs::read(dir.join("store.db")).unwrap();
    bytes[60..64].copy_from_slice(&99u32.to_be_bytes());
    std::fs::write(dir.join("store.db"), bytes).unwrap();
    let (code, _, stderr) = ends(&["run", "--config", &path, "--set", "panel.listen="]);
    assert_eq!(code, 69, "{stderr}");
    assert!(stderr.contains("store.db was written by a newer version (99"), "{stderr}");
}

#[test]
fn a_gateway_of_many_buses_may_open_as_many_files() {
    for (buses, begins_with, raised) in [(1_024, 1_024, true), (1, 300, false)] {
        let folder = tempfile::tempdir().unwrap();
        let mut text = format!("[store]\ndir = \"{}\"\n", folder.path().join("store").display());
        for number in 1..=buses {
            text += &format!("[[bus]]\nid = \"lan-{number}\"\nkind = \"tcp\"\naddress = \"127.0.0.1:{number}\"\n");
        }
        let (_folder, path) = config(&text);
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -Sn {begins_with} && exec \"$0\" \"$@\"")]);
        command.arg(env!("CARGO_BIN_EXE_riverwatts-edge")).stdin(Stdio::null());
        let running = start_by(command, &path);
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", running.child.id())).unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
        let [soft, hard] = [3, 4].map(|column| line.split_whitespace().nth(column).unwrap());
        assert!(hard.parse::<u64>().unwrap() > 2_000, "the machine allows too little for this test: {line}");
        assert_eq!(soft, if raised { hard.to_owned() } else { begins_with.to_string() }, "{line}");
    }
}

/// Answers one request.
fn answer_once(status: &str, body: &str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = vec![0; 4_096];
        let length = stream.read(&mut request).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    (url, served)
}

#[test]
fn a_code_is_traded_for_a_credential_or_for_clear_words() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    let (_folder, path) = config(&format!("[store]\ndir = \"{}\"\n", dir.display()));
    let enroll = |url: &str| ends(&["enroll", "--cloud", url, "--code", "ABCD", "--config", &path]);
    let id = "01a20c3f-6bb5-70ef-a297-de2ed0933d15";
    let (url, served) = answer_once("200 OK", &format!("{{\"gateway_id\": \"{id}\", \"credential\": \"hush\"}}"));
    let (code, stdout, stderr) = enroll(&format!("{url}/"));
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert_eq!(
        serde_json::from_str::<Value>(&stdout).unwrap(),
        serde_json::json!({"gateway_id": id, "cloud": url, "devices": 0})
    );
    assert!(served.join().unwrap().starts_with("POST /api/v1/gateways/enroll "));
    let kept = std::fs::read_to_string(dir.join("credential.json")).unwrap();
    assert!(kept.contains("hush"));

    let (url, _) = answer_once("401 Unauthorized", "{}");
    let (code, stdout, stderr) = enroll(&url);
    assert_eq!((code, stdout.as_str()), (69, ""));
    assert!(stderr.contains("the cloud does not know this code"), "{stderr}");
    let (code, _, stderr) = enroll(&url);
    assert_eq!(code, 69);
    assert!(stderr.contains("cannot be reached: ") && stderr.contains("Connection refused"), "{stderr}");
    assert_eq!(std::fs::read_to_string(dir.join("credential.json")).unwrap(), kept, "the old one stays");
    assert_eq!(ends(&["enroll", "--cloud", "river", "--code", "A", "--config", &path]).0, 64);

    let other = id.replace("01a", "02b");
    let (url, _) = answer_once("200 OK", &format!("{{\"gateway_id\": \"{other}\", \"credential\": \"hush\"}}"));
    let (code, _, stderr) = enroll(&url);
    assert_eq!(code, 0);
    assert!(stderr.contains(&format!("the credential of gateway {id} was replaced")), "{stderr}");
}

#[test]
fn a_signal_ends_the_gateway_with_0_and_stdout_stays_empty() {
    for signal in ["-INT", "-TERM"] {
        let folder = tempfile::tempdir().unwrap();
        let (_folder, path) = config(&format!(
            "[store]\ndir = \"{}\"\n[[bus]]\nid = \"lan\"\nkind = \"tcp\"\naddress = \"127.0.0.1:1\"\n\
             [[device]]\nid = \"meter-1\"\nbus = \"lan\"\nprofile = \"eastron-sdm630\"\n",
            folder.path().join("store").display()
        ));
        let mut running = start(&path);
        let (code, stdout, _) =
            ends(&["status", "--json", "--config", &path, "--set", &format!("panel.listen={}", running.address)]);
        let status: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!((code, status["devices"][0]["id"].as_str()), (0, Some("meter-1")));

        let told = Instant::now();
        let kill = Command::new("sh").args(["-c", &format!("kill {signal} {}", running.child.id())]).status().unwrap();
        assert!(kill.success());
        let code = running.child.wait().unwrap().code();
        assert_eq!(code, Some(0), "{signal}");
        assert!(told.elapsed() < END_WITHIN);
        let mut stdout = String::new();
        running.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        assert_eq!(stdout, "");
        for line in BufReader::new(running.child.stderr.take().unwrap()).lines() {
            let line: Value = serde_json::from_str(&line.unwrap()).expect("each line of the log is JSON");
            for key in ["timestamp", "level", "target", "message"] {
                assert!(line[key].is_string(), "{key} is missing in {line}");
            }
        }
    }
}

/// The program with something on its standard input.
fn passwd(config: &str, input: &str, arguments: &[&str]) -> (i32, String) {
    let mut command = edge();
    command.args(["passwd", "--config", config]).args(arguments).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    // One that does not read its input has ended.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    assert_eq!(stdout, b"");
    (status.code().unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn a_password_is_set_replaced_and_removed_and_never_shown() {
    let (folder, path) = config("[store]\ndir = \"store\"\n");
    let file = folder.path().join("store/panel.password");
    let mut kept = Vec::new();
    for password in ["correct horse", "battery staple"] {
        let (code, words) = passwd(&path, &format!("{password}\nmore\n"), &["--stdin"]);
        assert_eq!((code, words.contains(password)), (0, false), "{words}");
        kept.push(std::fs::read_to_string(&file).unwrap());
    }
    assert!(kept[0] != kept[1] && kept.iter().all(|text| text.starts_with("$argon2id$")), "{kept:?}");
    for (input, words) in
        [("short\n", "this one has 5"), ("", "this one has 0"), (&"x".repeat(129), "this one has 129")]
    {
        let (code, told) = passwd(&path, input, &["--stdin"]);
        assert_eq!((code, told.contains(words)), (64, true), "{told}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), kept[1], "what is refused changes nothing");
    assert_eq!((passwd(&path, "", &["--remove"]).0, file.exists()), (0, false));
    assert_eq!(passwd(&path, "", &["--remove"]), (0, "there was no password\n".to_owned()));
    std::fs::write(&file, "").unwrap();
    std::fs::remove_dir_all(folder.path().join("store")).unwrap();
    std::fs::write(folder.path().join("store"), "").unwrap();
    let (code, words) = passwd(&path, "correct horse\n", &["--stdin"]);
    assert_eq!((code, words.contains("make store.dir writable")), (69, true), "{words}");
}
