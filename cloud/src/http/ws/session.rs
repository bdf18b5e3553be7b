//! One socket from its sign-in to its end: frames go out as the room tells them, messages come in.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use bytes::Bytes;
use riverwatts_shared::time::UtcMs;
use serde::Deserialize;
use tokio::time::{Instant, interval_at, timeout};
use uuid::Uuid;

use crate::auth::secret::CREDENTIAL_PREFIX;
use crate::http::AppState;
use crate::live::close::Close;
use crate::live::{Event, Place, RoomId, Visitor};

/// How long the first message may take, when the handshake brought no token.
const SIGN_IN_WITHIN: Duration = Duration::from_secs(5);
/// How often a sign of life goes out.
const PING_EVERY: Duration = Duration::from_secs(20);
/// A peer that sends nothing for so long, not even answers to pings, is gone.
const SILENT_MAX: Duration = Duration::from_secs(50);
/// How long one frame may take to leave.
const SEND_MAX: Duration = Duration::from_secs(10);
/// How long the close frame may take to leave and to be answered.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);
/// Messages that go nowhere, before the peer is sent away.
const ERRORS_MAX: u32 = 32;

/// What a client may say.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Said {
    Auth {
        token: String,
    },
    Resume {
        after: BTreeMap<Uuid, UtcMs>,
    },
    DeviceReading,
    #[serde(other)]
    Unknown,
}

/// How a session ends.
enum End {
    /// The peer has gone.
    Gone,
    /// We close.
    Close(Close),
}

impl From<Close> for End {
    fn from(close: Close) -> End {
        End::Close(close)
    }
}

/// Counts open sockets.
struct Counted;

impl Counted {
    fn new() -> Counted {
        metrics::gauge!("websocket_active_connections").increment(1);
        Counted
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::gauge!("websocket_active_connections").decrement(1);
    }
}

/// Serves a socket until it ends.
pub async fn run(app: &AppState, mut socket: WebSocket, room: &str, token: Option<String>) {
    let _counted = Counted::new();
    let Err(End::Close(close)) = serve(app, &mut socket, room, token).await else { return };
    let code = close.code();
    metrics::counter!("riverwatts_live_closed_total", "code" => code.to_string()).increment(1);
    let farewell = async {
        let reason = Utf8Bytes::from_static(close.reason());
        // Until the peer has answered; it may be gone already.
        if socket.send(Message::Close(Some(CloseFrame { code, reason }))).await.is_ok() {
            while let Some(Ok(_)) = socket.recv().await {}
        }
    };
    let _ = timeout(CLOSE_WITHIN, farewell).await;
}

async fn serve(
    app: &AppState,
    socket: &mut WebSocket,
    room: &str,
    token: Option<String>,
) -> Result<std::convert::Infallible, End> {
    let token = match token {
        Some(token) => token,
        None => timeout(SIGN_IN_WITHIN, first_token(socket)).await.map_err(|_| Close::NotSignedIn)??,
    };
    let visitor = sign_in(app, &token)?;
    let room: RoomId = room.parse().map_err(|_| Close::Unseen)?;
    let mut session = Session { app, socket, place: app.live.enter(visitor, room).await?, errors: 0 };
    let mut heard = Instant::now();
    let mut pings = interval_at(heard + PING_EVERY, PING_EVERY);
    loop {
        tokio::select! {
            biased;
            event = session.place.next() => match event {
                Event::Frame(frame) => session.send(frame).await?,
                Event::Close(close) => return Err(close.into()),
            },
            message = session.socket.recv() => {
                heard = Instant::now();
                match message {
                    Some(Ok(message)) => session.take(message).await?,
                    Some(Err(error)) => return Err(unreadable(&error)),
                    None => return Err(End::Gone),
                }
            }
            now = pings.tick() => {
                if now.duration_since(heard) > SILENT_MAX {
                    return Err(End::Gone);
                }
                session.ping().await?;
            }
        }
    }
}

/// The token of a first message.
async fn first_token(socket: &mut WebSocket) -> Result<String, End> {
    loop {
        match socket.recv().await {
            Some(Ok(Message::Text(text))) => match serde_json::from_str(&text) {
                Ok(Said::Auth { token }) => return Ok(token),
                _ => return Err(Close::NotSignedIn.into()),
            },
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Binary(_))) => return Err(Close::NotSignedIn.into()),
            Some(Ok(Message::Close(_))) | None => return Err(End::Gone),
            Some(Err(error)) => return Err(unreadable(&error)),
        }
    }
}

/// Whose token this is.
fn sign_in(app: &AppState, token: &str) -> Result<Visitor, Close> {
    if token.starts_with(CREDENTIAL_PREFIX) {
        return Err(Close::NotPermitted);
    }
    let payload = app.auth.read_access(token, app.clock.wall()).map_err(|_| Close::NotSignedIn)?;
    let expires_at = UtcMs(payload.exp.saturating_mul(1_000));
    Ok(Visitor { user_id: payload.user_id, role: payload.role, session_id: payload.session_id, expires_at })
}

/// A peer that has gone, or one that is not understood.
fn unreadable(error: &axum::Error) -> End {
    let words = error.to_string();
    if words.contains("too long") || words.contains("too big") {
        End::Close(Close::TooLarge)
    } else if words.contains("protocol") || words.contains("utf-8") {
        End::Close(Close::Unreadable)
    } else {
        End::Gone
    }
}

/// A socket that is signed in.
struct Session<'s> {
    app: &'s AppState,
    socket: &'s mut WebSocket,
    place: Place,
    errors: u32,
}

impl Session<'_> {
    async fn send(&mut self, frame: Bytes) -> Result<(), End> {
        let text = Utf8Bytes::try_from(frame).expect("frames are JSON");
        self.write(Message::Text(text)).await
    }

    async fn write(&mut self, message: Message) -> Result<(), End> {
        match timeout(SEND_MAX, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(Close::TooSlow.into()),
        }
    }

    /// For scripts, which do not see the protocol's own, and for the peer's answer, which needs that.
    async fn ping(&mut self) -> Result<(), End> {
        self.send(self.place.head().ping()).await?;
        self.write(Message::Ping(Bytes::new())).await
    }

    async fn take(&mut self, message: Message) -> Result<(), End> {
        let said = match message {
            Message::Text(text) => serde_json::from_str(&text),
            Message::Binary(_) => Ok(Said::Unknown),
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
            Message::Close(_) => return Err(End::Gone),
        };
        match said {
            Ok(Said::Auth { token }) => Ok(self.place.renew(sign_in(self.app, &token)?)?),
            Ok(Said::Resume { after }) => Ok(self.place.resume(&after).await?),
            Ok(Said::DeviceReading) => {
                self.refuse("PERMISSION_DENIED", "readings come from gateways only; this one went nowhere").await
            }
            Ok(Said::Unknown) | Err(_) => {
                self.refuse("VALIDATION_ERROR", "expected a message of type auth or resume, as documented").await
            }
        }
    }

    async fn refuse(&mut self, code: &str, message: &str) -> Result<(), End> {
        self.errors += 1;
        self.send(self.place.head().error(code, message)).await?;
        if self.errors < ERRORS_MAX { Ok(()) } else { Err(Close::Hostile.into()) }
    }
}
