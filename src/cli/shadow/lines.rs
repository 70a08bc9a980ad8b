//! Lines of a log that may be of any length and hold any bytes.

use std::io::{self, BufRead};

/// Bytes of a line that are kept; the rest is passed over.
const LONGEST: usize = 64 << 10;

/// Calls `each` with every line, without its end and cut after 64 KiB.
pub fn each_line(mut log: impl BufRead, mut each: impl FnMut(&str)) -> io::Result<()> {
    let mut line: Vec<u8> = Vec::new();
    loop {
        let (used, ended) = {
            let chunk = match log.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if chunk.is_empty() {
                break;
            }
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let part = &chunk[..end.unwrap_or(chunk.len())];
            let room = LONGEST - line.len();
            line.extend_from_slice(&part[..part.len().min(room)]);
            (end.map_or(chunk.len(), |end| end + 1), end.is_some())
        };
        log.consume(used);
        if ended {
            each(String::from_utf8_lossy(&line).trim_end_matches('\r'));
            line.clear();
        }
    }
    if !line.is_empty() {
        each(&String::from_utf8_lossy(&line));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    #[test]
    fn lines_are_cut_and_decoded() {
        let mut text = b"a\r\n\n".to_vec();
        text.extend(vec![b'x'; 3 * LONGEST]);
        text.extend(b"\n\xff\xfeb");
        let mut lines = Vec::new();
        each_line(BufReader::with_capacity(7, &text[..]), |line| {
            lines.push(line.to_owned());
        })
        .unwrap();
        assert_eq!(lines.len(), 4);
        assert_eq!((lines[0].as_str(), lines[1].as_str()), ("a", ""));
        assert_eq!(lines[2].len(), LONGEST);
        assert_eq!(lines[3], "\u{fffd}\u{fffd}b");
    }
}
