//! The gateway on virtual devices whose answers go wrong in every way: one table of faults and what
//! each must do to the device itself, to its neighbours on the bus, to counters and to words. No
//! reading is ever wrong: all are compared with what the devices wrote down that they said.

mod cases;
mod one_connection;
mod rig;
mod truth;

use cases::{CASES, Medium};
use rig::Rig;

/// What is not as it must be.
async fn watch(medium: Medium) -> Vec<String> {
    let cases: Vec<_> = CASES.iter().filter(|case| case.media.contains(&medium)).collect();
    let rig = Rig::start(medium, &cases).await;
    let mut wrong = rig.watch().await;
    wrong.extend(rig.tally().await);
    wrong.extend(rig.recover().await);
    wrong.extend(rig.compare().await);
    rig.stop().await;
    wrong.iter().map(|wrong| format!("{medium:?}: {wrong}")).collect()
}

/// On all media at once: most of the time is waiting.
#[tokio::test]
async fn every_fault_has_its_effect_and_no_other_and_no_reading_is_wrong() {
    let (tcp, rtu_tcp, line) = tokio::join!(watch(Medium::Tcp), watch(Medium::RtuTcp), watch(Medium::Line));
    let wrong = [tcp, rtu_tcp, line].concat();
    assert!(wrong.is_empty(), "this is not as the cases expect:\n{}", wrong.join("\n"));
}
