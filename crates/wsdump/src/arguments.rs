//! The command line.
#![allow(rustdoc::broken_intra_doc_links, reason = "these comments are the help that is printed")]

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, CommandFactory as _, Parser, ValueEnum};
use clap_complete::Shell;
use regex_lite::Regex;
use websocket_app::link::proxy::Proxy;

use crate::conditions::Expected;

/// The subjects of the help, in its order.
const TOPICS: [&str; 7] = ["Request", "Sending", "Ending", "Output", "Keyboard", "Connection", "TLS"];

const AFTER_HELP: &str = "\
At a terminal each line that is typed is sent as a text message; a line that begins with a slash is a command: /help. \
Elsewhere each line of standard input is sent, and the connection is closed when the answers have come.

'wsdump --help TOPIC' shows one topic: request, sending, ending, output, keyboard, connection or tls.

Exit status:
  0  done
  1  closed by the server before the end, or lost
  2  the command line is wrong, the URL or a header included
  3  the server or the proxy refused the connection with a status
  4  a timeout passed
  5  TLS failed
  6  an expectation was not met
  130  interrupted twice";

/// A WebSocket client for the command line: prints what a server sends, sends what is typed.
#[derive(Parser, Debug)]
#[command(
    name = "wsdump",
    version,
    after_help = AFTER_HELP,
    override_usage = "wsdump [OPTIONS] URL",
    disable_help_flag = true,
    max_term_width = 100
)]
pub(crate) struct Arguments {
    /// ws://host[:port][/path][?query], wss://... with TLS, or ws+unix:/socket[:/path] for a unix socket
    #[arg(value_name = "URL", required_unless_present_any = ["help", "completions", "man"])]
    url: Option<String>,

    /// Add a request header, 'Name: value'; may be repeated
    #[arg(short = 'H', long, value_name = "LINE", help_heading = "Request")]
    pub(crate) header: Vec<String>,
    /// The same for several headers, separated by commas
    #[arg(long, value_name = "LIST", value_delimiter = ',', help_heading = "Request")]
    headers: Vec<String>,
    /// Value of the Origin header
    #[arg(short, long, value_name = "ORIGIN", help_heading = "Request")]
    pub(crate) origin: Option<String>,
    /// Offer these subprotocols, separated by commas
    #[arg(short, long, value_name = "LIST", value_delimiter = ',', help_heading = "Request")]
    subprotocols: Vec<String>,
    /// Offer to compress messages (permessage-deflate)
    #[arg(long, help_heading = "Request")]
    pub(crate) compress: bool,

