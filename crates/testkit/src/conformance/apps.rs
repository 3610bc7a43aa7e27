//! What the contract is for: whole apps on a reactor on the dispatcher. Their far ends are moved by the test
//! between two turns.

mod actor;
mod leaving;
mod living;
mod scenario;
mod server;
mod stage;

pub use self::leaving::*;
pub use self::living::*;
pub use self::scenario::whole_apps_see_the_same_events_as_on_mio;
