//! Apps that write down what they are told, and reactors to run them on.

mod counting;
mod log;
mod neighbour;
mod wait;
mod world;

pub use self::counting::Counting;
pub use self::log::{Log, close_line, error_line, outcome_line};
pub use self::neighbour::neighbour;
pub use self::wait::{run, run_forever, until};
pub use self::world::{SERVER, URL, World};
