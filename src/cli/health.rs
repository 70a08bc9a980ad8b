//! `beat health`: asks the running instance's own listener.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::{Cli, Io, code};
use crate::config::{Sources, http_listen};

/// Longest wait for the connection, and for each part of the answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// Most of an answer that is read, bytes.
const LONGEST: u64 = 8 << 10;

/// Asks whether the loop makes progress, or with `ready` whether the instance could lead.
pub fn run(cli: &Cli, ready: bool, io: &mut Io<'_>) -> io::Result<u8> {
    let listen = if io.env.get("BEAT_HTTP_LISTEN").is_some() {
        http_listen(&Sources::from_files(Vec::new()), io.env)
    } else {
        let paths = cli.schedule_paths(io.env);
        match Sources::read(&paths) {
            Ok(sources) => http_listen(&sources, io.env),
            Err(report) => {
                io.err.write_all(report.draw(io.colour_err).as_bytes())?;
                return Ok(code::FAILED);
            }
        }
    };
    let path = if ready { "/readyz" } else { "/livez" };
    let asked = match listen {
        Ok(Some(address)) => ask(reachable(address), path).map_err(|error| format!("{address}: {error}")),
        Ok(None) => Err("http_listen is not set, so there is nobody to ask; set it in the schedule or as BEAT_HTTP_LISTEN".to_owned()),
        Err(why) => Err(why),
    };
    match asked {
        Ok((200, body)) => {
            writeln!(io.out, "{}", body.trim_end())?;
            Ok(code::OK)
        }
        Ok((status, body)) => {
            let body = crate::config::escaped(body.trim_end());
            writeln!(io.err, "error: {path} answers {status}: {body}")?;
            Ok(code::FAILED)
        }
        Err(why) => {
            writeln!(io.err, "error: {why}")?;
            Ok(code::FAILED)
        }
    }
}

/// Who listens on all addresses is reached on loopback.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    address
}

/// Status and body of the answer.
fn ask(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.ok_or_else(|| io::Error::other("the answer is not HTTP"))?;
    Ok((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_everywhere_is_reached_on_loopback() {
        for (listens, reached) in [
            ("0.0.0.0:9400", "127.0.0.1:9400"),
            ("[::]:9400", "[::1]:9400"),
            ("10.0.0.1:9400", "10.0.0.1:9400"),
        ] {
            let reached: SocketAddr = reached.parse().unwrap();
            assert_eq!(reachable(listens.parse().unwrap()), reached);
        }
    }
}
