//! What the ring has reported, and what that means for the streams.

use std::io;

use websocket_dispatcher::{Key, Ready};

use super::{Engine, How, Watched, list};
use crate::request::{self, BELL, Kind};
use crate::ring::Completion;

/// What was taken from the ring.
#[derive(Default)]
pub(super) struct Taken {
    /// A stream was seen.
    pub(super) news: bool,
    /// A stream, a wake, or the end of a request.
    pub(super) anything: bool,
}

impl Engine {
    /// Reports what was seen before, and what is there already on streams whose interest has changed.
    pub(super) fn report_news(&mut self, ready: &mut Vec<Ready>) -> bool {
        let known = ready.len();
        ready.append(&mut self.early);
        for key in self.news.drain(..) {
            let Some(Watched { interest, how: How::Driven(flow), .. }) = self.watched.get(key) else {
                continue;
            };
            let readable = interest.is_read() && flow.is_readable();
            let is_broken = flow.write_error.is_some() && !interest.is_none();
            if readable || is_broken {
                ready.push(Ready::new(key, readable, is_broken).with_read_closed(flow.has_ended));
            }
        }
        ready.len() > known
    }

    /// Takes what was reported.
    pub(super) fn take(&mut self, ready: &mut Vec<Ready>) -> io::Result<Taken> {
        let known = ready.len();
        let mut taken = Taken::default();
        let mut has_rung = false;
        let mut reports = std::mem::take(&mut self.reports);
        loop {
            reports.extend(self.ring.completions());
            for report in reports.drain(..) {
                taken.anything = true;
                if report.data == BELL {
                    has_rung = true;
                    self.bell_is_asked = report.more;
                    continue;
                }
                match request::kind(report.data) {
                    Kind::Poll => self.polled_as(&report, ready),
                    Kind::Receive => self.received(&report, ready),
                    Kind::Send => self.not_sent(&report, ready),
                    Kind::Other => {}
                }
            }
            if !self.ring.has_overflown() {
                break;
            }
            self.ring.run()?;
        }
        self.reports = reports;
        if self.ring.is_settled() {
            self.outputs.settle();
        }
        if has_rung {
            self.bell.hush();
            self.is_woken = true;
        }
        taken.news = ready.len() > known;
        Ok(taken)
    }

    /// The stream that a request was made for. A report for one that is not its stream's any more comes late.
    fn stream(&mut self, report: &Completion) -> Option<(Key, &mut Watched)> {
        let key = self.watched.key_in(request::slot(report.data))?;
        Some((key, self.watched.find_mut(key)?))
    }

    /// A stream was polled.
    fn polled_as(&mut self, report: &Completion, ready: &mut Vec<Ready>) {
        let Some((key, watched)) = self.stream(report) else { return };
        if watched.poll != Some(report.data) {
            return;
        }
        if !report.more {
            watched.poll = None;
        }
        match &mut watched.how {
            How::Polled(_) => {
                if !report.more && report.result >= 0 {
                    self.unasked.push(key);
                }
                ready.push(request::ready(key, report.result));
            }
            How::Driven(flow) => {
                flow.wants_room = false;
                if watched.interest.is_write() {
                    ready.push(request::ready(key, report.result));
                }
                if std::mem::take(&mut flow.is_stalled) {
                    self.outputs.list(key);
                }
            }
        }
    }

    /// Something was received on a stream, or the request has ended.
    fn received(&mut self, report: &Completion, ready: &mut Vec<Ready>) {
        let key = self.watched.key_in(request::slot(report.data));
        let watched = key.and_then(|key| Some((key, self.watched.find_mut(key)?)));
        let Some(buffers) = self.ring.buffers() else { return };
        let (key, interest, flow) = match watched {
            Some((key, Watched { interest, how: How::Driven(flow), .. }))
                if flow.receive == Some(report.data) =>
            {
                (key, interest, flow)
            }
            _ => {
                if let Some(buffer) = report.buffer {
                    buffers.give_back(buffer);
                }
                return;
            }
        };
        if !report.more {
            flow.receive = None;
            list(&mut self.unasked, key, flow);
        }
        let is_first = flow.is_dry();
        match (report.result, report.buffer) {
            (1.., Some(buffer)) => {
                buffers.append(&mut flow.received, buffer, report.result as usize);
                if is_first {
                    self.fresh.push(key);
                }
            }
            (result, buffer) => {
                if let Some(buffer) = buffer {
                    buffers.give_back(buffer);
                }
                match -result {
                    libc::ECANCELED | libc::EINTR | libc::EAGAIN => return,
                    libc::ENOBUFS => return buffers.grow(),
                    0 => {}
                    code => flow.read_error = Some(code),
                }
                flow.has_ended = true;
            }
        }
        if interest.is_read() && (is_first || flow.has_ended) {
            ready.push(Ready::new(key, true, flow.read_error.is_some()).with_read_closed(flow.has_ended));
        }
    }

    /// Output was not sent whole.
    fn not_sent(&mut self, report: &Completion, ready: &mut Vec<Ready>) {
        let Some((key, mut output)) = self.outputs.take(request::slot(report.data)) else { return };
        let Some(Watched { interest, how: How::Driven(flow), .. }) = self.watched.find_mut(key) else {
            return;
        };
        match report.result {
            code if code < 0 && ![libc::EAGAIN, libc::EINTR].contains(&-code) => {
                flow.write_error = Some(-code);
                self.outputs.recycle(output);
                if !interest.is_none() {
                    ready.push(Ready::new(key, true, true));
                }
            }
            sent => {
                output.drain(..usize::try_from(sent).unwrap_or(0).min(output.len()));
                flow.is_stalled = !output.is_empty();
                flow.output = output;
                list(&mut self.unasked, key, flow);
            }
        }
    }
}
