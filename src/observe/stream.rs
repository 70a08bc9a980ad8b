//! Answers that are written while they are sent: a hundred thousand entries fit in no buffer.

use std::io::{self, BufWriter, Write};

use axum::body::{Body, Bytes};
use futures_util::stream::unfold;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

/// Bytes of one piece.
const PIECE: usize = 32 << 10;
/// Pieces that are written ahead of a slow reader.
const AHEAD: usize = 2;

/// The body that `write` writes, on a thread of its own.
pub fn stream<W>(write: W) -> Body
where
    W: FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
{
    let (pieces, written) = mpsc::channel(AHEAD);
    let writer = spawn_blocking(move || {
        let mut out = BufWriter::with_capacity(PIECE, Pieces(pieces));
        write(&mut out)?;
        out.flush()
    });
    Body::from_stream(unfold(Some((written, writer)), next))
}

type Reading = (mpsc::Receiver<Bytes>, JoinHandle<io::Result<()>>);

/// The next piece. An answer that broke off must not look complete.
async fn next(reading: Option<Reading>) -> Option<(io::Result<Bytes>, Option<Reading>)> {
    let (mut written, writer) = reading?;
    if let Some(piece) = written.recv().await {
        return Some((Ok(piece), Some((written, writer))));
    }
    match writer.await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some((Err(error), None)),
        Err(panic) => Some((Err(io::Error::other(panic)), None)),
    }
}

/// Hands pieces over; fails once nobody reads any more.
struct Pieces(mpsc::Sender<Bytes>);

impl Write for Pieces {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Bytes::copy_from_slice(piece));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
