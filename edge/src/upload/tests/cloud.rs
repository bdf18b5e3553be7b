//! A cloud that remembers what it got and answers as it is told.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use riverwatts_shared::batch::{Batch, Item, MEDIA_TYPE};
use riverwatts_shared::configuration;
use riverwatts_shared::receipt::{NamedDevice, Receipt};
use riverwatts_shared::time::UtcMs;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::clock::SiteTime;

/// What the cloud does with the next batch.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// Answers a receipt, changed like this.
    Receipt(fn(&Batch, &mut Receipt)),
    /// Answers an error: status, body, `Retry-After`.
    Error(u16, serde_json::Value, Option<&'static str>),
    /// Takes its time, then answers a receipt.
    Slow(Duration),
    /// Stores it, and answers an error all the same.
    StoredButError,
    /// Answers a receipt with one bit changed: the so many-th of its bytes, counted round.
    Changed(usize),
    /// Stores it and falls silent.
    Vanish,
    /// Refuses batches that hold a reading at this time.
    Poison(i64),
}

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) at: Instant,
    pub(super) bytes: Bytes,
    pub(super) batch: Batch,
    pub(super) credential: String,
}

#[derive(Debug)]
struct Scripted {
    /// Whose time it tells, unless its own.
    time: Option<Arc<SiteTime>>,
    replies: VecDeque<Reply>,
    otherwise: Reply,
    epoch: Uuid,
    config_version: Option<String>,
    /// The highest sequence of each store.
    last: HashMap<Uuid, u64>,
}

/// The cloud, running.
#[derive(Debug, Clone)]
pub(super) struct FakeCloud {
    pub(super) url: String,
    scripted: Arc<Mutex<Scripted>>,
    requests: Arc<watch::Sender<Vec<Request>>>,
}

