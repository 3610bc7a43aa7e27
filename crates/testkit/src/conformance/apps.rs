//! What the contract is for: whole apps on a reactor on the dispatcher. Their far ends are moved by the test
//! between two turns.

mod actor;
mod batches;
mod ends;
mod feeds;
mod leaving;
mod living;
mod numbers;
mod scenario;
mod server;
mod stage;

pub use self::batches::batches_end_behind_their_last_message;
pub use self::ends::*;
pub use self::feeds::*;
pub use self::leaving::*;
pub use self::living::*;
pub use self::numbers::*;
pub use self::scenario::whole_apps_see_the_same_events_as_on_mio;
