//! Every endpoint below `/api/v1`: who may ask, what it takes, and which parameters are wrong.

use std::fmt;

/// Who is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Anybody,
    /// Every person, by sight.
    Person,
    Admin,
    AdminOrTechnician,
    Gateway,
    AdminOrThatGateway,
}

/// What a field of a body takes.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// With something in it, and so many characters at most.
    Text(usize),
    /// Any text.
    Secret,
    Email,
    Password,
    /// Id of a site that exists.
    Site,
    /// Id of a user who exists.
    User,
    /// Id of a gateway of the site.
    Gateway,
    /// Id of a device that exists.
    Device,
    /// An instant, such as this.
    Time(&'static str),
    /// One of a closed set, such as this.
    Word(&'static str),
    Number(f64, f64),
    Flag,
    Object,
    Date,
    Zone,
    Currency,
    Key,
}

/// A field of a JSON body.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    pub name: &'static str,
    pub kind: Kind,
    pub needed: bool,
}

/// What the body is.
#[derive(Debug, Clone, Copy)]
pub enum Takes {
    Nothing,
    /// A JSON object.
    Json(&'static [Field]),
    /// `POST /readings`: an object, an array, or an object with an array.
    Readings,
    /// `POST /sync/batches`.
    Batch,
    /// `POST /gateways/{id}/import`.
    Carried,
}

/// One method of one path.
pub struct Endpoint {
    pub method: &'static str,
    pub path: &'static str,
    pub who: Who,
    pub takes: Takes,
    /// Query strings that are refused with 422.
    pub wrong_queries: &'static [&'static str],
}

/// Short, for messages.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

const fn need(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, needed: true }
}

const fn may(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, needed: false }
}

