//! A `wss` server with a certificate of a company's own: refused by default, with a word on what to do, and reached once its root is trusted.

use websocket_app::tls::TlsOptions;
use websocket_app::{BoxError, Error, Outcome, RunOptions, WebSocketApp};
use websocket_examples::tls_server::TlsServer;

fn app(url: &str) -> WebSocketApp {
    WebSocketApp::new(url)
        .on_open(|app, _| app.send_text("Hello, privately!"))
        .on_message(|app, message| {
            println!("received {message:?}");
            app.close();
        })
        .on_close(|_, closed| println!("closed, cleanly: {}", closed.clean))
}

fn main() -> Result<(), BoxError> {
    let server = TlsServer::start("ACME")?;
    println!("connecting to {}", server.url());

    // Without options the system's roots are trusted, which know nothing of ACME; here, so that no system matters, those of another company.
    let other = TlsOptions::new().roots_from_bytes(TlsServer::start("Initech")?.root());
    match app(&server.url()).run_forever(&RunOptions::new().tls(other))? {
        Outcome::Lost(Error::Tls(error)) => println!("refused: {error}"),
        outcome => return Err(format!("who is that? {outcome:?}").into()),
    }

    // As a rule the root is in a file: `roots_from_file("company-root.pem")`.
    let company = TlsOptions::new().roots_from_bytes(server.root());
    let options = RunOptions::new().tls(company);
    // The second connection resumes the session of the first: options and their clones share them.
    for _ in 0..2 {
        app(&server.url()).run_forever(&options)?.into_result()?;
    }
    Ok(())
}
