//! A card burns, or the cloud is put back to a backup: the site goes on, and nothing is twice.

use std::fs;
use std::path::Path;

use riverwatts_tests::deadline::{SOON, until};
use riverwatts_tests::reading::assert_same;
use riverwatts_tests::river::{River, device};
use serde_json::Value;

async fn version_in_cloud(river: &River) -> Option<String> {
    let gateways = river.cloud.admin().list("/gateways?limit=50", "gateways").await;
    gateways[0]["config_version"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn a_burnt_card_is_replaced_by_one_code() {
    let mut river = River::new(&[1, 2], "100ms").await;
    river.gateway.start().await;
    river.flows(10).await;
    until(SOON, async || version_in_cloud(&river).await.map(|_| ()).ok_or("no configuration in the cloud".to_owned()))
        .await;
    river.gateway.kill().await;
    let devices = river.cloud.devices(&river.site_id).await;
    let before = [river.in_cloud(1).await, river.in_cloud(2).await];
    let toml = fs::read_to_string(river.gateway.config()).unwrap();
    fs::remove_file(river.gateway.config()).unwrap();
    fs::remove_dir_all(river.gateway.store()).unwrap();

    let gateway = river.cloud.admin().list("/gateways?limit=50", "gateways").await[0].clone();
    let path = format!("/gateways/{}/replace", gateway["id"].as_str().unwrap());
    let code = river.cloud.admin().post(&path, &Value::Null).await.ok();
    let code = code["enrollment_code"].as_str().unwrap();
    let output = river.gateway.run(&["enroll", "--cloud", river.link.url(), "--code", code]).await;
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.contains("is written to"), "{told}");
    let written = fs::read_to_string(river.gateway.config()).unwrap();
    assert!(written.starts_with("# As the gateway sent it") && written.ends_with(&toml), "{written}");

    river.gateway.start().await;
    until(SOON, async || match river.in_cloud(1).await.len() - before[0].len() {
        0..10 => Err("the new card sends nothing".to_owned()),
        _ => Ok(()),
    })
    .await;
    river.run_dry().await;
    assert_eq!(river.cloud.devices(&river.site_id).await, devices, "the same devices with the same ids");
    for (unit, before) in [1, 2].into_iter().zip(&before) {
        let all = river.in_cloud(unit).await;
        assert_eq!(all[..before.len()], before[..], "what was there stays");
        let new = &all[before.len()..];
        assert_same(&river.at_gateway(unit).await, new);
        // The outage is told, from the last that arrived of the old card to the first of the new one.
        let gaps = river.cloud.gaps(&devices[&device(unit)]).await;
        let (last, first) = (before.last().unwrap().time, new[0].time);
        assert_eq!(gaps, [("store_damaged".to_owned(), last, first)], "unit {unit}");
    }
    river.gateway.stop().await;
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &to.join(entry.file_name())),
            false => drop(fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

#[tokio::test]
async fn a_cloud_that_is_put_back_gets_what_it_lost_without_a_step_by_anybody() {
    let mut river = River::new(&[1], "100ms").await;
    river.gateway.start().await;
    river.flows(10).await;
    river.cloud.stop().await;
    let backup = tempfile::tempdir().unwrap();
    copy_folder(&river.cloud.data(), backup.path());
    river.cloud.start_again().await;
    let before = river.in_cloud(1).await.len();
    until(SOON, async || match river.in_cloud(1).await.len() - before {
        0..20 => Err("nothing comes".to_owned()),
        _ => Ok(()),
    })
    .await;
    river.cloud.stop().await;
    fs::remove_dir_all(river.cloud.data()).unwrap();
    copy_folder(backup.path(), &river.cloud.data());
    river.cloud.start_again().await;

    river.run_dry().await;
    river.assert_complete().await;
    river.gateway.stop().await;
}