const fn get(path: &'static str, who: Who, wrong_queries: &'static [&'static str]) -> Endpoint {
    Endpoint { method: "GET", path, who, takes: Takes::Nothing, wrong_queries }
}

const fn post(path: &'static str, who: Who, takes: Takes) -> Endpoint {
    Endpoint { method: "POST", path, who, takes, wrong_queries: &[] }
}

const fn put(path: &'static str, who: Who, fields: &'static [Field]) -> Endpoint {
    Endpoint { method: "PUT", path, who, takes: Takes::Json(fields), wrong_queries: &[] }
}

const fn delete(path: &'static str) -> Endpoint {
    Endpoint { method: "DELETE", path, who: Who::Admin, takes: Takes::Nothing, wrong_queries: &[] }
}

const LIST: &[&str] =
    &["limit=0", "limit=1001", "limit=many", "limit=-1", "cursor=here", "sort=name", "unknown=1", "limit=1&limit=2"];
const DEVICES: &[&str] = &["limit=0", "limit=1001", "cursor=here", "sort=name", "site_id=here", "unknown=1"];
const GAPS: &[&str] = &[
    "limit=0",
    "limit=1001",
    "cursor=here",
    "from=yesterday",
    "to=2026-02-30T00:00:00Z",
    "to=2026-01-01T00:00:00Z&from=2026-01-02T00:00:00Z",
    "unknown=1",
];
const READINGS: &[&str] = &[
    "limit=0",
    "limit=1001",
    "cursor=here",
    "order=sideways",
    "metric=warp_factor",
    "from=yesterday",
    "to=2026-02-30T00:00:00Z",
    "to=2026-01-01T00:00:00Z&from=2026-01-02T00:00:00Z",
    "device_id=here",
    "unknown=1",
];
const JOBS: &[&str] =
    &["limit=0", "limit=1001", "cursor=here", "sort=name", "state=asleep", "kind=coffee", "kind=", "unknown=1"];
const SITE: &[Field] = &[
    need("name", Kind::Text(200)),
    need("region", Kind::Text(100)),
    need("river_name", Kind::Text(100)),
    need("latitude", Kind::Number(-90.0, 90.0)),
    need("longitude", Kind::Number(-180.0, 180.0)),
    may("elevation", Kind::Number(-999_999.99, 999_999.99)),
    may("water_depth", Kind::Number(0.0, 999_999.99)),
    may("flow_rate", Kind::Number(0.0, 99_999_999.99)),
    need("capacity_kw", Kind::Number(0.0, 99_999_999.99)),
    may("installation_date", Kind::Date),
    may("status", Kind::Word("maintenance")),
    need("timezone", Kind::Zone),
    need("currency", Kind::Currency),
    may("metadata", Kind::Object),
];
const DEVICE: &[Field] = &[
    need("site_id", Kind::Site),
    may("key", Kind::Key),
    need("device_name", Kind::Text(200)),
    need("device_type", Kind::Word("turbine")),
    need("serial_number", Kind::Text(100)),
    need("model", Kind::Text(100)),
    need("manufacturer", Kind::Text(100)),
    need("capacity_kw", Kind::Number(0.0, 99_999_999.99)),
    need("installation_date", Kind::Date),
    may("last_maintenance", Kind::Date),
    may("next_maintenance", Kind::Date),
    may("status", Kind::Word("warning")),
    may("firmware_version", Kind::Text(50)),
    may("hardware_version", Kind::Text(50)),
    may("metadata", Kind::Object),
];
const UPDATE_DEVICE: &[Field] = &[
    may("key", Kind::Key),
    may("gateway_id", Kind::Gateway),
    may("device_name", Kind::Text(200)),
    may("device_type", Kind::Word("turbine")),
    may("serial_number", Kind::Text(100)),
    may("model", Kind::Text(100)),
    may("manufacturer", Kind::Text(100)),
    may("capacity_kw", Kind::Number(0.0, 99_999_999.99)),
    may("installation_date", Kind::Date),
    may("last_maintenance", Kind::Date),
    may("next_maintenance", Kind::Date),
    may("status", Kind::Word("warning")),
    may("firmware_version", Kind::Text(50)),
    may("hardware_version", Kind::Text(50)),
    may("metadata", Kind::Object),
];
const USER: &[Field] = &[
    need("email", Kind::Email),
    need("password", Kind::Password),
    need("first_name", Kind::Text(100)),
    need("last_name", Kind::Text(100)),
    need("role", Kind::Word("viewer")),
    may("is_active", Kind::Flag),
    may("email_verified", Kind::Flag),
    may("metadata", Kind::Object),
];
const UPDATE_USER: &[Field] = &[
    may("email", Kind::Email),
    may("password", Kind::Password),
    may("current_password", Kind::Secret),
    may("first_name", Kind::Text(100)),
    may("last_name", Kind::Text(100)),
    may("role", Kind::Word("viewer")),
    may("is_active", Kind::Flag),
    may("email_verified", Kind::Flag),
    may("preferences", Kind::Object),
    may("metadata", Kind::Object),
];

/// The table; a test holds it against the router.
pub const ENDPOINTS: &[Endpoint] = &[
    post("/auth/login", Who::Anybody, Takes::Json(&[need("email", Kind::Secret), need("password", Kind::Secret)])),
    post("/auth/refresh", Who::Anybody, Takes::Json(&[need("refresh_token", Kind::Secret)])),
    post("/auth/logout", Who::Person, Takes::Nothing),
    post("/auth/register", Who::Anybody, Takes::Json(USER.split_at(4).0)),
    get("/users", Who::Admin, LIST),
    post("/users", Who::Admin, Takes::Json(USER)),
    get("/users/{id}", Who::Person, &[]),
    put("/users/{id}", Who::Person, UPDATE_USER),
    delete("/users/{id}"),
    get("/sites", Who::Person, LIST),
    post("/sites", Who::Admin, Takes::Json(SITE)),
    get("/sites/summaries", Who::Person, &["unknown=1"]),
    get("/sites/{id}", Who::Person, &[]),
    put("/sites/{id}", Who::Admin, SITE),
    delete("/sites/{id}"),
    get("/sites/{id}/members", Who::Admin, LIST),
    post("/sites/{id}/members", Who::Admin, Takes::Json(&[need("user_id", Kind::User)])),
    delete("/sites/{id}/members/{user_id}"),
    get("/subscriptions", Who::Admin, LIST),
    post(
        "/subscriptions",
        Who::Admin,
        Takes::Json(&[
            need("user_id", Kind::User),
            need("site_id", Kind::Site),
            may("subscription_type", Kind::Word("premium")),
            may("start_date", Kind::Date),
        ]),
    ),
    delete("/subscriptions/{id}"),
    get("/devices", Who::Person, DEVICES),
    post("/devices", Who::Admin, Takes::Json(DEVICE)),
    get("/devices/{id}", Who::Person, &[]),
    put("/devices/{id}", Who::Admin, UPDATE_DEVICE),
    delete("/devices/{id}"),
    get("/devices/{id}/gaps", Who::Person, GAPS),
    get("/devices/{id}/readings", Who::Person, READINGS),
    get("/gateways", Who::Person, LIST),
    post("/gateways", Who::Admin, Takes::Json(&[need("site_id", Kind::Site), need("name", Kind::Text(200))])),
    post("/gateways/enroll", Who::Anybody, Takes::Json(&[need("code", Kind::Secret)])),
    get("/gateways/{id}", Who::Person, &[]),
    post("/gateways/{id}/revoke", Who::Admin, Takes::Nothing),
    post("/gateways/{id}/rotate", Who::AdminOrThatGateway, Takes::Nothing),
    post("/gateways/{id}/replace", Who::Admin, Takes::Nothing),
    get("/gateways/{id}/configurations", Who::AdminOrTechnician, &[]),
    get("/gateways/{id}/configurations/{version}", Who::AdminOrTechnician, &[]),
    post("/gateways/{id}/import", Who::Admin, Takes::Carried),
    post("/sync/batches", Who::Gateway, Takes::Batch),
    get("/jobs", Who::Admin, JOBS),
    post(
        "/jobs",
        Who::Admin,
        Takes::Json(&[
            need("kind", Kind::Word("rollup_repair")),
            need("device_id", Kind::Device),
            need("from", Kind::Time("2026-01-01T00:00:00Z")),
            need("to", Kind::Time("2026-01-02T00:00:00Z")),
        ]),
    ),
    get("/jobs/{id}", Who::Admin, &[]),
    post("/jobs/{id}/retry", Who::Admin, Takes::Nothing),
    post("/jobs/{id}/cancel", Who::Admin, Takes::Nothing),
    get("/openapi.json", Who::Anybody, &[]),
    get("/readings", Who::Person, READINGS),
    post("/readings", Who::Gateway, Takes::Readings),
    get("/readings/latest", Who::Person, &["site_id=here", "unknown=1"]),
    get(
        "/readings/aggregated",
        Who::Person,
        &[
            "metric=power_output_kw&resolution=1h&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z",
            "device_id=DEVICE&resolution=1h&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z",
            "device_id=DEVICE&metric=power_output_kw&resolution=1h&points=9",
            "device_id=DEVICE&metric=power_output_kw&resolution=1h&from=yesterday",
            "device_id=DEVICE&metric=warp_factor&resolution=1h&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z",
            "device_id=DEVICE&metric=power_output_kw&resolution=2h&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z",
            "device_id=DEVICE&metric=power_output_kw&resolution=1h&from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
            "device_id=DEVICE&metric=power_output_kw&points=0&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z",
            "device_id=DEVICE&metric=power_output_kw&resolution=1m&from=1990-01-01T00:00:00Z&to=2026-01-01T00:00:00Z",
            "device_id=DEVICE&metric=power_output_kw&resolution=1d&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z&tz=Mars",
            "device_id=DEVICE&metric=power_output_kw&resolution=1h&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z&x=1",
        ],
    ),
];
