//! A Win32 message loop runs an app beside a timer of its window (Windows only).

#[cfg(windows)]
fn main() -> Result<(), websocket_app::BoxError> {
    windows::main()
}

#[cfg(not(windows))]
fn main() {
    println!("This example has a Win32 message loop, so it needs Windows.");
}

#[cfg(windows)]
mod windows {
    use std::cell::{Cell, RefCell};
    use std::io;
    use std::ptr::{null, null_mut};

    use websocket_app::dispatcher::MioDispatcher;
    use websocket_app::{BoxError, Reactor, RunOptions, WebSocketApp};
    use websocket_dispatcher_waiting_thread::{Driver, WaitingThread};
    use websocket_testkit::server::EchoServer;
    use windows_sys::Win32::Foundation::{HWND, LPARAM, LRESULT, WPARAM};
    use windows_sys::Win32::System::LibraryLoader::GetModuleHandleW;
    use windows_sys::Win32::UI::WindowsAndMessaging::{
        CreateWindowExW, DefWindowProcW, DestroyWindow, DispatchMessageW, GetMessageW, HWND_MESSAGE, MSG,
        PostMessageW, PostQuitMessage, RegisterClassW, SetTimer, TranslateMessage, WM_APP, WM_TIMER,
        WNDCLASSW,
    };
    use windows_sys::core::w;

    /// Posted by the thread that waits.
    const WOKEN: u32 = WM_APP;
    const MESSAGES: usize = 5;

    struct Program {
        driver: Driver,
        reactor: Reactor<WaitingThread>,
    }

    thread_local! {
        /// Where the window's procedure finds it. Absent while a turn is taken: a callback may run a modal loop.
        static PROGRAM: RefCell<Option<Program>> = const { RefCell::new(None) };
        static ECHOES: Cell<usize> = const { Cell::new(0) };
        static TICKS: Cell<usize> = const { Cell::new(0) };
        static FAILED: Cell<Option<io::Error>> = const { Cell::new(None) };
    }

    /// Is called by `DispatchMessageW`, also from inside modal loops, where messages to the thread would be lost.
    unsafe extern "system" fn procedure(window: HWND, message: u32, w: WPARAM, l: LPARAM) -> LRESULT {
        match message {
            WOKEN => take_turn(),
            WM_TIMER => TICKS.set(TICKS.get() + 1),
            // SAFETY: these are the arguments that the procedure was called with.
            _ => return unsafe { DefWindowProcW(window, message, w, l) },
        }
        0
    }

    fn take_turn() {
        let Some(mut program) = PROGRAM.take() else { return };
        let turned = program.driver.turn(|ready| program.reactor.turn(ready));
        let is_over = turned.is_err() || program.reactor.apps().is_empty();
        FAILED.set(turned.err());
        PROGRAM.set(Some(program));
        if is_over {
            // SAFETY: it has no requirements.
            unsafe { PostQuitMessage(0) };
        }
    }

    /// A window that only gets messages.
    fn window() -> io::Result<HWND> {
        let class = w!("websocket-example");
        // SAFETY: the name outlives the program, the procedure has the type that is asked for, all other fields may be zero, and the parent
        // says that this window is for messages only.
        let window = unsafe {
            let instance = GetModuleHandleW(null());
            let description = WNDCLASSW {
                lpfnWndProc: Some(procedure),
                hInstance: instance,
                lpszClassName: class,
                ..WNDCLASSW::default()
            };
            RegisterClassW(&description);
            CreateWindowExW(0, class, null(), 0, 0, 0, 0, 0, HWND_MESSAGE, null_mut(), instance, null())
        };
        if window.is_null() { Err(io::Error::last_os_error()) } else { Ok(window) }
    }

    pub(super) fn main() -> Result<(), BoxError> {
        let server = EchoServer::start()?;
        let window = window()?;

        // A handle is a number to the system, and good on every thread.
        let address = window as usize;
        // SAFETY: posting to a window that is gone fails, and does nothing.
        let wake = move || _ = unsafe { PostMessageW(address as HWND, WOKEN, 0, 0) };
        let (dispatcher, driver) = WaitingThread::new(MioDispatcher::new()?, wake)?;
        let mut reactor = Reactor::with_dispatcher(dispatcher)?;
        WebSocketApp::new(server.url())
            .on_open(|app, _| app.send_text("message 1"))
            .on_message(|app, message| {
                println!("{}", message.as_text().unwrap_or("no text"));
                ECHOES.set(ECHOES.get() + 1);
                if ECHOES.get() < MESSAGES {
                    app.set_timeout(std::time::Duration::from_millis(30), |app| {
                        app.send_text(format!("message {}", ECHOES.get() + 1))
                    });
                } else {
                    app.close();
                }
            })
            .on_error(|_, error| eprintln!("failed: {error}"))
            .on_close(|_, closed| println!("closed, cleanly: {}", closed.clean))
            .run_on(&mut reactor, &RunOptions::new())?;
        PROGRAM.set(Some(Program { driver, reactor }));

        let mut message = MSG::default();
        // SAFETY: the message is written before it is read, and the window is this thread's.
        unsafe {
            SetTimer(window, 1, 10, None);
            while GetMessageW(&mut message, null_mut(), 0, 0) > 0 {
                TranslateMessage(&message);
                DispatchMessageW(&message);
            }
        }
        // The apps end before the window that they wake.
        drop(PROGRAM.take());
        // SAFETY: the window is this thread's, and still there.
        unsafe { DestroyWindow(window) };
        if let Some(error) = FAILED.take() {
            return Err(error.into());
        }
        assert_eq!(ECHOES.get(), MESSAGES);
        println!("{MESSAGES} messages went through a message loop that ticked {} times", TICKS.get());
        Ok(())
    }
}
