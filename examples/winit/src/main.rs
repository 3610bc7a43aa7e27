//! A window on winit's event loop shows in its title what a WebSocket app receives, and closes when the app has ended.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use websocket_app::dispatcher::MioDispatcher;
use websocket_app::{BoxError, Reactor, RunOptions, WebSocketApp};
use websocket_dispatcher_waiting_thread::{Driver, WaitingThread};
use websocket_testkit::server::EchoServer;
use winit::application::ApplicationHandler;
use winit::event::WindowEvent;
use winit::event_loop::{ActiveEventLoop, EventLoop};
use winit::window::{Window, WindowId};

const MESSAGES: usize = 5;

/// The user event of the loop: the thread that waits has woken it.
struct Woken;

/// What the app's callbacks and the window share. Both are on the loop's thread.
#[derive(Default)]
struct Shown {
    window: Option<Window>,
    messages: usize,
}

struct Program {
    driver: Driver,
    reactor: Reactor<WaitingThread>,
    shown: Rc<RefCell<Shown>>,
    result: Result<(), BoxError>,
}

impl ApplicationHandler<Woken> for Program {
    fn resumed(&mut self, event_loop: &ActiveEventLoop) {
        match event_loop.create_window(Window::default_attributes().with_title("connecting")) {
            Ok(window) => self.shown.borrow_mut().window = Some(window),
            Err(error) => {
                self.result = Err(error.into());
                event_loop.exit();
            }
        }
    }

    fn user_event(&mut self, event_loop: &ActiveEventLoop, Woken: Woken) {
        let turned = self.driver.turn(|ready| self.reactor.turn(ready));
        if turned.is_err() || self.reactor.apps().is_empty() {
            self.result = turned.map_err(BoxError::from);
            event_loop.exit();
        }
    }

    fn window_event(&mut self, _: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        if matches!(event, WindowEvent::CloseRequested) {
            // The window closes when the app has said goodbye.
            self.reactor.apps().stop_within(Duration::from_secs(1));
        }
    }
}

fn app(url: String, shown: Rc<RefCell<Shown>>) -> WebSocketApp {
    WebSocketApp::new(url)
        .on_open(|app, _| app.send_text("message 1"))
        .on_message(move |app, message| {
            let text = message.as_text().unwrap_or("no text");
            println!("{text}");
            let mut shown = shown.borrow_mut();
            if let Some(window) = &shown.window {
                window.set_title(text);
            }
            shown.messages += 1;
            let next = shown.messages + 1;
            if shown.messages < MESSAGES {
                app.set_timeout(Duration::from_millis(50), move |app| app.send_text(format!("message {next}")));
            } else {
                app.close();
            }
        })
        .on_error(|_, error| eprintln!("failed: {error}"))
        .on_close(|_, closed| println!("closed, cleanly: {}", closed.clean))
}

fn main() -> Result<(), BoxError> {
    let server = EchoServer::start()?;
    let event_loop = EventLoop::<Woken>::with_user_event().build()?;

    let proxy = event_loop.create_proxy();
    // A loop that has ended needs no turn.
    let wake = move || _ = proxy.send_event(Woken);
    let (dispatcher, driver) = WaitingThread::new(MioDispatcher::new()?, wake)?;
    let mut reactor = Reactor::with_dispatcher(dispatcher)?;
    let shown = Rc::new(RefCell::new(Shown::default()));
    app(server.url(), shown.clone()).run_on(&mut reactor, &RunOptions::new())?;

    let mut program = Program { driver, reactor, shown: shown.clone(), result: Ok(()) };
    event_loop.run_app(&mut program)?;
    program.result?;
    let messages = shown.borrow().messages;
    println!("the window has shown {messages} messages");
    Ok(())
}
