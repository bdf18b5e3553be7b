//! The gateway on virtual devices whose answers go wrong in every way: one table of faults and what
//! each must do to the device itself, to its neighbours on the bus, to counters and to words. No
//! reading is ever wrong: all are compared with what the devices wrote down that they said.

mod cases;
mod one_connection;
mod rig;
mod truth;

use cases::{CASES, Medium};
use rig::Rig;

async fn check(medium: Medium) {
    let cases: Vec<_> = CASES.iter().filter(|case| case.media.contains(&medium)).collect();
    let rig = Rig::start(medium, &cases).await;
    let mut wrong = rig.watch().await;
    wrong.extend(rig.tally().await);
    wrong.extend(rig.recover().await);
    wrong.extend(rig.compare().await);
    rig.stop().await;
    assert!(wrong.is_empty(), "{} cases on {medium:?}, and this is wrong:\n{}", cases.len(), wrong.join("\n"));
}

#[tokio::test]
async fn on_tcp() {
    check(Medium::Tcp).await;
}

#[tokio::test]
async fn on_rtu_in_tcp() {
    check(Medium::RtuTcp).await;
}

#[tokio::test]
async fn on_a_serial_line() {
    check(Medium::Line).await;
}
