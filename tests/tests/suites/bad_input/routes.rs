//! The router as it stands in the code, so that no endpoint can be without its row.

use riverwatts_tests::place::repository;

/// Where every URL of the service stands.
const ROUTER: &str = "cloud/src/http/mod.rs";

/// A path with its methods, as the router has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// From the root.
    pub path: String,
    /// In capital letters.
    pub methods: Vec<String>,
}

/// Every route; those of the API have its prefix.
pub fn all() -> Vec<Route> {
    let code = std::fs::read_to_string(repository(ROUTER)).unwrap();
    let [_, api, long, rest @ ..] = &code.split("Router::new()").collect::<Vec<_>>()[..] else {
        panic!("the router is built in another way; read it anew")
    };
    let nested = |name: &str| rest.iter().any(|code| code.contains(&format!(r#".nest("/api/v1", {name})"#)));
    assert!(nested("api") && nested("long"), "the router is built in another way; read it anew");
    let mut routes = [read(api, "/api/v1"), read(long, "/api/v1")].concat();
    routes.extend(rest.iter().flat_map(|code| read(code, "")));
    let calls = code.matches(".route(").count();
    assert_eq!(routes.len(), calls, "every call of .route is understood");
    routes
}

/// The calls of `.route("path", get(…).post(…))` in `code`.
fn read(code: &str, prefix: &str) -> Vec<Route> {
    code.split(".route(")
        .skip(1)
        .map(|call| {
            let (path, handlers) = call.split_once('"').and_then(|(_, rest)| rest.split_once('"')).unwrap();
            let methods = ["get", "post", "put", "delete", "patch"].into_iter();
            let named = |method: &&str| {
                let call = format!("{method}(");
                handlers
                    .match_indices(&call)
                    .any(|(at, _)| !handlers[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
            };
            Route { path: format!("{prefix}{path}"), methods: methods.filter(named).map(str::to_uppercase).collect() }
        })
        .collect()
}
