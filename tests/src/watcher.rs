//! Somebody who looks: a WebSocket client that nobody of the project wrote, in one of the cloud's rooms.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::{WebSocketStream, client_async};

pub use tokio_tungstenite::tungstenite::Message;

use crate::api::Api;
use crate::cloud::Cloud;
use crate::deadline::SOON;

/// What a connection with a small buffer takes before it is read.
const SMALL_BYTES: u32 = 4_096;

/// An open socket.
#[derive(Debug)]
pub struct Watcher {
    stream: WebSocketStream<TcpStream>,
}

/// The request for a room, by nobody.
pub fn request(cloud: &Cloud, room: &str) -> Request {
    format!("{}/ws/{room}", cloud.url().replacen("http", "ws", 1)).into_client_request().unwrap()
}

impl Watcher {
    /// Enters a room with the access token of somebody who is signed in.
    pub async fn enter(cloud: &Cloud, room: &str, api: &Api) -> Watcher {
        Watcher::with_token(cloud, room, api.token().unwrap()).await
    }

    /// The same with any token.
    pub async fn with_token(cloud: &Cloud, room: &str, token: &str) -> Watcher {
        let mut request = request(cloud, room);
        let protocols = format!("riverwatts, bearer.{token}");
        request.headers_mut().insert("Sec-WebSocket-Protocol", protocols.parse().unwrap());
        Watcher::open(cloud, request).await.unwrap_or_else(|status| panic!("refused: {status}"))
    }

    /// The same by a connection that takes little before it is read.
    pub async fn enter_with_small_buffer(cloud: &Cloud, room: &str, api: &Api) -> Watcher {
        let mut request = request(cloud, room);
        let protocols = format!("bearer.{}", api.token().unwrap());
        request.headers_mut().insert("Sec-WebSocket-Protocol", protocols.parse().unwrap());
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(SMALL_BYTES).unwrap();
        let stream = socket.connect(([127, 0, 0, 1], cloud.port()).into()).await.unwrap();
        Watcher { stream: client_async(request, stream).await.unwrap().0 }
    }

    /// Opens a socket as this request asks.
    ///
    /// # Errors
    /// The status, when the handshake is refused.
    pub async fn open(cloud: &Cloud, request: Request) -> Result<Watcher, u16> {
        let stream = TcpStream::connect(("127.0.0.1", cloud.port())).await.unwrap();
        match client_async(request, stream).await {
            Ok((stream, _)) => Ok(Watcher { stream }),
            Err(Error::Http(refused)) => Err(refused.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Says something.
    pub async fn say(&mut self, message: &Value) {
        self.send(Message::text(message.to_string())).await;
    }

    /// Sends any message.
    pub async fn send(&mut self, message: Message) {
        // Whoever was just sent away cannot, and learns why by the close frame.
        let _ = self.stream.send(message).await;
    }

    /// Says whose it is, when the request did not.
    pub async fn sign_in(&mut self, api: &Api) {
        self.say(&json!({"type": "auth", "token": api.token().unwrap()})).await;
    }

    /// The next frame.
    #[track_caller]
    pub fn frame(&mut self) -> impl Future<Output = Value> {
        let caller = std::panic::Location::caller();
        async move {
            match self.next().await {
                Message::Text(text) => serde_json::from_str(&text).unwrap(),
                other => panic!("{caller}: no frame but {other:?}"),
            }
        }
    }

    /// The next frame that is no sign of life, and is of this type; its data.
    #[track_caller]
    pub fn data(&mut self, kind: &str) -> impl Future<Output = Value> {
        let caller = std::panic::Location::caller();
        async move {
            let frame = async {
                loop {
                    let frame = self.frame().await;
                    if frame["type"] != "ping" || kind == "ping" {
                        return frame;
                    }
                }
            };
            // Signs of life go on and on.
            let mut frame = timeout(SOON, frame).await.unwrap_or_else(|_| panic!("{caller}: no {kind} comes"));
            assert_eq!(frame["type"], kind, "{caller}: {frame}");
            frame["data"].take()
        }
    }

    /// Lets frames pass until the socket is closed from the other side; the code.
    #[track_caller]
    pub fn closed(&mut self) -> impl Future<Output = u16> {
        let caller = std::panic::Location::caller();
        async move {
            let code = async {
                loop {
                    if let Message::Close(frame) = self.next().await {
                        return frame.unwrap_or_else(|| panic!("{caller}: no code")).code.into();
                    }
                }
            };
            // Signs of life go on and on.
            timeout(SOON, code).await.unwrap_or_else(|_| panic!("{caller}: it stays open"))
        }
    }

    async fn next(&mut self) -> Message {
        loop {
            match timeout(SOON, self.stream.next()).await.expect("nothing comes") {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(message)) => return message,
                Some(Err(error)) => panic!("{error}"),
                None => panic!("the socket ended without a close frame"),
            }
        }
    }
}
