//! The client under test as a stream.

use futures_util::{SinkExt as _, StreamExt as _};
use websocket_app::{ReactorHandle, RunOptions};
use websocket_stream::connect;

use crate::client::Seen;

/// Connects, and receives until the connection ends. Every message is sent back, or the first one is kept.
pub(crate) async fn converse(url: &str, options: &RunOptions, handle: &ReactorHandle, echo: bool) -> Seen {
    let mut seen = Seen::default();
    let mut stream = match connect(url, options, handle).await {
        Ok(stream) => stream,
        Err(error) => {
            seen.end = error.to_string();
            return seen;
        }
    };
    seen.opened = true;
    while let Some(message) = stream.next().await {
        match message {
            // Where it cannot be sent any more, the next item says why.
            Ok(message) if echo => drop(stream.send(message).await),
            Ok(message) => {
                let text = || String::from_utf8_lossy(message.as_bytes()).into_owned();
                seen.first.get_or_insert_with(text);
            }
            Err(error) => seen.end = error.to_string(),
        }
    }
    if seen.end.is_empty() {
        seen.end = format!("closed with {:?}", stream.closed().and_then(|closed| closed.code));
    }
    seen
}
