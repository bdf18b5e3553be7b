//! Which requests are answered at all: those that name this panel as a browser on the site's network
//! would, so that no name of somebody's on the internet leads here (DNS rebinding); and of those that
//! change something, no page of another origin sends one (CSRF).

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::{Panel, PanelError};

/// Says where a request comes from; browsers send it over TLS and to this machine.
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// Refuses what is addressed to somebody else, or sent by a page of somebody else.
pub(super) async fn guard(State(panel): State<Arc<Panel>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let named = headers.contains_key(header::HOST).then(|| said(headers, header::HOST).unwrap_or_default());
    let host = request.uri().authority().map(|authority| authority.as_str()).or(named);
    if host.is_some_and(|host| !is_ours(host, &panel.config.panel.hosts)) {
        return PanelError::Host.into_response();
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !reads && !is_of_own_page(headers, host) {
        return PanelError::Origin.into_response();
    }
    next.run(request).await
}

/// Whether a page under this host can only be ours: an address, a name without a dot or under `.local`,
/// which no name server of the internet knows, or one of `panel.hosts`.
fn is_ours(host: &str, hosts: &[String]) -> bool {
    let name = without_port(host).trim_end_matches('.').to_ascii_lowercase();
    let literal = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match literal {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            name.parse::<IpAddr>().is_ok()
                || !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
                || name.ends_with(".local")
                || hosts.iter().any(|known| known.eq_ignore_ascii_case(&name))
        }
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Whether no page of another origin sent this. A browser says by one of two headers who did; what says
/// nothing is no browser, and has no cookies of one.
fn is_of_own_page(headers: &HeaderMap, host: Option<&str>) -> bool {
    if headers.contains_key(SEC_FETCH_SITE) {
        return said(headers, SEC_FETCH_SITE) == Some("same-origin");
    }
    if !headers.contains_key(header::ORIGIN) {
        return true;
    }
    let origin = said(headers, header::ORIGIN).and_then(|origin| origin.split_once("://")).map(|(_, rest)| rest);
    origin.zip(host).is_some_and(|(origin, host)| origin.eq_ignore_ascii_case(host))
}

/// A header that is there once, and is text.
fn said(headers: &HeaderMap, name: impl header::AsHeaderName) -> Option<&str> {
    let mut all = headers.get_all(name).iter();
    let first = all.next()?;
    if all.next().is_some() { None } else { first.to_str().ok() }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn only_names_that_lead_nowhere_else_are_ours() {
        let hosts = ["panel.river.example".to_owned()];
        for ours in [
            "192.168.1.5:8080",
            "10.0.0.1",
            "[::1]:8080",
            "[fe80::1]",
            "localhost:8080",
            "Gateway",
            "gateway:80",
            "riverwatts-tanana.local",
            "RIVERWATTS.LOCAL.:8080",
            "Panel.River.Example:443",
        ] {
            assert!(is_ours(ours, &hosts), "{ours}");
        }
        for foreign in [
            "evil.example:8080",
            "evil.example.",
            "192.168.1.5.evil.example",
            "local.evil.example",
            "evil.example#.local:80x",
            "panel.river.example.evil.example",
            "[evil.example]",
            "[::1].evil.example",
            "user@evil",
            "",
            ":8080",
            ".",
        ] {
            assert!(!is_ours(foreign, &hosts), "{foreign}");
        }
    }

    fn check(own: bool, host: &str, pairs: &[(&'static str, &'static str)]) {
        let pairs = pairs.iter().map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let headers: HeaderMap = pairs.collect();
        assert_eq!(is_of_own_page(&headers, Some(host)), own, "{headers:?}");
    }

    #[test]
    fn no_page_of_another_origin_changes_anything() {
        check(true, "10.0.0.1:8080", &[]);
        check(true, "10.0.0.1:8080", &[("origin", "http://10.0.0.1:8080")]);
        check(true, "panel.local", &[("origin", "https://Panel.local")]);
        check(true, "localhost:1", &[("sec-fetch-site", "same-origin"), ("origin", "http://localhost:1")]);
        check(false, "10.0.0.1:8080", &[("origin", "http://10.0.0.1")]);
        check(false, "10.0.0.1:8080", &[("origin", "http://10.0.0.1:80")]);
        check(false, "10.0.0.1:8080", &[("origin", "null")]);
        check(false, "10.0.0.1:8080", &[("origin", "http://evil.example")]);
        for site in ["cross-site", "same-site", "none", ""] {
            check(false, "localhost:1", &[("sec-fetch-site", site), ("origin", "http://localhost:1")]);
        }
    }
}
