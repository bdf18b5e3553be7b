//! Every operation of the service, in the order of the guide; a test holds the table against the
//! router.

use riverwatts_shared::receipt::Receipt;
use riverwatts_shared::{batch, carry};

use super::operation::Operation;
use super::operation::Who::{
    self, Admin, AdminOrTechnician, AdminOrThatGateway, Anybody, Gateway, MetricsReader, Person, RefreshToken,
};
use crate::fleet::SiteSummary;
use crate::http::auth::{Login, Refresh, Register, Tokens};
use crate::http::devices::{DevicesQuery, GapsQuery};
use crate::http::gateways::{CreatedGateway, Enroll, Enrolled, LinkedGateway, NewGateway, Replacement, Rotated};
use crate::http::health::Health;
use crate::http::jobs::{JobsQuery, NewJob};
use crate::http::members::NewMember;
use crate::http::readings::{
    AggregatedQuery, DeviceReadingsQuery, LatestQuery, Posted, Reading, ReadingsQuery, Windows,
};
use crate::http::sites::SummariesQuery;
use crate::http::subscriptions::NewSubscription;
use crate::http::users::{CreateUser, ListQuery, UpdateUser};
use crate::ingest::{Imported, PostedAnswer};
use crate::store::configurations::{Configuration, ConfigurationText};
use crate::store::devices::{Device, NewDevice, UpdateDevice};
use crate::store::gaps::Gap;
use crate::store::jobs::Job;
use crate::store::members::Member;
use crate::store::sites::{NewSite, Site, UpdateSite};
use crate::store::subscriptions::Subscription;
use crate::store::users::User;

/// What lists of readings are answered as besides JSON.
const LINES: &[&str] = &["text/csv", "application/x-ndjson", "application/vnd.apache.parquet"];

/// Operations under one heading.
#[derive(Clone, Debug)]
pub struct Tag {
    pub name: &'static str,
    pub told: &'static str,
    pub operations: Vec<Operation>,
}

fn tag(name: &'static str, told: &'static str, operations: Vec<Operation>) -> Tag {
    Tag { name, told, operations }
}

fn get(path: &'static str, id: &'static str, who: Who, summary: &'static str) -> Operation {
    Operation::new("get", path, id, who, summary)
}

fn post(path: &'static str, id: &'static str, who: Who, summary: &'static str) -> Operation {
    Operation::new("post", path, id, who, summary)
}

fn put(path: &'static str, id: &'static str, who: Who, summary: &'static str) -> Operation {
    Operation::new("put", path, id, who, summary)
}

fn delete(path: &'static str, id: &'static str, who: Who, summary: &'static str) -> Operation {
    Operation::new("delete", path, id, who, summary)
}

/// The table.
pub fn all() -> Vec<Tag> {
    vec![
        sign_in(),
        users(),
        sites(),
        devices(),
        subscriptions(),
        gateways(),
        sync(),
        readings(),
        live(),
        jobs(),
        health(),
    ]
}

fn sign_in() -> Tag {
    let rows = vec![
        post("/api/v1/auth/login", "login", Anybody, "Signs in")
            .takes::<Login>()
            .answers::<Tokens>()
            .sets_cookie()
            .refuses(&[401, 429]),
        post("/api/v1/auth/refresh", "refresh", RefreshToken, "Trades a refresh token, of the body or the cookie")
            .may_take::<Refresh>()
            .answers::<Tokens>()
            .sets_cookie(),
        post("/api/v1/auth/logout", "logout", Person, "Ends the session everywhere").sets_cookie(),
        post("/api/v1/auth/register", "register", Anybody, "Makes a customer's account, where that is switched on")
            .takes::<Register>()
            .creates::<User>()
            .refuses(&[403, 409, 429]),
    ];
    tag("Sign-in", "Access tokens live 15 minutes; a refresh token is traded once.", rows)
}

fn users() -> Tag {
    let rows = vec![
        get("/api/v1/users", "list_users", Admin, "All accounts").query::<ListQuery>().lists::<User>("users"),
        post("/api/v1/users", "create_user", Admin, "Makes an account").takes::<CreateUser>().creates::<User>().once(),
        get("/api/v1/users/{id}", "get_user", Person, "An account: one's own, for admins any").gives::<User>(),
        put("/api/v1/users/{id}", "update_user", Person, "Changes an account; what is absent stays")
            .changes::<User, UpdateUser>()
            .if_match()
            .refuses(&[409, 429]),
        delete("/api/v1/users/{id}", "delete_user", Admin, "Removes an account; the last active admin stays")
            .if_match()
            .refuses(&[409]),
    ];
    tag("Users", "Accounts of people.", rows)
}

