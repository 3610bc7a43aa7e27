//! The smallest program: one app says hello to an embedded echo server, prints the answer and closes.

use websocket_app::{BoxError, RunOptions, WebSocketApp};
use websocket_testkit::server::EchoServer;

fn main() -> Result<(), BoxError> {
    let server = EchoServer::start()?;
    println!("connecting to {}", server.url());

    WebSocketApp::new(server.url())
        .on_open(|app, _| app.send_text("Hello, WebSocket!"))
        .on_message(|app, message| {
            println!("received {message:?}");
            app.close();
        })
        .on_error(|_, error| eprintln!("failed: {error}"))
        .on_close(|_, closed| println!("closed, cleanly: {}", closed.clean))
        .run_forever(&RunOptions::new())?
        .into_result()?;
    Ok(())
}
