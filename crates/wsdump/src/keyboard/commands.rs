//! Lines that begin with a slash.

use std::path::PathBuf;

use data_encoding::HEXLOWER_PERMISSIVE;

pub(crate) const HELP: &str = "\
/ping [TEXT]           send a ping
/pong [TEXT]           send a pong that was not asked for
/close [CODE [REASON]] close the connection
/binary FILE           send the content of a file as a binary message
/fragment N            send the following lines in fragments of N bytes; 0: whole
/raw HEX               send these bytes as they are, without a frame around them
/pause                 stop reading; again: read on
/stats                 show what has passed, in numbers
/help                  show this
//TEXT                 send a line that begins with a slash";

/// What a line at the prompt asks for.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Typed<'a> {
    Message(&'a str),
    Ping(&'a str),
    Pong(&'a str),
    /// Without a code: 1000.
    Close(Option<u16>, &'a str),
    Binary(PathBuf),
    Fragment(usize),
    Raw(Vec<u8>),
    Pause,
    Stats,
    Help,
}

/// Reads a line that was typed.
pub(crate) fn parse(line: &str) -> Result<Typed<'_>, String> {
    let Some(command) = line.strip_prefix('/') else { return Ok(Typed::Message(line)) };
    if command.starts_with('/') {
        return Ok(Typed::Message(command));
    }
    let (name, rest) = command.split_once(' ').unwrap_or((command, ""));
    let argument = rest.trim();
    let alone = |typed| {
        if argument.is_empty() { Ok(typed) } else { Err(format!("/{name} takes no argument")) }
    };
    match name {
        "ping" => Ok(Typed::Ping(argument)),
        "pong" => Ok(Typed::Pong(argument)),
        "close" if argument.is_empty() => Ok(Typed::Close(None, "")),
        "close" => {
            let (code, reason) = argument.split_once(' ').unwrap_or((argument, ""));
            let code = code.parse().map_err(|_| format!("{code:?} is not a close code, such as 1000"))?;
            Ok(Typed::Close(Some(code), reason.trim_start()))
        }
        "binary" if argument.is_empty() => Err("/binary needs the name of a file".into()),
        "binary" => Ok(Typed::Binary(argument.into())),
        "fragment" => {
            let bytes =
                argument.parse().map_err(|_| "/fragment needs a number of bytes; 0: whole messages")?;
            Ok(Typed::Fragment(bytes))
        }
        "raw" => {
            let digits: String = argument.split_whitespace().collect();
            let bytes = HEXLOWER_PERMISSIVE.decode(digits.as_bytes());
            match bytes {
                Ok(bytes) if !bytes.is_empty() => Ok(Typed::Raw(bytes)),
                _ => Err("/raw needs bytes as pairs of hexadecimal digits, such as 81 00".into()),
            }
        }
        "pause" => alone(Typed::Pause),
        "stats" => alone(Typed::Stats),
        "help" => alone(Typed::Help),
        _ => Err(format!("there is no /{name}; /help shows what there is, and //{command} sends it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_with_their_arguments() {
        for (line, expected) in [
            ("hello /help", Typed::Message("hello /help")),
            ("//help", Typed::Message("/help")),
            ("/ping are you there?", Typed::Ping("are you there?")),
            ("/pong", Typed::Pong("")),
            ("/close", Typed::Close(None, "")),
            ("/close 4000 so long", Typed::Close(Some(4000), "so long")),
            ("/binary a b.bin", Typed::Binary("a b.bin".into())),
            ("/fragment 3", Typed::Fragment(3)),
            ("/raw 81 80 aB cd0000", Typed::Raw(vec![0x81, 0x80, 0xab, 0xcd, 0, 0])),
            ("/pause", Typed::Pause),
            ("/stats ", Typed::Stats),
            ("/help", Typed::Help),
        ] {
            assert_eq!(parse(line), Ok(expected), "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_and_not_sent() {
        for line in [
            "/",
            "/what",
            "/close now",
            "/close 70000",
            "/binary",
            "/fragment x",
            "/raw 8",
            "/raw",
            "/pause 1",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
