//! One caller over every transport: what it shows, and how its operations are answered.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};

use crate::client::WAIT_MAX;

/// What a caller shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shown {
    Nothing,
    Key(String),
    /// The text of a session's cookie.
    Cookie(String),
}

/// How an operation was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The codes of its errors, none if there are none.
    Codes(BTreeSet<String>),
    /// The socket was closed with this code and for this reason.
    Closed(u16, String),
    /// The connection broke off.
    BrokenOff,
}

impl Answer {
    pub(crate) fn of(response: &Value) -> Self {
        let errors = response["errors"].as_array().cloned().unwrap_or_default();
        let code = |error: &Value| error["extensions"]["code"].as_str().unwrap_or("none").to_owned();
        Self::Codes(errors.iter().map(code).collect())
    }

    pub(crate) fn is_closed(&self, with: u16) -> bool {
        matches!(self, Self::Closed(code, _) if *code == with)
    }

    pub(crate) fn has(&self, code: &str) -> bool {
        matches!(self, Self::Codes(codes) if codes.contains(code))
    }
}

/// A caller at a server.
pub(crate) struct Visitor {
    pub(crate) address: SocketAddr,
    pub(crate) shown: Shown,
    client: reqwest::Client,
}

/// A stream of one operation, or a socket that has signed in.
pub(crate) enum Open {
    Events(reqwest::Response, String),
    Socket(Box<WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>>),
}

impl Visitor {
    pub(crate) fn new(address: SocketAddr, shown: Shown) -> Self {
        Self { address, shown, client: callboard::startup::http_client!().build().unwrap() }
    }

    /// A request with what the caller shows, from a page of this address.
    pub(crate) fn request(&self, query: &str, variables: &Value, accept: &str) -> reqwest::RequestBuilder {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let request = self.client.post(format!("http://{}/graphql", self.address));
        let request = request.header("accept", accept).header("content-type", "application/json").body(body);
        match &self.shown {
            Shown::Nothing => request,
            Shown::Key(key) => request.bearer_auth(key),
            Shown::Cookie(text) => {
                let origin = format!("http://{}", self.address);
                request.header("cookie", format!("callboard={text}")).header("origin", origin)
            }
        }
    }

    pub(crate) async fn respond(&self, query: &str, variables: &Value) -> Value {
        let response = self.request(query, variables, "application/json").send().await.unwrap();
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
    }

    pub(crate) async fn over_http(&self, query: &str, variables: &Value) -> Answer {
        Answer::of(&self.respond(query, variables).await)
    }

    pub(crate) async fn events(&self, query: &str, variables: &Value) -> Open {
        Open::Events(self.request(query, variables, "text/event-stream").send().await.unwrap(), String::new())
    }

    /// A socket that has said `connection_init`, not yet acknowledged.
    pub(crate) async fn socket(&self) -> Open {
        let mut request = format!("ws://{}/graphql", self.address).into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
        let mut init = json!({ "type": "connection_init" });
        match &self.shown {
            Shown::Nothing => {}
            Shown::Key(key) => init["payload"] = json!({ "authorization": format!("Bearer {key}") }),
            Shown::Cookie(text) => {
                headers.insert("cookie", format!("callboard={text}").parse().unwrap());
                headers.insert("origin", format!("http://{}", self.address).parse().unwrap());
            }
        }
        let (mut socket, _) = timeout(WAIT_MAX, connect_async(request)).await.unwrap().unwrap();
        socket.send(Message::text(init.to_string())).await.unwrap();
        Open::Socket(Box::new(socket))
    }

    /// The first answer to an operation over a socket of its own.
    pub(crate) async fn over_socket(&self, query: &str, variables: &Value) -> Answer {
        let mut socket = self.socket().await;
        socket.subscribe(query, variables).await;
        socket.answer().await
    }

    /// The first answer to an operation as server-sent events.
    pub(crate) async fn over_events(&self, query: &str, variables: &Value) -> Answer {
        self.events(query, variables).await.answer().await
    }
}

impl Open {
    pub(crate) async fn subscribe(&mut self, query: &str, variables: &Value) {
        let Self::Socket(socket) = self else { panic!("not a socket") };
        let payload = json!({ "query": query, "variables": variables });
        let message = json!({ "type": "subscribe", "id": "1", "payload": payload });
        // A socket that is being closed is read for its code.
        drop(socket.send(Message::text(message.to_string())).await);
    }

    /// The next answer, or how the stream has ended.
    pub(crate) async fn answer(&mut self) -> Answer {
        timeout(WAIT_MAX, self.next()).await.expect("no answer in time")
    }

    /// Skips answers until the stream ends, and returns how, and the codes of the last answer.
    pub(crate) async fn end(&mut self, limit: Duration) -> Answer {
        let ended = async {
            loop {
                match self.next().await {
                    Answer::Codes(codes) if codes.is_empty() => {}
                    end => return end,
                }
            }
        };
        timeout(limit, ended).await.expect("the stream goes on")
    }

    async fn next(&mut self) -> Answer {
        match self {
            Self::Events(response, text) => loop {
                if let Some((block, rest)) = text.split_once("\n\n") {
                    let data = block.lines().find_map(|line| line.strip_prefix("data:")).map(str::trim);
                    let response = data.filter(|data| !data.is_empty()).map(serde_json::from_str::<Value>);
                    let rest = rest.to_owned();
                    *text = rest;
                    match response {
                        Some(response) => return Answer::of(&response.unwrap()),
                        None => continue,
                    }
                }
                match response.chunk().await {
                    Ok(Some(chunk)) => text.push_str(std::str::from_utf8(&chunk).unwrap()),
                    Ok(None) if text.starts_with('{') => {
                        return Answer::of(&serde_json::from_str(text).unwrap());
                    }
                    Ok(None) | Err(_) => return Answer::BrokenOff,
                }
            },
            Self::Socket(socket) => loop {
                match socket.next().await {
                    Some(Ok(Message::Text(text))) => {
                        let message: Value = serde_json::from_str(&text).unwrap();
                        match message["type"].as_str().unwrap() {
                            "next" => return Answer::of(&message["payload"]),
                            "error" => return Answer::of(&json!({ "errors": message["payload"] })),
                            "complete" => return Answer::BrokenOff,
                            _ => {}
                        }
                    }
                    Some(Ok(Message::Close(Some(frame)))) => {
                        return Answer::Closed(frame.code.into(), frame.reason.to_string());
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    _ => return Answer::BrokenOff,
                }
            },
        }
    }
}
