//! The client on a thread of its own, so that one that hangs ends the run instead of holding it.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use websocket_app::RunOptions;

use crate::client::{Client, Interface};
use crate::failure::Failure;

/// Longer than the suite lets any of its cases take.
const PATIENCE: Duration = Duration::from_secs(180);

enum Job {
    Fetch(String),
    /// Compressed or not.
    Echo(String, bool),
}

/// A client that takes one job after the other. The inner results of its methods are what the client said.
pub(crate) struct Worker {
    jobs: Sender<Job>,
    answers: Receiver<Result<String, String>>,
}

impl Worker {
    pub(crate) fn start(interface: Interface, options: RunOptions) -> Self {
        let (jobs, to_do) = channel();
        let (done, answers) = channel();
        thread::spawn(move || {
            let client = Client::new(interface, options);
            for job in to_do {
                let answer = match job {
                    Job::Fetch(url) => client.fetch(&url),
                    Job::Echo(url, compressed) => client.echo(&url, compressed).map(|()| String::new()),
                };
                if done.send(answer.map_err(|error| error.to_string())).is_err() {
                    return;
                }
            }
        });
        Self { jobs, answers }
    }

    pub(crate) fn fetch(&self, url: String) -> Result<Result<String, String>, Failure> {
        self.have_done(Job::Fetch(url))
    }

    pub(crate) fn echo(&self, url: String, compressed: bool) -> Result<Result<(), String>, Failure> {
        Ok(self.have_done(Job::Echo(url, compressed))?.map(drop))
    }

    fn have_done(&self, job: Job) -> Result<Result<String, String>, Failure> {
        let url = match &job {
            Job::Fetch(url) | Job::Echo(url, _) => url.clone(),
        };
        // A worker that is gone also leaves no answer, which is told below.
        let _ = self.jobs.send(job);
        self.answers.recv_timeout(PATIENCE).map_err(|error| {
            Failure::Broken(match error {
                RecvTimeoutError::Timeout => format!("the client hangs at {url}"),
                RecvTimeoutError::Disconnected => format!("the client panicked at {url}"),
            })
        })
    }
}
