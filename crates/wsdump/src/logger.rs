//! The log of the libraries, on standard error.

use log::{LevelFilter, Log, Metadata, Record};

struct Logger;

impl Log for Logger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        eprintln!("{:<5} {}: {}", record.level(), record.target(), record.args());
    }

    fn flush(&self) {}
}

/// Shows every record from now on.
pub(crate) fn start() {
    if log::set_logger(&Logger).is_ok() {
        log::set_max_level(LevelFilter::Trace);
    }
}
