//! The lower floor: the upgrade, then reads into one buffer, of which the bytes are only counted, or writes of frames that were made
//! beforehand.

#![forbid(unsafe_code)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;

use websocket_bench::contract::{Report, Task, WRITE, Workload, client_main, payload};
use websocket_bench::frame::{TEXT, masked, read_text, unmasked};
use websocket_bench::measure::{Meter, Sending};
use websocket_bench::{CHUNK, Result, upgrade};

fn main() -> ExitCode {
    client_main(|task| match task.workload {
        Workload::Receive => receive(task),
        Workload::Send => send(task),
        other => Err(format!("raw has no '{}'; it knows receive and send", other.name()).into()),
    })
}

fn receive(task: &Task) -> Result<Report> {
    let frame = unmasked(TEXT, payload(task.payload).as_bytes()).len() as u64;
    let mut buffer = vec![0; CHUNK];
    let (mut stream, first) = upgrade::connect(task, &mut buffer)?;
    let warm = read_until(&mut stream, &mut buffer, first as u64, task.warm_up * frame)?;
    let meter = Meter::start()?;
    read_until(&mut stream, &mut buffer, warm, (task.warm_up + task.messages) * frame)?;
    meter.stop(task.messages, task.messages * task.payload as u64)
}

/// Reads on from `seen` bytes to exactly `end`, and returns how many have then been seen.
fn read_until(stream: &mut TcpStream, buffer: &mut [u8], mut seen: u64, end: u64) -> Result<u64> {
    while seen < end {
        let room = buffer.len().min(usize::try_from(end - seen)?);
        match stream.read(&mut buffer[..room])? {
            0 => return Err(format!("ended early, after {seen} of {end} bytes").into()),
            more => seen += more as u64,
        }
    }
    Ok(seen)
}

/// As many whole frames as share a write, again and again, with the same masking key. The rest is a write of its own.
fn send(task: &Task) -> Result<Report> {
    let mut sending = Sending::new(task)?;
    let frame = masked(TEXT, payload(task.payload).as_bytes(), [0x12, 0x34, 0x56, 0x78]);
    let most = if task.each { 1 } else { (WRITE / frame.len()).max(1) };
    let frames = frame.repeat(most);
    let mut buffer = vec![0; CHUNK];
    let (mut stream, mut filled) = upgrade::connect(task, &mut buffer)?;
    loop {
        let mut count = 0;
        while sending.next_text().is_some() {
            count += 1;
            if count == most {
                stream.write_all(&frames)?;
                count = 0;
            }
        }
        stream.write_all(&frames[..count * frame.len()])?;
        if sending.heard(read_text(&mut stream, &mut buffer, filled)?) {
            return sending.into_report();
        }
        filled = 0;
    }
}
