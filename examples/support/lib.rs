//! What the examples share, so that each of them shows its own point and nothing else.
#![forbid(unsafe_code)]

pub mod bar;
pub mod descriptors;
pub mod latencies;
pub mod process;
pub mod server;
pub mod ticker;

/// The code of the README and of the guide is compiled as documentation tests, and run where it can be.
#[cfg(doctest)]
mod guide {
    macro_rules! chapters {
        ($($name:ident = $file:literal)*) => {
            $(#[doc = include_str!($file)] mod $name {})*
        };
    }

    chapters! {
        readme = "../../README.md"
    }
}
