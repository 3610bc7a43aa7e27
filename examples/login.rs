//! A login on the way: a redirect, a session cookie that a jar keeps, and a token that answers a 401; another origin gets none of it.

use websocket_app::{BoxError, CookieJar, RunOptions, WebSocketApp};
use websocket_examples::gates;

fn main() -> Result<(), BoxError> {
    // The first server redirects to its own /chat, which wants a token, gives a cookie, and opens; /away leads to the second server.
    let stranger = gates::stranger()?;
    let server = gates::start(stranger.url())?;
    // Cookies belong to a host whatever its port, so the two need different names.
    let url = format!("ws://localhost:{}/", server.addr().port());
    let jar = CookieJar::new();

    let app = |path: &str| {
        WebSocketApp::new(format!("{url}{path}"))
            .header("X-Api-Key", "for the first server only")
            .cookie_jar(jar.clone())
            .authorize_with(|challenge| {
                println!("  asked: {}", challenge.challenges.join(", "));
                // Anything may be done here that does not block: a token that another thread keeps fresh, for one.
                Some("Bearer fresh-token".to_owned())
            })
            .on_message(|app, message| {
                println!("  {}", message.as_text().unwrap_or_default());
                app.close();
            })
    };

    for path in ["old", "chat", "away"] {
        println!("{path}");
        app(path).run_forever(&RunOptions::new())?.into_result()?;
        println!("  cookies for the server: {}", jar.names(&url)?.join(", "));
    }
    Ok(())
}
