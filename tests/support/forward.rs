//! Dispatchers of tests that stand in front of another one.

/// What a [`Dispatcher`](websocket_app::dispatcher::Dispatcher) in front of another one leaves to that, which is in its field `$inner`:
/// everything but the wait.
#[macro_export]
macro_rules! forward_to {
    ($inner:tt) => {
        fn register(
            &mut self,
            key: websocket_app::dispatcher::Key,
            io: &mut websocket_app::dispatcher::Io,
            interest: websocket_app::dispatcher::Interest,
        ) -> std::io::Result<()> {
            self.$inner.register(key, io, interest)
        }

        fn reregister(
            &mut self,
            key: websocket_app::dispatcher::Key,
            io: &mut websocket_app::dispatcher::Io,
            interest: websocket_app::dispatcher::Interest,
        ) -> std::io::Result<()> {
            self.$inner.reregister(key, io, interest)
        }

        fn deregister(&mut self, key: websocket_app::dispatcher::Key, io: websocket_app::dispatcher::Io) {
            self.$inner.deregister(key, io);
        }

        fn waker(&self) -> std::task::Waker {
            self.$inner.waker()
        }

        fn clock(&self) -> websocket_app::dispatcher::Clock {
            self.$inner.clock()
        }
    };
}
