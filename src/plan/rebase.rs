//! Records that a wrong clock wrote.

use super::clocks::is_ahead;
use super::record::Progress;
use crate::clock::{FireTime, Timestamp};
use crate::timetable::Entry;

/// Fire times looked at to find the latest one that is due.
const MOST: usize = 100_000;
/// How far back one is looked for, µs: some 34 years.
const FARTHEST: i64 = 1 << 50;

/// Brings what lies far ahead of `now` back: `last` and `from` to the latest fire time that is due,
/// the anchor by whole intervals, so that the grid stays. `None` when nothing does.
#[must_use]
pub fn rebase(entry: &Entry, progress: &Progress, now: Timestamp) -> Option<Progress> {
    let ahead = |at: Timestamp| is_ahead(at, now);
    if !ahead(progress.anchor) && !ahead(progress.from) && !progress.last.is_some_and(ahead) {
        return None;
    }
    let mut mended = *progress;
    if ahead(progress.anchor) {
        mended.anchor = entry.schedule.period().map_or(now, |period| {
            let beyond = progress.anchor.micros_since(now);
            let steps = beyond / period + i64::from(beyond % period != 0);
            progress.anchor.plus_micros(-steps.saturating_mul(period))
        });
    }
    let due = latest_due(entry, mended.anchor, now).unwrap_or(mended.anchor.min(now));
    if ahead(mended.from) {
        mended.from = due;
    }
    mended.last = mended.last.map(|last| if ahead(last) { due } else { last });
    Some(mended)
}

/// The latest point of the grid that is not later than `now`.
fn latest_due(entry: &Entry, anchor: Timestamp, now: Timestamp) -> Option<FireTime> {
    let next = |after| Some(entry.next_after(anchor, after)?.fire_time).filter(|at| *at <= now);
    let mut back = 1_000;
    let mut found = loop {
        if let Some(found) = next(now.plus_micros(-back)) {
            break found;
        }
        if back > FARTHEST {
            return None;
        }
        back *= 2;
    };
    for _ in 0..MOST {
        match next(found) {
            Some(later) => found = later,
            None => break,
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, entry};

    const NOON: &str = "2026-11-20T12:00:00Z";
    const FAR: &str = "2036-11-20T12:00:03Z";

    #[test]
    fn what_a_wrong_clock_wrote_comes_back_onto_the_grid() {
        // Keys, anchor, from, last; the same as they should be, and the next fire time.
        type Case = (
            &'static str,
            [&'static str; 3],
            [&'static str; 3],
            &'static str,
        );
        let cases: [Case; 4] = [
            (
                "schedule = 10",
                ["2026-11-20T11:00:03Z", "2026-11-20T11:00:03Z", FAR],
                [
                    "2026-11-20T11:00:03Z",
                    "2026-11-20T11:00:03Z",
                    "2026-11-20T11:59:53Z",
                ],
                "2026-11-20T12:00:03Z",
            ),
            (
                "schedule = 10",
                [FAR, FAR, FAR],
                [
                    "2026-11-20T11:59:53Z",
                    "2026-11-20T11:59:53Z",
                    "2026-11-20T11:59:53Z",
                ],
                "2026-11-20T12:00:03Z",
            ),
            (
                "schedule = { crontab = '0 7 * * *' }",
                ["2026-11-01T00:00:00Z", FAR, FAR],
                [
                    "2026-11-01T00:00:00Z",
                    "2026-11-20T07:00:00Z",
                    "2026-11-20T07:00:00Z",
                ],
                "2026-11-21T07:00:00Z",
            ),
            (
                "schedule = { at = 2027-01-01T00:00:00Z }",
                ["2026-11-01T00:00:00Z", "2026-11-01T00:00:00Z", FAR],
                [
                    "2026-11-01T00:00:00Z",
                    "2026-11-01T00:00:00Z",
                    "2026-11-01T00:00:00Z",
                ],
                "2027-01-01T00:00:00Z",
            ),
        ];
        for (keys, [anchor, from, last], expected, next) in cases {
            let entry = entry(keys);
            let written = Progress {
                anchor: at(anchor),
                from: at(from),
                last: Some(at(last)),
                count: 7,
            };
            let mended = rebase(&entry, &written, at(NOON)).unwrap();
            let [anchor, from, last] = expected.map(at);
            assert_eq!(
                mended,
                Progress {
                    anchor,
                    from,
                    last: Some(last),
                    count: 7
                },
                "{keys}"
            );
            let found = entry.next_after(mended.anchor, mended.base()).unwrap();
            assert_eq!(found.fire_time, at(next), "{keys}");
            assert_eq!(rebase(&entry, &mended, at(NOON)), None, "{keys}");
        }
    }

    #[test]
    fn a_minute_ahead_is_left_alone() {
        let ahead = at(NOON).plus_micros(super::super::clocks::TOLERANCE);
        let progress = Progress {
            anchor: ahead,
            from: ahead,
            last: Some(ahead),
            count: 0,
        };
        assert_eq!(rebase(&entry("schedule = 10"), &progress, at(NOON)), None);
    }
}
