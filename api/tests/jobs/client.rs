//! A graphql-transport-ws client with a timeout for every wait.

use std::{net::SocketAddr, time::Duration};

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};

/// Longest wait for a message, far beyond any promised delay, because the machine may be busy.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(30);

/// One subscription on its own socket.
pub(crate) struct Subscription {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// A message of a subscription.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Received {
    /// The value of the subscription's field.
    Next(Value),
    /// The codes of the errors that refused or ended the subscription.
    Refused(Vec<String>),
    /// The subscription has completed.
    Complete,
}

impl Subscription {
    /// Opens a subscription. `query` must select one field.
    pub(crate) async fn open(address: SocketAddr, key: &str, query: &str, variables: Value) -> Self {
        let mut request = format!("ws://{address}/graphql").into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
        let (socket, _) = timeout(WAIT_MAX, connect_async(request)).await.unwrap().unwrap();
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
        // The timeout covers the loop, so that the server's pings do not extend it.
        timeout(WAIT_MAX, self.receive_text()).await.expect("no message arrived in time")
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

    /// Returns the next message.
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

    /// Returns the next message, which must be a value.
    pub(crate) async fn next(&mut self) -> Value {
        match self.message().await {
            Received::Next(value) => value,
            other => panic!("{other:?} instead of a value"),
        }
    }

    /// Returns all values until the subscription completes.
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

    /// Returns whether no message arrives within this time.
    pub(crate) async fn is_silent_for(&mut self, time: Duration) -> bool {
        timeout(time, self.receive()).await.is_err()
    }
}

fn codes(errors: &Value) -> Vec<String> {
    let errors = errors.as_array().unwrap();
    errors.iter().map(|error| error["extensions"]["code"].as_str().unwrap().to_owned()).collect()
}
