//! Wakes the loop to within tens of microseconds.
//!
//! The runtime's timers count whole milliseconds and round up: on average every fire would be one
//! late. A timer of the kernel is read like a socket and has no such grain.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;

/// Sleeps. The default one is the runtime's, whose time tests can stop.
#[derive(Debug, Default)]
pub struct Alarm(Option<AsyncFd<OwnedFd>>);

impl Alarm {
    /// A timer of the kernel; the runtime's where it gives none.
    #[must_use]
    pub fn precise() -> Self {
        #[expect(
            deprecated,
            reason = "its successor is unsafe for types that may give up their descriptor; an OwnedFd that nobody else \
                      touches does not"
        )]
        let create = || -> io::Result<AsyncFd<OwnedFd>> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            AsyncFd::new(timerfd_create(TimerfdClockId::Monotonic, flags)?)
        };
        Self(create().ok())
    }

    /// Sleeps for `time`; dropped before, it does nothing.
    pub async fn sleep(&self, time: Duration) {
        let Some(timer) = &self.0 else {
            return tokio::time::sleep(time).await;
        };
        if self.ring(timer, time).await.is_err() {
            tokio::time::sleep(time).await;
        }
    }

    async fn ring(&self, timer: &AsyncFd<OwnedFd>, time: Duration) -> io::Result<()> {
        let at = |time: Duration| Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: time.subsec_nanos().into(),
        };
        let once = Itimerspec {
            it_interval: at(Duration::ZERO),
            // Zero would disarm it.
            it_value: at(time.max(Duration::from_nanos(1))),
        };
        timerfd_settime(timer, TimerfdTimerFlags::empty(), &once)?;
        loop {
            let mut ready = timer.readable().await?;
            // Ready may also be left from a sleep that was dropped; reading tells.
            let rung = ready.try_io(|timer| Ok(rustix::io::read(timer, &mut [0; 8])?));
            match rung {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) => return Err(error),
                Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::clock::{Clock, SystemClock};

    #[tokio::test]
    async fn a_dropped_sleep_does_not_shorten_the_next() {
        let alarm = Alarm::precise();
        let (short, long) = (Duration::from_millis(5), Duration::from_millis(40));
        for _ in 0..3 {
            assert!(alarm.sleep(short).now_or_never().is_none());
            std::thread::sleep(2 * short);
            let began = SystemClock.boot();
            alarm.sleep(long).await;
            assert!(SystemClock.boot() >= began + long);
        }
    }
}
