//! `receive-deflate` on the floor: one call of zlib-rs a message, into one buffer.

use std::hint::black_box;

use websocket_bench::Result;
use websocket_bench::contract::{Report, Takeover, Task};
use websocket_bench::frame::{COMPRESSED, TEXT};
use websocket_bench::measure::Tally;
use zlib_rs::{Inflate, InflateFlush};

use crate::receive::feed;
use crate::text::validate;

/// Near the end of its room zlib-rs works byte by byte.
const SLACK: usize = 1024;

pub(crate) fn receive(task: &Task) -> Result<Report> {
    let mut tally = Tally::new(task)?;
    let mut inflate = Inflate::new(false, 15);
    let mut text = vec![0; task.payload + SLACK];
    feed(task, |first, payload| {
        if first != TEXT | COMPRESSED {
            return Err(format!("no place for a frame that begins with {first:#x}").into());
        }
        let before = inflate.total_out();
        inflate
            .decompress(payload, &mut text, InflateFlush::SyncFlush)
            .map_err(|error| format!("inflating: {error:?}"))?;
        let made = (inflate.total_out() - before) as usize;
        tally.count(black_box(validate(&text[..made])?).len());
        match task.compression.takeover {
            // The rest of the last block's header, and the length of nothing.
            Takeover::Yes => inflate
                .decompress(&[0, 0, 0xff, 0xff], &mut text, InflateFlush::SyncFlush)
                .map(|_| ())
                .map_err(|error| format!("inflating: {error:?}").into()),
            Takeover::No => {
                inflate.reset(false);
                Ok(())
            }
        }
    })?;
    tally.into_report()
}
