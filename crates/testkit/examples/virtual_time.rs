//! A day in a moment: two apps and a report of the program's own every six hours, on a network and a clock that are simulated.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use websocket_app::{BoxError, Reactor, Reconnect, RunOptions, WebSocketApp};
use websocket_testkit::frame;
use websocket_testkit::sim::{SimNet, SimPeer};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Opens a connection, sends a price every minute, and hangs up after an hour and a half.
fn market(server: &SimPeer) {
    server.accept_upgrade();
    for minute in 1..90 {
        let price = frame::text(&format!("{}", 100 + minute % 7));
        let server = server.clone();
        server.net().clone().after(MINUTE * minute, move |_| server.write(&price));
    }
    let server = server.clone();
    server.net().clone().after(MINUTE * 90, move |_| server.close());
}

fn app(name: &'static str, prices: Rc<Cell<u32>>) -> WebSocketApp {
    WebSocketApp::new(format!("ws://192.0.2.1/{name}"))
        .on_message(move |_, _| prices.set(prices.get() + 1))
        .on_close(move |_, closed| println!("{name}: closed, again in {:?}", closed.retry_in))
}

fn main() -> Result<(), BoxError> {
    let net = SimNet::new(1);
    net.serve("192.0.2.1:80".parse()?, market);
    let mut reactor =
        Reactor::with_dispatcher(net.dispatcher())?.connector(net.clone()).resolver(net.resolver());
    let options = RunOptions::new().reconnect(Reconnect::fixed(MINUTE));
    let prices = Rc::new(Cell::new(0));
    for name in ["first", "second"] {
        app(name, prices.clone()).run_on(&mut reactor, &options)?;
    }

    let mut reports = Vec::new();
    let mut report = HOUR * 6;
    while report <= DAY {
        while net.elapsed() < report {
            reactor.poll(Some(report - net.elapsed()))?;
        }
        println!("after {} hours: {} prices", report.as_secs() / 3600, prices.get());
        reports.push(prices.get());
        report += HOUR * 6;
    }
    // Each connection brings 89 prices, and the next one opens a minute after its end: every 91 minutes.
    assert_eq!(reports, [708, 1412, 2116, 2820]);
    Ok(())
}
