//! What the guides tell a reader to do works: their files and commands, in order, in a clean folder.
//!
//! A file is a block of TOML whose first line is a comment that begins with its name. A command is a block of
//! `sh`; one that ends with `&` runs on. A line that begins with an arrow says, in backticks, what the command
//! before it tells; `exit code 78` there, that it must fail so.

use std::path::Path;

use riverwatts_tests::deadline::{SOON, until};
use riverwatts_tests::place::{free_port, program, repository};
use riverwatts_tests::program::{Program, command, errand};
use tokio::process::Command;

/// Ports that the guides name, for which the test takes free ones.
const PORTS: [&str; 5] = ["5020", "5021", "5022", "8080", "8081"];

#[derive(Debug)]
enum Step {
    File { name: String, text: String },
    Command { text: String, told: Vec<String>, code: i32 },
}

/// The steps of a guide.
fn steps(guide: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for (index, part) in guide.split("\n```").enumerate() {
        let (head, body) = part.split_once('\n').unwrap_or((part, ""));
        match (index % 2, head) {
            (1, "sh") => steps.push(Step::Command { text: body.to_owned(), told: Vec::new(), code: 0 }),
            (1, "toml") => {
                let name = body.lines().next().and_then(|line| line.strip_prefix("# "));
                let name = name.and_then(|line| line.split([':', ' ']).next()).filter(|name| name.ends_with(".toml"));
                steps.extend(name.map(|name| Step::File { name: name.to_owned(), text: body.to_owned() }));
            }
            (1, _) => {}
            _ => {
                let answer = body.trim_start().lines().next().and_then(|line| line.strip_prefix('→'));
                let (Some(answer), Some(Step::Command { told, code, .. })) = (answer, steps.last_mut()) else {
                    continue;
                };
                told.extend(answer.split('`').skip(1).step_by(2).map(str::to_owned));
                let number = answer.split("exit code ").nth(1).and_then(|rest| rest.split(':').next());
                *code = number.map_or(0, |number| number.trim().parse().unwrap());
            }
        }
    }
    steps
}

/// A shell in the folder that finds the built programs.
fn shell(folder: &Path, script: &str) -> Command {
    let edge = program("riverwatts-edge");
    let programs = [edge.parent().unwrap().to_owned(), program("riverwatts-demo").parent().unwrap().to_owned()];
    let path = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths(programs.into_iter().chain(std::env::split_paths(&path))).unwrap();
    let mut shell = command(Path::new("bash"));
    shell.args(["-euo", "pipefail", "-c", script]).current_dir(folder).env("PATH", path);
    shell
}

/// Whether all that was to be told stands there.
fn tells(output: &str, told: &[String]) -> bool {
    told.iter().all(|told| output.contains(told.as_str()))
}

/// Does everything that a guide says; gives how many steps there were.
async fn follow(document: &str) -> usize {
    let mut guide = std::fs::read_to_string(repository(document)).unwrap();
    for port in PORTS {
        let free = free_port();
        guide = guide.replace(&format!(":{port}"), &format!(":{free}"));
        guide = guide.replace(&format!("-port {port}"), &format!("-port {free}"));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut running = Vec::new();
    let steps = steps(&guide);
    for (index, step) in steps.iter().enumerate() {
        match step {
            Step::File { name, text } => std::fs::write(folder.path().join(name), text).unwrap(),
            Step::Command { text, told, code } => match text.trim_end().strip_suffix('&') {
                Some(text) => {
                    let log = folder.path().join(format!("{index}.log"));
                    let mut program = Program::start(shell(folder.path(), &format!("exec {text}")), &log);
                    until(SOON, async || {
                        assert!(!program.has_ended(), "{text} ended: {}", program.log());
                        if tells(&program.log(), told) { Ok(()) } else { Err(format!("{text}{}", program.log())) }
                    })
                    .await;
                    running.push(program);
                }
                // A value may take a moment; a reader would look again.
                None => {
                    until(SOON, async || {
                        let output = errand(shell(folder.path(), text), "").await;
                        let shown =
                            [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
                        let right = output.status.code() == Some(*code) && tells(&shown.concat(), told);
                        if right {
                            Ok(())
                        } else {
                            Err(format!("{text}told {told:?} and {code}, not\n{}", shown.concat()))
                        }
                    })
                    .await;
                }
            },
        }
    }
    for program in running {
        program.stop().await;
    }
    steps.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guide_to_profiles_can_be_followed() {
    assert!(follow("docs/device-profiles.md").await >= 16, "there are steps");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guide_to_commissioning_can_be_followed() {
    assert!(follow("docs/commissioning.md").await >= 11, "there are steps");
}
