//! Reading what is recorded of entries, in steps that hold nobody up.

use super::keys::Keys;
use super::link::Link;
use crate::plan::Recorded;
use crate::plan::record::parse_micros;
use crate::store::StoreError;
use crate::timetable::EntryName;

/// Names asked for in one round trip.
pub(super) const LOAD: usize = 1_000;

/// What is recorded of `names`, one for each, in the same order.
pub(super) async fn read(
    link: &mut Link,
    keys: &Keys,
    names: &[EntryName],
) -> Result<Vec<Recorded>, StoreError> {
    let mut recorded = Vec::with_capacity(names.len());
    for names in names.chunks(LOAD) {
        let mut pipe = redis::pipe();
        for key in [keys.last(), keys.from(), keys.count(), keys.entries()] {
            let command = pipe.cmd("HMGET").arg(key);
            for name in names {
                command.arg(&**name);
            }
        }
        let [last, from, count, entries]: [Vec<Option<Vec<u8>>>; 4] = link
            .run(async |connection| pipe.query_async(connection).await)
            .await?;
        let read = |values: &[Option<Vec<u8>>], place: usize| {
            let bytes = values.get(place).cloned().flatten().unwrap_or_default();
            String::from_utf8(bytes).unwrap_or_default()
        };
        for place in 0..names.len() {
            recorded.push(Recorded {
                last: parse_micros(&read(&last, place)),
                from: parse_micros(&read(&from, place)),
                count: read(&count, place).parse().unwrap_or(0),
                text: read(&entries, place),
            });
        }
    }
    Ok(recorded)
}
