//! From a host name to addresses, off the loop's thread.

mod pool;
mod query;
mod system;

#[cfg(test)]
mod tests;

pub use self::query::{Answer, Asker, Query, Resolver};
pub use self::system::SystemResolver;
