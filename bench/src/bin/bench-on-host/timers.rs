//! How late the timers of an app are that has nothing else to do.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use websocket_app::Context;
use websocket_bench::Result;
use websocket_bench::contract::Task;
use websocket_bench::hosts::Turns;
use websocket_hosts::Host;

/// As many timers as the task has messages, each set by the one before.
pub(crate) fn run(host: &Host, task: &Task) -> Result<Turns> {
    let timers = Rc::new(Timers { count: usize::try_from(task.messages)?, late: RefCell::default() });
    let (begun, first) = (Instant::now(), timers.clone());
    crate::apps::run(
        host,
        task,
        |_, app| app,
        move |app, _| {
            first.set_next(app);
            Ok(())
        },
    )?;
    let late = timers.late.take();
    match late.len() == timers.count {
        true => Ok(Turns::new(late, begun.elapsed())),
        false => Err(format!("{} of {} timers were called", late.len(), timers.count).into()),
    }
}

struct Timers {
    count: usize,
    late: RefCell<Vec<u64>>,
}

impl Timers {
    fn set_next(self: Rc<Self>, app: &mut Context<'_>) {
        let number = self.late.borrow().len();
        if number == self.count {
            return app.apps().stop();
        }
        let after = delay(number);
        let due = app.now() + after;
        app.set_timeout(after, move |app| {
            self.late.borrow_mut().push(due.elapsed().as_nanos() as u64);
            self.set_next(app);
        });
    }
}

/// From one millisecond to three, and hardly ever a whole one.
fn delay(number: usize) -> Duration {
    Duration::from_micros(1000 + number as u64 * 617 % 2000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_odd_and_spread() {
        let mut delays: Vec<u128> = (0..2000).map(|number| delay(number).as_micros()).collect();
        assert!(delays.iter().filter(|&delay| delay % 1000 == 0).count() == 2);
        delays.sort_unstable();
        assert_eq!((delays[0], delays[1999]), (1000, 2999));
    }
}
