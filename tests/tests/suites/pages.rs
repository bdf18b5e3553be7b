//! The dashboard as a browser fetches it: one file at every address, its files, its first values.

use reqwest::{Method, Response, StatusCode};
use riverwatts_shared::words::UserRole;
use riverwatts_tests::api::{Api, http_client};
use riverwatts_tests::batches::{announcement, batch, reading, recent, segment};
use riverwatts_tests::cloud::{Cloud, GatewayAccount, PASSWORD, Person};
use serde_json::{Value, json};

/// Where the first values stand in a page.
const FIRST: &str = "<script type=\"application/json\" id=\"first\">";
/// A name that would be markup if it were not text.
const HOSTILE: &str = "</script><img src=x onerror=alert(1)><!--";

/// A browser without scripts.
struct Browser<'c> {
    cloud: &'c Cloud,
    cookie: String,
}

impl<'c> Browser<'c> {
    fn new(cloud: &'c Cloud) -> Browser<'c> {
        Browser { cloud, cookie: String::new() }
    }

    /// Signed in, with the cookie that the cloud gave.
    async fn signed_in(cloud: &'c Cloud, email: &str) -> Browser<'c> {
        let request = cloud.anonymous().request(Method::POST, "/auth/login");
        let answer = request.json(&json!({"email": email, "password": PASSWORD})).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let cookie = header(&answer, "set-cookie");
        for part in ["Path=/;", "HttpOnly", "SameSite=Strict"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        Browser { cloud, cookie: cookie.split(';').next().unwrap().to_owned() }
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Response {
        let mut request = http_client().request(method, format!("{}{path}", self.cloud.url()));
        if !self.cookie.is_empty() {
            request = request.header("cookie", &self.cookie);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    async fn page(&self, path: &str) -> String {
        let answer = self.ask(Method::GET, path, &[]).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(header(&answer, "set-cookie"), "", "the session is only looked at: {path}");
        answer.text().await.unwrap()
    }

    /// The first values of a page.
    async fn first(&self, path: &str) -> Option<Value> {
        let page = self.page(path).await;
        let (_, rest) = page.split_once(FIRST)?;
        Some(serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap())
    }
}

fn header(answer: &Response, name: &str) -> String {
    answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

/// A site with a device that has a reading; ids of the site and the device.
async fn site(cloud: &Cloud, name: &str) -> (String, String, GatewayAccount) {
    let site_id = cloud.site(name).await;
    let gateway = cloud.enrolled_gateway(&site_id).await;
    let batch = batch(vec![announcement("turbine-1"), segment("turbine-1", &[reading(recent(), 1_000_000)])]);
    gateway.api.send_batch(&batch).await.ok();
    let device_id = cloud.device(&site_id, "turbine-1").await;
    (site_id, device_id, gateway)
}

/// A new account of this role who sees the site.
async fn member(cloud: &Cloud, role: UserRole, site_id: &str) -> Person {
    let person = cloud.person(role).await;
    cloud.add_member(site_id, &person).await;
    person
}

/// What all pages have in common: which modules come first is each one's own.
fn without_preloads(page: &str) -> String {
    page.lines().filter(|line| !line.contains("rel=\"modulepreload\"")).collect()
}

#[tokio::test]
async fn every_address_of_a_page_answers_the_page_and_nobody_gets_values() {
    let cloud = Cloud::start().await;
    let (site_id, device_id, _) = site(&cloud, "Tanana").await;
    let nobody = Browser::new(&cloud);
    let home = nobody.page("/").await;
    assert!(home.starts_with("<!doctype html>") && home.contains("rel=\"modulepreload\""), "{home}");
    let deep = [format!("/sites/{site_id}"), format!("/devices/{device_id}")];
    let paths = ["/", "/sites/none", "/devices/%3Cimg%20src=x%3E", "/gateways", "/sign-in", "/styleguide"];
    for path in paths.into_iter().chain(deep.iter().map(String::as_str)) {
        let page = nobody.page(path).await;
        assert_eq!(without_preloads(&page), without_preloads(&home), "{path}");
        let head = nobody.ask(Method::HEAD, path, &[]).await;
        assert_eq!((head.status(), header(&head, "cache-control")), (StatusCode::OK, "no-store".to_owned()), "{path}");
        assert_eq!(header(&head, "content-length"), page.len().to_string(), "{path}");
        let policy = header(&head, "content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(head.text().await.unwrap(), "", "{path}");
    }
    let zipped = nobody.ask(Method::GET, "/", &[("accept-encoding", "gzip")]).await;
    assert_eq!(header(&zipped, "content-encoding"), "gzip");
}

#[tokio::test]
async fn files_are_compressed_and_never_change_under_their_address() {
    let cloud = Cloud::start().await;
    let nobody = Browser::new(&cloud);
    let home = nobody.page("/").await;
    let (_, prefix) = home.split_once("/assets/").unwrap();
    let prefix = format!("/assets/{}", prefix.split('/').next().unwrap());
    let script = format!("{prefix}/main.js");
    let mut lengths = Vec::new();
    for (accepts, encoding) in [("gzip, br", "br"), ("gzip", "gzip"), ("identity", "")] {
        let answer = nobody.ask(Method::GET, &script, &[("accept-encoding", accepts)]).await;
        assert_eq!(header(&answer, "content-encoding"), encoding, "{accepts}");
        assert_eq!(header(&answer, "cache-control"), "public, max-age=31536000, immutable", "{accepts}");
        assert_eq!(header(&answer, "content-type"), "text/javascript; charset=utf-8", "{accepts}");
        assert_eq!(header(&answer, "vary"), "accept-encoding", "{accepts}");
        let head = nobody.ask(Method::HEAD, &script, &[("accept-encoding", accepts)]).await;
        for name in ["content-length", "content-encoding", "etag"] {
            assert_eq!(header(&head, name), header(&answer, name), "{accepts}: {name}");
        }
        let tag = header(&answer, "etag");
        let known = nobody.ask(Method::GET, &script, &[("if-none-match", &tag), ("accept-encoding", accepts)]).await;
        assert_eq!((known.status(), header(&known, "etag")), (StatusCode::NOT_MODIFIED, tag), "{accepts}");
        assert_eq!(known.text().await.unwrap(), "", "{accepts}");
        lengths.push(answer.bytes().await.unwrap().len());
    }
    assert!(lengths.is_sorted_by(|one, next| one < next), "{lengths:?}");
    for gone in ["/assets/0123456789abcdef/main.js", &format!("{prefix}/nothing.js"), &format!("{prefix}/index.html")] {
        let answer = nobody.ask(Method::GET, gone, &[("accept-encoding", "br")]).await;
        assert_eq!(header(&answer, "cache-control"), "no-store", "{gone}");
        let anonymous = cloud.anonymous();
        let answer = anonymous.send(anonymous.request(Method::GET, &format!("/../..{gone}"))).await;
        assert_eq!(answer.refusal(), (404, "RESOURCE_NOT_FOUND".to_owned()), "{gone}");
    }
}

#[tokio::test]
async fn first_values_are_what_the_api_answers_to_that_person() {
    let cloud = Cloud::start().await;
    let (own, own_device, _) = site(&cloud, HOSTILE).await;
    let (other, other_device, _) = site(&cloud, "Other").await;
    for role in [UserRole::Technician, UserRole::Viewer] {
        let person = member(&cloud, role, &own).await;
        let browser = Browser::signed_in(&cloud, &person.email).await;
        let asked = [
            ("/".to_owned(), vec!["/sites?limit=1000&sort=created_at".to_owned()]),
            (
                format!("/sites/{own}"),
                vec![
                    format!("/sites/{own}"),
                    format!("/devices?site_id={own}&limit=1000&sort=created_at"),
                    format!("/readings/latest?site_id={own}"),
                    "/gateways?limit=1000&sort=created_at".to_owned(),
                ],
            ),
            (
                format!("/devices/{own_device}"),
                vec![
                    format!("/devices/{own_device}"),
                    format!("/devices/{own_device}/readings?limit=1"),
                    format!("/sites/{own}"),
                ],
            ),
        ];
        for (page, questions) in asked {
            let first = browser.first(&page).await.unwrap();
            assert_eq!(first["user"]["email"], person.email.as_str(), "{page}");
            for question in questions {
                let answer = &first["answers"][format!("/api/v1{question}")];
                assert_eq!(*answer, person.api.get(&question).await.ok(), "{role}: {page}: {question}");
            }
            assert!(!first.to_string().contains(&other), "{role}: {page}: {first}");
        }
        let home = browser.first("/").await.unwrap();
        let summaries = home["answers"]["/api/v1/sites/summaries"]["summaries"].as_array().unwrap();
        assert_eq!(summaries.iter().map(|site| &site["site_id"]).collect::<Vec<_>>(), [own.as_str()], "{role}");
        // What is not theirs to see is not there; the page then hears it from the API.
        let unseen = browser.first(&format!("/sites/{other}")).await.unwrap();
        for (question, answer) in unseen["answers"].as_object().unwrap() {
            let asked = person.api.get(question.trim_start_matches("/api/v1")).await;
            assert_eq!(*answer, asked.ok(), "{role}: {question}");
        }
        assert!(!unseen.to_string().contains(&other_device), "{role}: {unseen}");
        assert_eq!(browser.first(&format!("/devices/{other_device}")).await.unwrap()["answers"], json!({}), "{role}");
    }
}

#[tokio::test]
async fn a_hostile_name_is_text_in_a_page() {
    let cloud = Cloud::start().await;
    cloud.site(HOSTILE).await;
    let browser = Browser::signed_in(&cloud, "admin@example.org").await;
    let page = browser.page("/").await;
    assert!(!page.contains("<img") && page.matches("</script>").count() == 2, "{page}");
    let first = browser.first("/").await.unwrap();
    assert_eq!(first["answers"]["/api/v1/sites?limit=1000&sort=created_at"]["sites"][0]["name"], HOSTILE);
}

#[tokio::test]
async fn a_session_that_is_not_open_gives_no_values_and_looking_trades_no_token() {
    let cloud = Cloud::start().await;
    let (site_id, ..) = site(&cloud, "Tanana").await;
    let person = member(&cloud, UserRole::Viewer, &site_id).await;
    let browser = Browser::signed_in(&cloud, &person.email).await;
    for _ in 0..3 {
        assert!(browser.first("/").await.is_some());
    }
    let refreshed = browser.ask(Method::POST, "/api/v1/auth/refresh", &[]).await;
    assert_eq!(refreshed.status(), 200, "the token is as good as new");
    let access_token = refreshed.json::<Value>().await.unwrap()["access_token"].as_str().unwrap().to_owned();
    assert!(browser.first("/").await.is_some(), "just traded, by another tab");

    for forged in ["", "x", &access_token, browser.cookie.trim_end_matches(|c: char| c != '.')] {
        let cookie = format!("riverwatts_refresh={}", forged.trim_start_matches("riverwatts_refresh="));
        assert_eq!(Browser { cloud: &cloud, cookie }.first("/").await, None, "{forged}");
    }
    let signed_out = cloud.anonymous().with_token(&access_token).post("/auth/logout", &json!({})).await;
    assert_eq!(signed_out.status, 204);
    assert_eq!(browser.first("/").await, None, "signed out");

    let again = Browser::signed_in(&cloud, &person.email).await;
    assert!(again.first("/").await.is_some());
    let left = cloud.admin().put(&format!("/users/{}", person.id), &json!({"is_active": false})).await;
    assert_eq!(left.status, 200, "{left:?}");
    assert_eq!(again.first("/").await, None, "deactivated");
}

#[tokio::test]
async fn long_answers_are_compressed_and_receipts_are_not() {
    let cloud = Cloud::start().await;
    let (_, _, gateway) = site(&cloud, "Tanana").await;
    let zipped = |api: &Api, path: &str| api.request(Method::GET, path).header("accept-encoding", "gzip").send();
    let short = zipped(cloud.admin(), "/sites").await.unwrap();
    assert_eq!(header(&short, "content-encoding"), "");
    for name in 0..3 {
        cloud.site(&format!("Site {name}")).await;
    }
    let long = zipped(cloud.admin(), "/sites").await.unwrap();
    assert_eq!(header(&long, "content-encoding"), "gzip");
    let plain = cloud.admin().get("/sites").await;
    assert!(long.bytes().await.unwrap().len() < plain.body.len() / 2);

    let many = (0..40).map(|number| announcement(&format!("device-{number}"))).collect();
    let receipt = gateway.api.batch(batch(many).encode()).header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!((receipt.status(), header(&receipt, "content-encoding")), (StatusCode::OK, String::new()));
    assert!(receipt.bytes().await.unwrap().len() > 1_024);
}
