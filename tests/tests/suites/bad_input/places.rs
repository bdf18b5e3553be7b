//! Wrong paths, methods, ids and parameters.

use reqwest::Method;
use riverwatts_tests::api::Answer;
use uuid::Uuid;

use super::endpoints::{ENDPOINTS, Endpoint, Takes, Who};
use super::rig::Rig;
use super::routes;

/// Asks as somebody who may.
async fn ask(rig: &Rig, endpoint: &Endpoint, path: &str) -> Answer {
    let api = if endpoint.who == Who::Gateway { &rig.gateway.api } else { rig.cloud.admin() };
    let request = api.request(endpoint.method.parse().unwrap(), path);
    let request = match endpoint.takes {
        Takes::Json(fields) => request.json(&rig.good_body(fields)),
        _ => request,
    };
    api.send(request).await
}

#[tokio::test]
async fn what_is_not_there_and_what_may_not_be_done_to_it() {
    let rig = Rig::new().await;
    let before = rig.everything().await;
    let root = |path: &str| format!("/../..{path}");
    for path in ["/nowhere", "/sites/x/y/z", "/readings/oldest", "/../v2/sites", "/../../.env", "/../../index.php"] {
        let answer = rig.cloud.admin().get(path).await;
        assert_eq!(answer.refusal(), (404, "RESOURCE_NOT_FOUND".to_owned()), "{path}");
    }
    for route in routes::all() {
        let path = rig.fill(route.path.strip_prefix("/api/v1").unwrap_or(&root(&route.path)));
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            if route.methods.iter().any(|known| known == method.as_str()) {
                continue;
            }
            let answer = rig.cloud.admin().send(rig.cloud.admin().request(method.clone(), &path)).await;
            assert_eq!(answer.refusal(), (405, "VALIDATION_ERROR".to_owned()), "{method} {path}");
        }
    }
    Rig::assert_unchanged(&before, &rig.everything().await);
}

#[tokio::test]
async fn an_id_that_is_none_and_an_id_of_nothing() {
    let rig = Rig::new().await;
    let before = rig.everything().await;
    for endpoint in ENDPOINTS.iter().filter(|endpoint| endpoint.path.contains('{')) {
        for name in ["id", "user_id"] {
            let place = format!("{{{name}}}");
            if !endpoint.path.contains(&place) {
                continue;
            }
            for none in ["7", "no-uuid", "%00", "01a20c17-9cbd-72be-bfc9-0733c30f7db", "%F0%9F%8C%8A"] {
                let answer = ask(&rig, endpoint, &rig.fill(&endpoint.path.replace(&place, none))).await;
                assert_eq!(answer.refusal(), (422, "VALIDATION_ERROR".to_owned()), "{endpoint:?} with {none}");
                assert!(answer.details()[0].starts_with(&format!("{name}: ")), "{answer:?}");
            }
            let nothing = endpoint.path.replace(&place, &Uuid::new_v4().to_string());
            let answer = ask(&rig, endpoint, &rig.fill(&nothing)).await;
            assert_eq!(answer.refusal(), (404, "RESOURCE_NOT_FOUND".to_owned()), "{endpoint:?}");
        }
    }
    Rig::assert_unchanged(&before, &rig.everything().await);
}

#[tokio::test]
async fn wrong_parameters_are_named() {
    let rig = Rig::new().await;
    for endpoint in ENDPOINTS {
        for query in endpoint.wrong_queries {
            let query = query.replace("DEVICE", &rig.device_id);
            let answer = ask(&rig, endpoint, &format!("{}?{query}", rig.fill(endpoint.path))).await;
            assert_eq!(answer.refusal(), (422, "VALIDATION_ERROR".to_owned()), "{} ?{query}", endpoint.path);
            assert!(!answer.details().is_empty(), "{answer:?}");
            // A single wrong parameter is the one that is named.
            if let (Some((name, _)), 1) = (query.split_once('='), query.matches('=').count()) {
                assert!(answer.details()[0].starts_with(&format!("{name}: ")), "?{query}: {answer:?}");
            }
        }
    }
    // Readings of what is not there, and of a device of another site.
    let nothing = Uuid::new_v4();
    for path in [
        format!("/readings?device_id={nothing}"),
        format!("/readings?site_id={nothing}"),
        format!("/readings/latest?site_id={nothing}"),
    ] {
        let answer = rig.cloud.admin().get(&path).await;
        assert_eq!(answer.refusal(), (404, "RESOURCE_NOT_FOUND".to_owned()), "{path}");
    }
}
