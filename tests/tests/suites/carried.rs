//! Readings carried out of a site without a link: what comes twice, by file and by link, counts once.

use std::path::{Path, PathBuf};
use std::process::Output;

use reqwest::Method;
use riverwatts_shared::carry::MEDIA_TYPE;
use riverwatts_tests::api::Answer;
use riverwatts_tests::deadline::{SOON, until};
use riverwatts_tests::link::Mode;
use riverwatts_tests::place::program;
use riverwatts_tests::program::{command, errand};
use riverwatts_tests::reading::missing_counts;
use riverwatts_tests::river::River;
use serde_json::{Value, json};

/// The document that a command printed.
fn printed(output: &Output) -> Value {
    let document = serde_json::from_slice(&output.stdout);
    document.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// A site that lost its link, with some readings since.
async fn cut_off() -> River {
    let mut river = River::new(&[1, 2], "100ms").await;
    river.gateway.start().await;
    // From the cloud's first answer on, the gateway trusts its clock.
    river.flows(1).await;
    river.link.set(Mode::Refuse);
    until(SOON, async || match river.gateway.backlog().await {
        waiting if waiting > 60 => Ok(()),
        waiting => Err(format!("{waiting} readings wait")),
    })
    .await;
    river
}

async fn export(river: &River, to: &Path) -> Value {
    let output = river.gateway.run(&["export", "--to", to.to_str().unwrap()]).await;
    assert!(output.status.success(), "export: {}", String::from_utf8_lossy(&output.stderr));
    printed(&output)
}

/// `riverwatts-cloud import` on the files of the cloud.
async fn import(river: &River, file: &Path) -> Output {
    let mut import = command(&program("riverwatts-cloud"));
    import.arg("import").arg(file).arg("--data").arg(river.cloud.data());
    errand(import, "").await
}

/// The same by the API.
async fn post(river: &River, gateway: &str, file: Vec<u8>) -> Answer {
    let admin = river.cloud.admin();
    let request = admin.request(Method::POST, &format!("/gateways/{gateway}/import"));
    admin.send(request.header("Content-Type", MEDIA_TYPE).body(file)).await
}

async fn gateway_id(river: &River) -> String {
    let gateways = river.cloud.admin().list("/gateways?limit=50", "gateways").await;
    gateways[0]["id"].as_str().unwrap().to_owned()
}

/// How many readings the cloud has.
async fn in_cloud(river: &River) -> u64 {
    (river.in_cloud(1).await.len() + river.in_cloud(2).await.len()) as u64
}

#[tokio::test]
async fn a_file_and_the_link_together_bring_every_reading_once() {
    let mut river = cut_off().await;
    let folder = tempfile::tempdir().unwrap();
    let before = in_cloud(&river).await;
    let exported = export(&river, folder.path()).await;
    let file = PathBuf::from(exported["file"].as_str().unwrap());
    let carried = exported["readings"].as_u64().unwrap();
    assert!(carried > 60, "{exported}");

    let running = import(&river, &file).await;
    let words = String::from_utf8_lossy(&running.stderr).into_owned();
    assert_eq!(running.status.code(), Some(69), "{words}");
    assert!(words.contains("while the service runs") && words.contains("in use"), "{words}");
    river.cloud.stop().await;
    let imported = import(&river, &file).await;
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    let imported = printed(&imported);
    let counts = |imported: &Value, key: &str| imported[key].as_u64().unwrap();
    // Receipts rest with a later flush: what the cloud had just confirmed is carried, too.
    let new = counts(&imported, "accepted");
    assert_eq!(new + counts(&imported, "duplicates"), carried, "{imported}");
    assert_eq!((&imported["rejected"], &imported["waiting"]), (&json!([]), &json!([])));
    assert_eq!(printed(&import(&river, &file).await), imported, "the same receipts");
    river.cloud.start_again().await;
    assert_eq!(in_cloud(&river).await, before + new);

    // A later file has the same readings in other batches, and some more.
    let later = export(&river, &folder.path().join("later")).await;
    let bytes = std::fs::read(later["file"].as_str().unwrap()).unwrap();
    let posted = post(&river, &gateway_id(&river).await, bytes).await.ok();
    assert_eq!(counts(&posted, "accepted"), later["readings"].as_u64().unwrap() - carried);

    river.link.set(Mode::Pass);
    river.run_dry().await;
    for points in river.assert_complete().await {
        assert_eq!(missing_counts(&points), 0);
    }
    river.gateway.stop().await;
}

#[tokio::test]
async fn a_file_that_was_cut_or_changed_says_so_and_what_was_whole_stays() {
    let mut river = cut_off().await;
    river.gateway.stop().await;
    let before = in_cloud(&river).await;
    let folder = tempfile::tempdir().unwrap();
    let exported = export(&river, &folder.path().join("whole")).await;
    let whole = std::fs::read(exported["file"].as_str().unwrap()).unwrap();
    let gateway = gateway_id(&river).await;
    for (bytes, words) in [
        (whole[..whole.len() - 1].to_vec(), "ends in the middle of its batches"),
        (whole[..10].to_vec(), "ends in the middle of its head"),
        (b"PK\x03\x04".to_vec(), "the beginning of the file"),
        ([&whole[..40], &[whole[40] ^ 1], &whole[41..]].concat(), "the checksum of a batch"),
    ] {
        let refused = post(&river, &gateway, bytes).await;
        assert_eq!(refused.refusal(), (400, "VALIDATION_ERROR".to_owned()));
        assert!(refused.body.contains(words), "{}", refused.body);
    }
    let stored = in_cloud(&river).await;
    assert!(stored > before, "the batches of the file that lacked its end are there");

    let (other, _) = river.cloud.gateway(&river.site_id).await;
    let elsewhere = post(&river, &other, whole.clone()).await;
    assert_eq!(elsewhere.refusal().0, 422);
    assert!(elsewhere.details()[0].contains(&gateway), "{:?}", elsewhere.details());
    let done = post(&river, &gateway, whole).await.ok();
    assert_eq!((&done["rejected"], in_cloud(&river).await), (&json!([]), stored));
}
