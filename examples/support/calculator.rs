//! A JSON-RPC server that adds, and that never answers a call of `sleep`.

use std::io;

use serde_json::{Value, json};
use websocket_testkit::frame;
use websocket_testkit::server::ScriptedServer;

/// Starts the server.
///
/// # Errors
/// When the system refuses a socket or a thread.
pub fn start() -> io::Result<ScriptedServer> {
    ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        loop {
            let frame = peer.read_frame();
            if frame.opcode == frame::CLOSE {
                break peer.send_close(1000, "");
            }
            let Ok(request) = serde_json::from_slice::<Value>(&frame.payload) else { continue };
            if let Some(response) = respond(&request) {
                peer.send_text(&response.to_string());
            }
        }
    })
}

fn respond(request: &Value) -> Option<Value> {
    let params = request["params"].as_array().into_iter().flatten();
    match request["method"].as_str() {
        Some("add") => {
            let sum: i64 = params.filter_map(Value::as_i64).sum();
            Some(json!({"jsonrpc": "2.0", "id": request["id"], "result": sum}))
        }
        Some("sleep") => None,
        _ => {
            let error = json!({"code": -32601, "message": "there is no such method"});
            Some(json!({"jsonrpc": "2.0", "id": request["id"], "error": error}))
        }
    }
}
