//! Reading in a build without the feature `kernel-receive-time`.

use std::io::{self, Read as _};

use websocket_dispatcher::Io;

use super::observers::Observers;
use crate::feed::FeedOptions;

/// Does nothing: the option belongs to the feature.
pub(super) fn ask(_: &FeedOptions, _: &Io, _: &mut Option<Box<Observers>>) {}

/// Reads once.
#[inline]
pub(super) fn read(io: &mut Io, _: &mut Option<Box<Observers>>, room: &mut [u8]) -> io::Result<usize> {
    io.read(room)
}

/// As with the feature: there is nothing to prepare.
pub(crate) const fn prepare(_: &FeedOptions, _: &mut Io) {}