    /// Send TEXT as soon as the connection is open, then the lines of standard input
    #[arg(short, long, value_name = "TEXT", help_heading = "Sending")]
    pub(crate) text: Option<String>,
    /// Send MESSAGE, or the content of FILE, instead of standard input; may be repeated
    #[arg(long, value_name = "MESSAGE|@FILE", conflicts_with = "jsonrpc", help_heading = "Sending")]
    pub(crate) send: Vec<String>,
    /// Send binary messages instead of text
    #[arg(long, help_heading = "Sending")]
    pub(crate) binary: bool,
    /// Wait SEC seconds between the messages of --send
    #[arg(long, value_name = "SEC", default_value = "0", value_parser = seconds, help_heading = "Sending")]
    pub(crate) interval: Duration,
    /// Call a method by JSON-RPC 2.0 and print its result; PARAMS is JSON
    #[arg(long, value_names = ["METHOD", "PARAMS"], num_args = 1..=2, help_heading = "Sending")]
    pub(crate) jsonrpc: Vec<String>,
    /// What the lines of standard input are
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "text", help_heading = "Sending")]
    pub(crate) input: InputFormat,

    /// End after N messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Ending")]
    pub(crate) count: Option<u64>,
    /// End with success at a message that matches REGEX
    #[arg(long, value_name = "REGEX", help_heading = "Ending")]
    pub(crate) expect: Option<Regex>,
    /// End with success at a message with VALUE at the JSON POINTER; may be repeated, for the same message
    #[arg(long, value_name = "POINTER=VALUE", help_heading = "Ending")]
    pub(crate) expect_json: Vec<Expected>,
    /// End SEC seconds after the start, with status 4 if something was still to come
    #[arg(long, value_name = "SEC", value_parser = seconds, help_heading = "Ending")]
    pub(crate) timeout: Option<Duration>,
    /// Stay until the server closes
    #[arg(long, help_heading = "Ending")]
    pub(crate) until_close: bool,
    /// End when no message has come for SEC seconds
    #[arg(long, value_name = "SEC", value_parser = seconds, help_heading = "Ending")]
    pub(crate) until_silent: Option<Duration>,
    /// Close SEC seconds after the end of the input, whatever comes; default: after as many messages as were sent, or 1 s of silence
    #[arg(long, value_name = "SEC", value_parser = seconds, help_heading = "Ending")]
    pub(crate) eof_wait: Option<Duration>,

    /// How what happens is printed
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "text", help_heading = "Output")]
    pub(crate) output: OutputFormat,
    /// Print payloads as they are, without any decoration
    #[arg(short, long, conflicts_with = "output", help_heading = "Output")]
    pub(crate) raw: bool,
    /// Show every frame: time, direction, opcode, FIN, RSV1 and sizes; twice: the log, too
    #[arg(short, long, action = ArgAction::Count, help_heading = "Output")]
    pub(crate) verbose: u8,
    /// Show request, response, TLS, and the time of each phase of the opening handshake
    #[arg(long, help_heading = "Output")]
    pub(crate) handshake: bool,
    /// Show the seconds since the start before each message
    #[arg(long, help_heading = "Output")]
    pub(crate) timings: bool,
    /// Ping once per second, or per --ping-interval, and show the round-trip times; --count counts pongs
    #[arg(long, help_heading = "Output")]
    pub(crate) rtt: bool,
    /// Colors and indented JSON
    #[arg(long, value_name = "WHEN", value_enum, default_value = "auto", help_heading = "Output")]
    pub(crate) color: Color,

    /// Keep no history of the lines that are typed
    #[arg(long, help_heading = "Keyboard")]
    pub(crate) no_history: bool,

    /// Give up an attempt to connect after SEC seconds
    #[arg(long, value_name = "SEC", default_value = "30", value_parser = seconds, help_heading = "Connection")]
    pub(crate) connect_timeout: Duration,
    /// Send a ping every SEC seconds; 0: none
    #[arg(long, value_name = "SEC", default_value = "0", value_parser = seconds, help_heading = "Connection")]
    pub(crate) ping_interval: Duration,
    /// Give up a connection whose server is silent for SEC seconds after a ping of --ping-interval
    #[arg(long, value_name = "SEC", value_parser = seconds, help_heading = "Connection")]
    pub(crate) ping_timeout: Option<Duration>,
    /// Connect again SEC seconds after a loss, and not after a definite answer, such as a close with 1000 or a status 403; 0: never
    #[arg(long, value_name = "SEC", default_value = "0", value_parser = seconds, help_heading = "Connection")]
    pub(crate) reconnect: Duration,
    /// Go through this proxy: [scheme://][user[:password]@]host[:port]; the scheme is http (default), https, socks4, socks4a, socks5 or
    /// socks5h; without this option the environment decides (http_proxy, https_proxy, all_proxy, no_proxy)
    #[arg(short, long, value_name = "URL", value_parser = proxy, help_heading = "Connection")]
    pub(crate) proxy: Option<Proxy>,

    /// Trust the certificates in this file or directory instead of the system's; may be repeated
    #[arg(long, value_name = "PATH", help_heading = "TLS")]
    pub(crate) ca: Vec<PathBuf>,
    /// Show this certificate (PEM) to servers that want one
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub(crate) cert: Option<PathBuf>,
    /// Its private key (PEM); default: the file of --cert
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = "TLS")]
    pub(crate) key: Option<PathBuf>,
    /// Ask for this name (SNI) and expect a certificate for it, instead of the URL's host
    #[arg(long, value_name = "NAME", help_heading = "TLS")]
    pub(crate) server_name: Option<String>,
    /// Accept every certificate, whoever shows it
    #[arg(short, long, help_heading = "TLS")]
    pub(crate) nocert: bool,

    /// Print the help, or that on TOPIC, and exit
    #[arg(short, long, value_name = "TOPIC", num_args = 0..=1, exclusive = true)]
    help: Option<Option<String>>,
    /// Print a completion script for SHELL and exit
    #[arg(long, value_name = "SHELL", exclusive = true)]
    completions: Option<Shell>,
    /// Print the manual page (roff) and exit
    #[arg(long, exclusive = true)]
    man: bool,
}