impl FakeCloud {
    pub(super) async fn start() -> FakeCloud {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let scripted = Scripted {
            time: None,
            replies: VecDeque::new(),
            otherwise: Reply::Receipt(|_, _| {}),
            epoch: Uuid::from_u128(7),
            last: HashMap::new(),
            config_version: Some(configuration::version(super::CONFIG).to_string()),
        };
        let cloud = FakeCloud {
            url,
            scripted: Arc::new(Mutex::new(scripted)),
            requests: Arc::new(watch::Sender::new(Vec::new())),
        };
        let router = Router::new().route("/api/v1/sync/batches", post(take)).with_state(cloud.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        cloud
    }

    /// What to do with the next batches, one each.
    pub(super) fn then(&self, replies: impl IntoIterator<Item = Reply>) {
        self.scripted.lock().unwrap().replies.extend(replies);
    }

    /// What to do with all others.
    pub(super) fn always(&self, reply: Reply) {
        self.scripted.lock().unwrap().otherwise = reply;
    }

    /// Tells the gateway's own time from now on.
    pub(super) fn keeps_time_with(&self, time: &Arc<SiteTime>) {
        self.scripted.lock().unwrap().time = Some(Arc::clone(time));
    }

    pub(super) fn restore_from_backup(&self) {
        self.scripted.lock().unwrap().epoch = Uuid::new_v4();
    }

    /// Has no `edge.toml` of the gateway any more.
    pub(super) fn forget_configuration(&self) {
        self.scripted.lock().unwrap().config_version = None;
    }

    /// As a restore does of which nobody told the cloud.
    pub(super) fn forget_batches(&self) {
        self.scripted.lock().unwrap().last.clear();
    }

    /// Waits until the requests so far are as they should be.
    pub(super) async fn until(&self, enough: impl Fn(&[Request]) -> bool) -> Vec<Request> {
        let mut requests = self.requests.subscribe();
        let enough = requests.wait_for(|requests| enough(requests));
        let found = tokio::time::timeout(super::PATIENCE, enough).await.map(|found| found.unwrap().clone());
        found.unwrap_or_else(|_| panic!("only this came: {:?}", super::sent(&self.requests.borrow())))
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.borrow().clone()
    }
}

async fn take(State(cloud): State<FakeCloud>, headers: HeaderMap, bytes: Bytes) -> Response {
    assert_eq!(headers[header::CONTENT_TYPE], MEDIA_TYPE);
    assert_eq!(headers[header::ACCEPT], riverwatts_shared::receipt::MEDIA_TYPE);
    let (batch, name) = (Batch::decode(&bytes).unwrap(), riverwatts_shared::batch::name(&bytes));
    let credential = headers[header::AUTHORIZATION].to_str().unwrap().to_owned();
    let request = Request { at: Instant::now(), bytes, batch: batch.clone(), credential };
    let (reply, now) = {
        let mut scripted = cloud.scripted.lock().unwrap();
        (scripted.replies.pop_front().unwrap_or_else(|| scripted.otherwise.clone()), scripted.now())
    };
    cloud.requests.send_modify(|requests| requests.push(request));
    match reply {
        Reply::Receipt(change) => {
            let mut receipt = cloud.receipt(&batch);
            change(&batch, &mut receipt);
            receipt.to_short(now).into_response()
        }
        Reply::Error(status, mut body, retry_after) => {
            if matches!(status, 400 | 422) && body["error"]["details"].is_null() {
                body["error"]["details"] = json!([{"field": "batch", "message": name}]);
            }
            let status = StatusCode::from_u16(status).unwrap();
            match retry_after {
                Some(when) => (status, [(header::RETRY_AFTER, when)], axum::Json(body)).into_response(),
                None => (status, axum::Json(body)).into_response(),
            }
        }
        Reply::Slow(takes) => {
            sleep(takes).await;
            cloud.receipt(&batch).to_short(now).into_response()
        }
        Reply::StoredButError => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Reply::Changed(at) => {
            let mut bytes = cloud.receipt(&batch).to_short(now);
            let at = at % bytes.len();
            bytes[at] ^= 1;
            bytes.into_response()
        }
        Reply::Vanish => std::future::pending().await,
        Reply::Poison(ms) => {
            let poisoned = batch.items.iter().any(|item| match item {
                Item::Segment { segment, .. } => segment.times.contains(&ms),
                _ => false,
            });
            match poisoned {
                true => {
                    let details = json!([{"field": "batch", "message": name}]);
                    let body = json!({"error": {"message": "poison", "details": details}});
                    (StatusCode::UNPROCESSABLE_ENTITY, axum::Json(body)).into_response()
                }
                false => cloud.receipt(&batch).to_short(now).into_response(),
            }
        }
    }
}

impl Scripted {
    fn now(&self) -> UtcMs {
        let told = self.time.as_ref().and_then(|time| time.now());
        told.unwrap_or_else(|| jiff::Timestamp::now().into())
    }
}

impl FakeCloud {
    /// A receipt that takes everything.
    fn receipt(&self, batch: &Batch) -> Receipt {
        let key = |item: &Item| match item {
            Item::Announcement(announcement) => Some(announcement.key.clone()),
            Item::Segment { device, .. } => Some(device.clone()),
            Item::Gap(gap) => Some(gap.device.clone()),
            Item::Configuration(_) => None,
        };
        let named = |key: String| NamedDevice { device_id: Uuid::new_v5(&Uuid::NAMESPACE_OID, key.as_bytes()), key };
        let mut scripted = self.scripted.lock().unwrap();
        let last_sequence = scripted.last.get(&batch.id.store).copied().unwrap_or(0);
        if !batch.items.is_empty() {
            scripted.last.insert(batch.id.store, last_sequence.max(batch.id.sequence));
        }
        for item in &batch.items {
            if let Item::Configuration(text) = item {
                scripted.config_version = Some(configuration::version(text).to_string());
            }
        }
        Receipt {
            batch: batch.id,
            epoch: scripted.epoch,
            devices: batch.items.iter().filter_map(key).map(named).collect(),
            waiting: Vec::new(),
            stored: Vec::new(),
            accepted: 0,
            duplicates: 0,
            rejected: Vec::new(),
            upload_every_s: None,
            last_sequence,
            config_version: scripted.config_version.clone(),
            commands: Vec::new(),
        }
    }
}
