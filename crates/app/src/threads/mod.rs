//! What other threads hold of a reactor and its apps.

mod inbox;
mod mailbox;
mod outbox;
mod reactor_thread;
mod sender;
mod waits;

pub use inbox::ReactorHandle;
pub(crate) use inbox::{Inbox, Job};
pub(crate) use mailbox::{Mailbox, Order, SenderState};
pub(crate) use outbox::Outbox;
pub use reactor_thread::ReactorThread;
pub use sender::{Sender, SenderWait};