fn sites() -> Tag {
    let rows = vec![
        get("/api/v1/sites", "list_sites", Person, "Sites in sight").query::<ListQuery>().lists::<Site>("sites"),
        post("/api/v1/sites", "create_site", Admin, "Makes a site").takes::<NewSite>().creates::<Site>().once(),
        get("/api/v1/sites/summaries", "list_summaries", Person, "Every site in sight at a glance")
            .query::<SummariesQuery>()
            .lists::<SiteSummary>("summaries"),
        get("/api/v1/sites/{id}", "get_site", Person, "A site").gives::<Site>(),
        put("/api/v1/sites/{id}", "update_site", Admin, "Changes a site; what is absent stays, `null` clears")
            .changes::<Site, UpdateSite>()
            .if_match(),
        delete("/api/v1/sites/{id}", "delete_site", Admin, "Removes a site with its devices and gateways").if_match(),
        get("/api/v1/sites/{id}/members", "list_members", Admin, "Technicians and viewers who see the site")
            .query::<ListQuery>()
            .lists::<Member>("members"),
        post("/api/v1/sites/{id}/members", "add_member", Admin, "Lets a technician or viewer see the site")
            .takes::<NewMember>()
            .creates::<Member>()
            .once(),
        delete("/api/v1/sites/{id}/members/{user_id}", "remove_member", Admin, "Takes that sight away"),
    ];
    tag("Sites", "A stretch of river with its devices, and who sees it.", rows)
}

fn devices() -> Tag {
    let rows = vec![
        get("/api/v1/devices", "list_devices", Person, "Devices in sight")
            .query::<DevicesQuery>()
            .lists::<Device>("devices"),
        post("/api/v1/devices", "create_device", Admin, "Makes a device; most are announced by their gateway")
            .takes::<NewDevice>()
            .creates::<Device>()
            .once(),
        get("/api/v1/devices/{id}", "get_device", Person, "A device").gives::<Device>(),
        put("/api/v1/devices/{id}", "update_device", Admin, "Changes a device; what is absent stays, `null` clears")
            .changes::<Device, UpdateDevice>()
            .if_match()
            .refuses(&[409]),
        delete("/api/v1/devices/{id}", "delete_device", Admin, "Removes a device").if_match(),
        get("/api/v1/devices/{id}/gaps", "list_gaps", Person, "Spans whose readings will never come, the latest first")
            .query::<GapsQuery>()
            .lists::<Gap>("gaps"),
        get("/api/v1/devices/{id}/readings", "list_device_readings", Person, "Readings of a device")
            .query::<DeviceReadingsQuery>()
            .lists::<Reading>("readings")
            .also(LINES),
    ];
    tag("Devices", "Turbines, sensors, controllers, batteries.", rows)
}

fn subscriptions() -> Tag {
    let path = "/api/v1/subscriptions";
    let rows = vec![
        get(path, "list_subscriptions", Admin, "Which customer sees which site")
            .query::<ListQuery>()
            .lists::<Subscription>("subscriptions"),
        post(path, "create_subscription", Admin, "Lets a customer see a site")
            .takes::<NewSubscription>()
            .creates::<Subscription>()
            .once(),
        delete("/api/v1/subscriptions/{id}", "delete_subscription", Admin, "Takes that sight away"),
    ];
    tag("Subscriptions", "Links of customers to sites.", rows)
}

