//! A whole site for the browser's tests ([`riverwatts_tests::stage`]): started with settings of the
//! cloud as arguments (`NAME=VALUE`), it tells on a line of JSON where everything is, then answers
//! each order on stdin with a line, until stdin ends.
//!
//! `{"do": "silence", "on": true}` the meter answers no more · `{"do": "cut", "on": true}` the link to
//! the cloud is cut · `{"do": "refuse", "count": 3}` the cloud refuses so many readings of the turbine ·
//! `{"do": "box", "code": …, "name": …, "profile": …}` a further gateway enrolls and
//! runs · `{"do": "stop"}` and `{"do": "start"}` the gateway

use riverwatts_tests::stage::Stage;
use serde_json::Value;
use tokio::task::spawn_blocking;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut settings = Vec::new();
    for argument in std::env::args().skip(1) {
        let (name, value) = argument.split_once('=').ok_or_else(|| anyhow::anyhow!("{argument}: no NAME=VALUE"))?;
        settings.push((name.to_owned(), value.to_owned()));
    }
    let mut stage = Stage::set(&settings).await;
    say(stage.told());
    while let Some(order) = spawn_blocking(|| std::io::stdin().lines().next()).await? {
        say(&stage.obey(&serde_json::from_str(&order?)?).await);
    }
    Ok(())
}

#[allow(clippy::print_stdout, reason = "whoever started it reads there")]
fn say(line: &Value) {
    println!("{line}");
}
