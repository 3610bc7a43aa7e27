//! Request and response over one connection: JSON-RPC calls with ids and deadlines, from any thread.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use websocket_app::{BoxError, CallbackResult, RunOptions, Sender, WebSocketApp};
use websocket_examples::{block_on::block_on, calculator};

const PATIENCE: Duration = Duration::from_secs(30);

/// The calls that wait for their response, by id.
type Calls = HashMap<u64, mpsc::Sender<Value>>;

struct Client {
    sender: Sender,
    calls: Arc<Mutex<Calls>>,
    next_id: AtomicU64,
}

impl Client {
    /// Calls `method`, and waits for the response no longer than `deadline`.
    fn call(&self, method: &str, params: Value, deadline: Duration) -> Result<Value, BoxError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (answer, response) = mpsc::channel();
        lock(&self.calls).insert(id, answer);
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let sent = self.sender.send_text(request.to_string()).map_err(BoxError::from);
        let response = sent.and_then(|()| Ok(response.recv_timeout(deadline)?));
        lock(&self.calls).remove(&id);
        let mut response = response?;
        match response.get("error") {
            Some(error) => Err(error["message"].as_str().unwrap_or_default().into()),
            None => Ok(response["result"].take()),
        }
    }
}

fn lock(calls: &Mutex<Calls>) -> MutexGuard<'_, Calls> {
    calls.lock().unwrap_or_else(PoisonError::into_inner)
}

fn main() -> Result<(), BoxError> {
    let server = calculator::start()?;
    let calls = Arc::new(Mutex::new(Calls::new()));
    let (answered, ended) = (calls.clone(), calls.clone());
    let mut app = WebSocketApp::new(server.url())
        .on_message(move |_, message| -> CallbackResult {
            let response: Value = serde_json::from_slice(message.as_bytes())?;
            let call = response["id"].as_u64().and_then(|id| lock(&answered).remove(&id));
            // The response to a call whose deadline has passed is dropped.
            call.map_or(Ok(()), |call| Ok(call.send(response)?))
        })
        // Calls that wait end at once when the connection does.
        .on_close(move |_, _| lock(&ended).clear());
    let client = Client { sender: app.sender(), calls, next_id: AtomicU64::new(1) };

    let callers = thread::spawn(move || {
        thread::scope(|scope| {
            for number in 1..=4 {
                let client = &client;
                scope.spawn(move || {
                    block_on(client.sender.opened())?;
                    let sum = client.call("add", json!([number, 1]), PATIENCE)?;
                    println!("{number} + 1 = {sum}");
                    Ok::<(), BoxError>(())
                });
            }
        });
        println!("divide: {:?}", client.call("divide", json!([1, 0]), PATIENCE));
        println!("sleep: {:?}", client.call("sleep", json!([]), Duration::from_millis(50)));
        client.sender.close();
    });
    let outcome = app.run_forever(&RunOptions::new())?;
    callers.join().map_err(|_| "a caller panicked")?;
    Ok(outcome.into_result()?)
}
