//! Bad input to the cloud: every endpoint with every kind of mistake gets the right status and code,
//! and nothing is stored by halves.

mod batches;
mod bodies;
mod callers;
mod endpoints;
mod places;
pub mod rig;
mod routes;

use std::collections::BTreeSet;

use endpoints::ENDPOINTS;

#[test]
fn every_endpoint_of_the_router_has_its_row_and_every_row_its_endpoint() {
    let prefix = "/api/v1";
    let routes = routes::all();
    let api = routes.iter().filter_map(|route| Some((route.path.strip_prefix(prefix)?, &route.methods)));
    let routed: BTreeSet<(&str, &str)> =
        api.flat_map(|(path, methods)| methods.iter().map(move |method| (path, method.as_str()))).collect();
    let listed: BTreeSet<(&str, &str)> = ENDPOINTS.iter().map(|endpoint| (endpoint.path, endpoint.method)).collect();
    assert_eq!(routed, listed);
    assert_eq!(listed.len(), ENDPOINTS.len(), "no endpoint has two rows");
}
