//! A client of graphql-transport-ws that waits for everything with a bound.

use std::{net::SocketAddr, time::Duration};

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};

/// Longest wait for anything, far beyond what is promised: the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// One operation on a socket of its own.
pub(crate) struct Subscription {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// What a subscription said next.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Received {
    /// The value of its field.
    Next(Value),
    /// The codes of the errors for which it was not opened, or ended.
    Refused(Vec<String>),
    /// It is over.
    Complete,
}

impl Subscription {
    /// Opens one. The field of the answers is `field`.
    pub(crate) async fn open(address: SocketAddr, key: &str, query: &str, variables: Value) -> Self {
        let mut request = format!("ws://{address}/graphql").into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
        let (socket, _) = timeout(PATIENCE, connect_async(request)).await.unwrap().unwrap();
        let mut subscription = Self { socket };
        let bearer = format!("Bearer {key}");
        subscription.send(json!({ "type": "connection_init", "payload": { "authorization": bearer } })).await;
        assert_eq!(subscription.receive().await["type"], "connection_ack");
        let payload = json!({ "query": query, "variables": variables });
        subscription.send(json!({ "type": "subscribe", "id": "1", "payload": payload })).await;
        subscription
    }

    async fn send(&mut self, message: Value) {
        self.socket.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn receive(&mut self) -> Value {
        // Around the loop: the server's pings are no reason to wait for longer.
        timeout(PATIENCE, self.receive_text()).await.expect("nothing came in time")
    }

    async fn receive_text(&mut self) -> Value {
        loop {
            match self.socket.next().await.expect("the socket closed").unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// What it says next.
    pub(crate) async fn message(&mut self) -> Received {
        let mut message = self.receive().await;
        match message["type"].as_str().unwrap() {
            "next" => {
                let mut payload = message["payload"].take();
                if payload.get("errors").is_some() {
                    return Received::Refused(codes(&payload["errors"]));
                }
                let data = payload["data"].as_object_mut().unwrap();
                Received::Next(data.values_mut().next().unwrap().take())
            }
            "error" => Received::Refused(codes(&message["payload"])),
            "complete" => Received::Complete,
            other => panic!("{other}"),
        }
    }

    /// The next value.
    pub(crate) async fn next(&mut self) -> Value {
        match self.message().await {
            Received::Next(value) => value,
            other => panic!("{other:?} instead of a value"),
        }
    }

    /// Everything until it is over.
    pub(crate) async fn rest(&mut self) -> Vec<Value> {
        let mut values = Vec::new();
        loop {
            match self.message().await {
                Received::Next(value) => values.push(value),
                Received::Complete => return values,
                Received::Refused(codes) => panic!("{codes:?}"),
            }
        }
    }

    /// Whether it says anything within this time.
    pub(crate) async fn is_silent_for(&mut self, time: Duration) -> bool {
        timeout(time, self.receive()).await.is_err()
    }
}

fn codes(errors: &Value) -> Vec<String> {
    let errors = errors.as_array().unwrap();
    errors.iter().map(|error| error["extensions"]["code"].as_str().unwrap().to_owned()).collect()
}