fn gateways() -> Tag {
    let rows = vec![
        get("/api/v1/gateways", "list_gateways", Person, "Gateways in sight")
            .query::<ListQuery>()
            .lists::<LinkedGateway>("gateways"),
        post("/api/v1/gateways", "create_gateway", Admin, "Makes a gateway, with a code that is shown this once")
            .takes::<NewGateway>()
            .creates::<CreatedGateway>()
            .once(),
        get("/api/v1/gateways/{id}", "get_gateway", Person, "A gateway").gives::<LinkedGateway>(),
        post("/api/v1/gateways/enroll", "enroll_gateway", Anybody, "Trades a code for the gateway's credential")
            .takes::<Enroll>()
            .answers::<Enrolled>()
            .refuses(&[401, 429]),
        post("/api/v1/gateways/{id}/revoke", "revoke_gateway", Admin, "Ends a gateway's access for good")
            .gives::<LinkedGateway>(),
        post("/api/v1/gateways/{id}/rotate", "rotate_gateway", AdminOrThatGateway, "Gives a gateway a new credential")
            .answers::<Rotated>(),
        post("/api/v1/gateways/{id}/replace", "replace_gateway", Admin, "Gives a gateway a code for a new box or card")
            .answers::<Replacement>(),
        get(
            "/api/v1/gateways/{id}/configurations",
            "list_configurations",
            AdminOrTechnician,
            "Versions of its edge.toml",
        )
        .lists::<Configuration>("configurations"),
        get(
            "/api/v1/gateways/{id}/configurations/{version}",
            "get_configuration",
            AdminOrTechnician,
            "One of them, with its text",
        )
        .gives::<ConfigurationText>(),
        post("/api/v1/gateways/{id}/import", "import_readings", Admin, "Takes a file that was carried out of a site")
            .takes_bytes(carry::MEDIA_TYPE)
            .answers::<Imported>(),
    ];
    tag("Gateways", "The boxes at the sites.", rows)
}

fn sync() -> Tag {
    let rows = vec![
        post("/api/v1/sync/batches", "take_batch", Gateway, "Takes what a gateway has, and answers after the commit")
            .takes_bytes(batch::MEDIA_TYPE)
            .answers::<Receipt>()
            .refuses(&[409]),
    ];
    tag("Sync", "Between the gateways and the cloud. The bytes stand in docs/batch-format.md.", rows)
}

fn readings() -> Tag {
    let rows = vec![
        get("/api/v1/readings", "list_readings", Person, "Readings in sight, newest first")
            .query::<ReadingsQuery>()
            .lists::<Reading>("readings")
            .also(LINES)
            .refuses(&[404]),
        post("/api/v1/readings", "post_readings", Gateway, "Stores readings; each stands for itself")
            .takes::<Posted>()
            .answers::<PostedAnswer>(),
        get("/api/v1/readings/latest", "list_latest", Person, "The newest reading of each device in sight")
            .query::<LatestQuery>()
            .lists::<Reading>("readings")
            .refuses(&[404]),
        get("/api/v1/readings/aggregated", "list_aggregated", Person, "What metrics came to, window by window")
            .query::<AggregatedQuery>()
            .answers::<Windows>()
            .refuses(&[404]),
    ];
    tag("Readings", "What devices measured.", rows)
}

fn live() -> Tag {
    let told = "Opens a room; an access token is the subprotocol `bearer.<token>` or the first message";
    let rows = vec![get("/ws/{room_id}", "open_socket", Anybody, told).opens_socket().refuses(&[400, 403, 426])];
    tag(
        "Live",
        "What happens, as it happens, over a WebSocket. Who may not be in a room learns it by the close code.",
        rows,
    )
}

fn jobs() -> Tag {
    let rows = vec![
        get("/api/v1/jobs", "list_jobs", Admin, "All jobs, or those in a state, of a kind")
            .query::<JobsQuery>()
            .lists::<Job>("jobs"),
        post("/api/v1/jobs", "create_job", Admin, "Has the roll-ups of a span of a device computed again")
            .takes::<NewJob>()
            .creates_unversioned::<Job>()
            .once(),
        get("/api/v1/jobs/{id}", "get_job", Admin, "A job").answers::<Job>(),
        post("/api/v1/jobs/{id}/retry", "retry_job", Admin, "Lets a dead job begin anew, one that waits run now")
            .answers::<Job>()
            .refuses(&[409]),
        post("/api/v1/jobs/{id}/cancel", "cancel_job", Admin, "Ends a job that waits or runs")
            .answers::<Job>()
            .refuses(&[409]),
    ];
    tag("Jobs", "What the service does in the background.", rows)
}

fn health() -> Tag {
    let rows = vec![
        get("/healthz", "healthz", Anybody, "The process answers").answers::<Health>(),
        get("/readyz", "readyz", Anybody, "Records and readings answer too").answers::<Health>(),
        get("/metrics", "metrics", MetricsReader, "Numbers for Prometheus").answers_text("text/plain"),
        get("/api/v1/openapi.json", "get_document", Anybody, "This document")
            .answers::<serde_json::Map<String, serde_json::Value>>(),
    ];
    tag("Health", "For those who look after the service.", rows)
}
