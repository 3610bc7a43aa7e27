//! A subscription to a feed: a request when the connection opens, prices as they come, keep-alive pings and their round-trip times.

use std::time::Duration;

use websocket_app::{BoxError, Outcome, RunOptions, WebSocketApp};
use websocket_examples::ticker;

/// Prices that are enough: three seconds of them.
const PRICES: usize = 12;

fn main() -> Result<(), BoxError> {
    let server = ticker::start()?;
    let options = RunOptions::new()
        .ping_interval(Duration::from_secs(1))
        .ping_timeout(Duration::from_millis(500))
        .upgrade_timeout(Duration::from_secs(5));

    let mut received = 0;
    let outcome = WebSocketApp::new(server.url())
        .on_open(|app, open| {
            println!("open: {}", open.response.status);
            app.send_text("subscribe")
        })
        .on_message(move |app, message| -> Result<(), BoxError> {
            if received == PRICES {
                // It was under way when the app closed.
                return Ok(());
            }
            let (name, price) =
                message.as_text().and_then(|text| text.split_once(' ')).ok_or("not a price")?;
            println!("{name} {price:>8}");
            received += 1;
            if received == PRICES {
                app.close();
            }
            Ok(())
        })
        .on_pong(|_, _, rtt| {
            if let Some(rtt) = rtt {
                println!("     the server is alive, {rtt:.1?} away and back");
            }
        })
        .on_error(|_, error| eprintln!("failed: {error}"))
        .run_forever(&options)?;

    match outcome {
        Outcome::Clean { reason, by, .. } => {
            println!("closed by the {by:?}; the last word was {reason:?}");
            Ok(())
        }
        outcome => Ok(outcome.into_result()?),
    }
}
