//! Through an embedded HTTP proxy with CONNECT: the proxy wants a password, gets it, and what it refuses is told with its name.

use websocket_app::link::proxy::{NoProxy, Proxy, ProxyPolicy, ProxyScheme};
use websocket_app::{BoxError, Error, Outcome, RunOptions, WebSocketApp};
use websocket_examples::connect_proxy::{ConnectProxy, PASSWORD, USER};
use websocket_testkit::server::EchoServer;

fn run(url: &str, proxy: impl Into<ProxyPolicy>) -> Result<Outcome, Error> {
    WebSocketApp::new(url)
        .on_open(|app, _| app.send_text("Hello through the tunnel!"))
        .on_message(|app, message| {
            println!("  received {message:?}");
            app.close();
        })
        .run_forever(&RunOptions::new().proxy(proxy))
}

fn main() -> Result<(), BoxError> {
    let server = EchoServer::start()?;
    let proxy = ConnectProxy::start()?;
    let (host, port) = (proxy.address().ip().to_string(), proxy.address().port());

    println!("without a password");
    match run(&server.url(), Proxy::new(ProxyScheme::Http, &host, Some(port))?)? {
        Outcome::Lost(Error::Proxy(error)) => println!("  refused: {error}"),
        outcome => return Err(format!("the proxy let everybody in: {outcome:?}").into()),
    }

    println!("with user and password, as a URL has them");
    let proxy_url = format!("http://Aladdin:open%20sesame@{host}:{port}");
    run(&server.url(), Proxy::parse(&proxy_url)?)?.into_result()?;

    println!("and by parts");
    let parts = Proxy::new(ProxyScheme::Http, &host, Some(port))?.credentials(USER, PASSWORD)?;
    run(&server.url(), parts.clone())?.into_result()?;
    println!("  tunnels that the proxy has made: {}", proxy.tunnels());

    println!("past the proxy, for the server is an exception");
    let policy = ProxyPolicy::from(parts).no_proxy(NoProxy::parse("localhost, 127.0.0.0/8")?);
    run(&server.url(), policy)?.into_result()?;
    println!("  tunnels that the proxy has made: {}", proxy.tunnels());
    Ok(())
}
