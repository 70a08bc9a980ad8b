//! Asking the listener of an instance, politely or not.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use super::beat::Launch;
use super::wait::{free_port, wait_for};

/// Where an instance listens.
#[derive(Debug, Clone, Copy)]
pub struct Http(pub u16);

/// An answer; its status is 0 where the connection was closed without one.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Lower case.
    pub head: String,
    pub body: String,
}

impl Http {
    /// An address for `launch` to listen at.
    pub fn of(launch: Launch) -> (Launch, Self) {
        let port = free_port();
        let launch = launch.env("BEAT_HTTP_LISTEN", format!("127.0.0.1:{port}"));
        (launch, Self(port))
    }

    pub fn connect(self) -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.0))?;
        stream.set_read_timeout(Some(Duration::from_secs(15)))?;
        stream.set_write_timeout(Some(Duration::from_secs(15)))?;
        Ok(stream)
    }

    /// Sends `request` as it is, and reads until the connection is closed.
    pub fn send(self, request: &[u8]) -> Answer {
        let mut bytes = Vec::new();
        if let Ok(mut stream) = self.connect() {
            // Either may fail when the server closes at once.
            let _ = stream.write_all(request);
            let _ = stream.read_to_end(&mut bytes);
        }
        let text = String::from_utf8_lossy(&bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let head = head.to_lowercase();
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
        let body = if head.contains("transfer-encoding: chunked") {
            unchunked(body)
        } else {
            body.to_owned()
        };
        Answer {
            status: status.unwrap_or(0),
            head,
            body,
        }
    }

    /// Asks with a method and a target.
    pub fn ask(self, method: &str, target: &str) -> Answer {
        self.send(format!("{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
    }

    pub fn get(self, target: &str) -> Answer {
        self.ask("GET", target)
    }

    pub fn status(self) -> Value {
        serde_json::from_str(&self.get("/status.json").body).expect("JSON")
    }

    /// The value of a metric, with its labels as they are written.
    pub fn metric(self, name: &str) -> f64 {
        let text = self.get("/metrics").body;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in\n{text}"))
            .parse()
            .expect("a number")
    }

    /// Waits until `probe` finds what it looks for in the status.
    pub fn wait_for<T>(self, what: &str, probe: impl Fn(&Value) -> Option<T>) -> T {
        wait_for(what, Duration::from_secs(20), || {
            let body = self.get("/status.json").body;
            probe(&serde_json::from_str(&body).ok()?)
        })
    }
}

fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a size");
        whole.push_str(&rest[..size]);
        body = rest[size..].trim_start_matches("\r\n");
    }
    whole
}
