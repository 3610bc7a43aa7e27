//! The waker: libuv's handle that any thread may ring.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Wake;

use libuv::{AsyncHandle, HandleTrait as _, Loop};

/// Rings until it is closed. A handle that is closed is gone, so no thread must have it any more.
pub(crate) struct Bell(Mutex<Option<AsyncHandle>>);

impl Bell {
    /// A bell that sets `rung` in the loop's next round.
    pub(crate) fn new(uv: &Loop, rung: Rc<Cell<bool>>) -> libuv::Result<Arc<Self>> {
        let handle = uv.r#async(move |_: AsyncHandle| rung.set(true))?;
        Ok(Arc::new(Self(Mutex::new(Some(handle)))))
    }

    pub(crate) fn close(&self) {
        if let Some(mut handle) = self.lock().take() {
            handle.close(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<AsyncHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(handle) = &mut *self.lock() {
            // libuv promises that an open handle can be rung.
            let _ = handle.send();
        }
    }
}
