//! A server behind a unix socket, reached by a URL that names the socket's path (unix only).

#[cfg(unix)]
fn main() -> Result<(), websocket_app::BoxError> {
    unix::main()
}

#[cfg(not(unix))]
fn main() {
    println!("there are no unix sockets on this system");
}

#[cfg(unix)]
mod unix {
    use std::fs;
    use std::os::unix::net::UnixListener;
    use std::thread;

    use websocket_app::{BoxError, RunOptions, WebSocketApp};
    use websocket_testkit::server::echo_on;

    pub(crate) fn main() -> Result<(), BoxError> {
        let path = std::env::temp_dir().join(format!("websocket-example-{}.sock", std::process::id()));
        let listener = UnixListener::bind(&path)?;
        let server = thread::spawn(move || echo_on(listener.accept()?.0));

        // Behind the second colon stand path and query of the request. A ':' in the path of the socket would be written %3A.
        let url = format!("ws+unix:{}:/chat?room=1", path.display());
        println!("connecting to {url}");
        let outcome = WebSocketApp::new(url)
            .on_open(|app, _| app.send_text("Hello, neighbour!"))
            .on_message(|app, message| {
                println!("received {message:?}");
                app.close();
            })
            .on_close(|_, closed| println!("closed, cleanly: {}", closed.clean))
            .run_forever(&RunOptions::new());

        fs::remove_file(&path)?;
        outcome?.into_result()?;
        server.join().map_err(|_| "the server panicked")??;
        Ok(())
    }
}
