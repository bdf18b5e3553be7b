//! The service does what its document says: schemathesis makes up requests from it, good ones and
//! bad ones, as each role, and checks every answer.

use std::time::Duration;

use riverwatts_shared::words::UserRole;
use riverwatts_tests::api::Api;
use riverwatts_tests::batches::{announcement, batch, reading, recent, segment};
use riverwatts_tests::cloud::Person;
use riverwatts_tests::place::{python, repository};
use riverwatts_tests::program::{Program, command};
use serde_json::{Value, json};

use super::bad_input::rig::Rig;

/// Requests made up for each operation and kind of test, unless `EXAMPLES` says otherwise.
const EXAMPLES: &str = "8";
/// How long one role may take, with `EXAMPLES` for hours.
const WITHIN: Duration = Duration::from_secs(6 * 3_600);

/// A cloud with one of everything, and what schemathesis is told of it.
struct Documented {
    rig: Rig,
    seeded: Value,
}

impl Documented {
    async fn new() -> Documented {
        let rig = Rig::new().await;
        let expendable = rig.cloud.person(UserRole::Viewer).await;
        let batches = (0..3).map(|place| {
            let values = [reading(recent().plus_ms(place * 1_000), 2_000_000 + place)];
            let batch = batch(vec![announcement("turbine-1"), segment("turbine-1", &values)]);
            batch.encode().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        });
        let seeded = json!({
            "own": null, "expendable": expendable.id, "site_id": rig.site_id, "device_id": rig.device_id,
            "gateway_id": rig.gateway.id, "user_id": rig.customer.id, "subscription_id": rig.subscription_id,
            "batches": batches.collect::<Vec<_>>(),
        });
        Documented { rig, seeded }
    }

    /// Every operation but the end of the session, then that.
    async fn holds_for_person(mut self, person: &Person) {
        self.seeded["own"] = json!(person.id);
        let but_logout = ["--exclude-operation-id", "logout"];
        self.check(&person.api, &but_logout).await;
        self.check(&person.api, &["--include-operation-id", "logout"]).await;
    }

    /// Runs schemathesis as this caller.
    async fn check(&self, caller: &Api, which: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        let mut schemathesis = command(&python());
        schemathesis.args(["-m", "schemathesis.cli", "--config-file"]).arg(place("schemathesis.toml"));
        schemathesis.arg("run").arg(format!("{}/api/v1/openapi.json", self.rig.cloud.url())).args(which);
        let examples = std::env::var("EXAMPLES").unwrap_or_else(|_| EXAMPLES.to_owned());
        schemathesis.args(["--max-examples", &examples, "--no-color", "--warnings", "off"]);
        if let Some(token) = caller.token() {
            schemathesis.arg("--header").arg(format!("Authorization: Bearer {token}"));
        }
        schemathesis.env("PYTHONPATH", place("")).env("PYTHONDONTWRITEBYTECODE", "1").env("NO_PROXY", "*");
        schemathesis.env("RIVERWATTS_SEEDED", self.seeded.to_string()).current_dir(folder.path());
        let mut run = Program::start(schemathesis, &folder.path().join("report"));
        let code = run.ended(WITHIN).await;
        assert_eq!(code, 0, "{}", run.log());
    }
}

fn place(file: &str) -> std::path::PathBuf {
    repository("tests/schemathesis").join(file)
}

async fn holds_for(role: UserRole) {
    let documented = Documented::new().await;
    let person = documented.rig.cloud.person(role).await;
    match role {
        UserRole::Admin => {}
        UserRole::Customer => documented.rig.cloud.subscribe(&documented.rig.site_id, &person).await,
        UserRole::Technician | UserRole::Viewer => {
            documented.rig.cloud.add_member(&documented.rig.site_id, &person).await;
        }
    }
    documented.holds_for_person(&person).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_holds_for_an_admin() {
    holds_for(UserRole::Admin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_holds_for_a_technician() {
    holds_for(UserRole::Technician).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_holds_for_a_viewer() {
    holds_for(UserRole::Viewer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_holds_for_a_customer() {
    holds_for(UserRole::Customer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_holds_for_a_gateway() {
    let documented = Documented::new().await;
    let gateway = documented.rig.gateway.api.clone();
    documented.check(&gateway, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_holds_for_nobody() {
    let documented = Documented::new().await;
    let nobody = documented.rig.cloud.anonymous();
    documented.check(&nobody, &[]).await;
}