/// What a line of standard input is.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum InputFormat {
    /// A message
    Text,
    /// A record, as '--output json' prints it; those with "dir":"in" are skipped
    Json,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OutputFormat {
    /// For people
    Text,
    /// Every frame and event as a line of JSON
    Json,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Color {
    /// At a terminal, unless NO_COLOR is set
    Auto,
    Always,
    Never,
}

/// What the user wants.
#[derive(Debug)]
pub(crate) enum Command {
    Run(Box<Arguments>),
    Print(Vec<u8>),
}

pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, clap::Error> {
    let mut arguments = Box::new(Arguments::try_parse_from(arguments)?);
    if let Some(topic) = &arguments.help {
        return help(topic.as_deref()).map(|text| Command::Print(text.into_bytes()));
    }
    let mut printed = Vec::new();
    if let Some(shell) = arguments.completions {
        clap_complete::generate(shell, &mut Arguments::command(), "wsdump", &mut printed);
        return Ok(Command::Print(printed));
    }
    if arguments.man {
        clap_mangen::Man::new(Arguments::command()).render(&mut printed)?;
        return Ok(Command::Print(printed));
    }
    let headers = std::mem::take(&mut arguments.headers);
    arguments.header.extend(trimmed(headers));
    arguments.subprotocols = trimmed(std::mem::take(&mut arguments.subprotocols)).collect();
    if arguments.ping_timeout.is_some() && arguments.ping_interval.is_zero() {
        return Err(wrong("--ping-timeout needs --ping-interval"));
    }
    if arguments.rtt && arguments.ping_interval.is_zero() {
        arguments.ping_interval = Duration::from_secs(1);
    }
    Ok(Command::Run(arguments))
}

impl Arguments {
    pub(crate) fn url(&self) -> &str {
        self.url.as_deref().unwrap_or_default()
    }

    pub(crate) fn subprotocols(&self) -> &[String] {
        &self.subprotocols
    }

    /// Whether something else than the end of the input ends the run.
    pub(crate) fn has_ending(&self) -> bool {
        let waits = self.until_close || self.until_silent.is_some() || self.timeout.is_some();
        let expects = self.count.is_some() || self.expect.is_some() || !self.expect_json.is_empty();
        waits || expects || self.rtt || !self.jsonrpc.is_empty()
    }
}

/// An error of the command line that clap does not find.
pub(crate) fn wrong(text: impl std::fmt::Display) -> clap::Error {
    Arguments::command().error(clap::error::ErrorKind::ValueValidation, text)
}

/// The help, or the part of it on one topic.
fn help(topic: Option<&str>) -> Result<String, clap::Error> {
    let mut command = Arguments::command();
    if let Some(topic) = topic {
        let wanted = TOPICS.into_iter().find(|known| known.eq_ignore_ascii_case(topic));
        let wanted = wanted.ok_or_else(|| {
            wrong(format_args!(
                "there is no help on {topic:?}; topics are {}",
                TOPICS.join(", ").to_lowercase()
            ))
        })?;
        command = command.after_help("").mut_args(|argument| {
            let hide = argument.get_help_heading() != Some(wanted);
            argument.hide(hide)
        });
    }
    Ok(command.render_help().to_string())
}

fn trimmed(list: Vec<String>) -> impl Iterator<Item = String> {
    list.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty())
}

fn proxy(url: &str) -> Result<Proxy, String> {
    Proxy::parse(url).map_err(|error| error.to_string())
}

fn seconds(value: &str) -> Result<Duration, String> {
    let seconds = value.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| "must be a number of seconds, 0 or more".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent_and_every_option_has_a_topic() {
        Arguments::command().debug_assert();
        for argument in Arguments::command().get_arguments().filter(|argument| argument.get_long().is_some())
        {
            let (name, topic) = (argument.get_id().as_str(), argument.get_help_heading());
            let is_general = ["help", "completions", "man"].contains(&name);
            assert_eq!(topic.is_some_and(|topic| TOPICS.contains(&topic)), !is_general, "{name}: {topic:?}");
        }
    }
}
