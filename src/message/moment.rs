//! Instants as text: `datetime.isoformat()` and RFC 3339, written without allocating.

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

use super::Invalid;
use crate::clock::Timestamp;

/// Appends `date.isoformat()`.
pub fn write_date(date: NaiveDate, out: &mut Vec<u8>) {
    let year = u32::try_from(date.year()).unwrap_or(0);
    digits(year, 4, out);
    out.push(b'-');
    digits(date.month(), 2, out);
    out.push(b'-');
    digits(date.day(), 2, out);
}

/// Appends `time.isoformat()`: the fraction, six digits, only where there is one.
pub fn write_time(time: NaiveTime, out: &mut Vec<u8>) {
    digits(time.hour(), 2, out);
    out.push(b':');
    digits(time.minute(), 2, out);
    out.push(b':');
    digits(time.second(), 2, out);
    let micros = micros_of(time);
    if micros != 0 {
        out.push(b'.');
        digits(micros, 6, out);
    }
}

/// Appends a naive `datetime.isoformat(separator)`.
pub fn write_naive(at: NaiveDateTime, separator: u8, out: &mut Vec<u8>) {
    write_date(at.date(), out);
    out.push(separator);
    write_time(at.time(), out);
}

/// Appends an aware `datetime.isoformat(separator)`; UTC is `+00:00`.
pub fn write_aware(at: DateTime<FixedOffset>, separator: u8, out: &mut Vec<u8>) {
    write_naive(at.naive_local(), separator, out);
    let seconds = at.offset().local_minus_utc();
    out.push(if seconds < 0 { b'-' } else { b'+' });
    let seconds = seconds.unsigned_abs();
    digits(seconds / 3600, 2, out);
    out.push(b':');
    digits(seconds / 60 % 60, 2, out);
    if !seconds.is_multiple_of(60) {
        out.push(b':');
        digits(seconds % 60, 2, out);
    }
}

/// Appends RFC 3339 in UTC with a `Z`, as [`Timestamp::to_rfc3339`] does.
pub fn write_utc(at: Timestamp, out: &mut Vec<u8>) {
    write_naive(at.to_datetime().naive_utc(), b'T', out);
    out.push(b'Z');
}

/// Microseconds within the second.
pub fn micros_of(time: NaiveTime) -> u32 {
    time.nanosecond() / 1_000 % 1_000_000
}

/// An instant written as ISO 8601; one without an offset is UTC, as Celery takes it.
///
/// # Errors
/// Text that is no ISO 8601 date or datetime; the key is empty.
pub fn parse_iso(text: &str) -> Result<Timestamp, Invalid> {
    if let Ok(aware) = DateTime::parse_from_rfc3339(text) {
        return Ok(Timestamp::from_datetime(aware.to_utc()));
    }
    for form in [
        "%Y-%m-%dT%H:%M:%S%.f%#z",
        "%Y-%m-%dT%H:%M%#z",
        "%Y%m%dT%H%M%S%.f%#z",
        "%Y%m%dT%H%M%#z",
    ] {
        let spelled = text.strip_suffix('Z').map(|t| format!("{t}+00:00"));
        let text = spelled.as_deref().unwrap_or(text);
        if let Ok(aware) = DateTime::parse_from_str(text, form) {
            return Ok(Timestamp::from_datetime(aware.to_utc()));
        }
    }
    for form in [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M",
        "%Y%m%dT%H%M%S%.f",
        "%Y%m%dT%H%M",
    ] {
        if let Ok(naive) = NaiveDateTime::parse_from_str(text, form) {
            return Ok(Timestamp::from_datetime(naive.and_utc()));
        }
    }
    for form in ["%Y-%m-%d", "%Y%m%d"] {
        if let Ok(date) = NaiveDate::parse_from_str(text, form) {
            return Ok(Timestamp::from_datetime(
                date.and_time(NaiveTime::MIN).and_utc(),
            ));
        }
    }
    Err(Invalid::new(
        "",
        format!("{text:?} is not an ISO 8601 datetime"),
    ))
}

/// Appends `number` in `width` digits, zeros first.
fn digits(number: u32, width: usize, out: &mut Vec<u8>) {
    let mut buffer = [b'0'; 10];
    let mut rest = number;
    for slot in buffer.iter_mut().rev().take(width) {
        *slot = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    out.extend_from_slice(&buffer[buffer.len() - width..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aware(text: &str) -> String {
        let mut out = Vec::new();
        write_aware(DateTime::parse_from_rfc3339(text).unwrap(), b'T', &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn is_python_isoformat() {
        for (written, text) in [
            ("2031-05-06T07:08:09Z", "2031-05-06T07:08:09+00:00"),
            (
                "2031-05-06T07:08:09.000120Z",
                "2031-05-06T07:08:09.000120+00:00",
            ),
            (
                "0031-05-06T07:08:09.5-05:30",
                "0031-05-06T07:08:09.500000-05:30",
            ),
        ] {
            assert_eq!(aware(written), text);
        }
        let mut out = Vec::new();
        let odd = DateTime::parse_from_rfc3339("1900-01-01T00:00:00Z")
            .unwrap()
            .with_timezone(&FixedOffset::east_opt(-1172).unwrap());
        write_aware(odd, b'T', &mut out);
        assert_eq!(out, b"1899-12-31T23:40:28-00:19:32");
    }

    #[test]
    fn utc_is_what_the_clock_writes() {
        for micros in [0, 1, 1_795_163_884_130_395, 253_402_300_799_999_999] {
            let at = Timestamp::from_micros(micros);
            let mut out = Vec::new();
            write_utc(at, &mut out);
            let text = String::from_utf8(out).unwrap();
            let fraction = text.trim_end_matches('Z').split('.').nth(1);
            assert_eq!(fraction.map_or(6, str::len), 6);
            assert_eq!(text, at.to_rfc3339());
        }
    }

    #[test]
    fn reads_what_celery_reads() {
        let noon = parse_iso("2031-05-06T12:00:00Z").unwrap();
        for text in [
            "2031-05-06T12:00:00",
            "2031-05-06 12:00:00.000000",
            "2031-05-06T12:00:00+00:00",
            "2031-05-06T14:00:00+0200",
            "2031-05-06T14:00+02:00",
            "20310506T120000",
            "20310506T120000Z",
            "2031-05-06T12:00",
        ] {
            assert_eq!(parse_iso(text), Ok(noon), "{text}");
        }
        assert!(parse_iso("2031-05-06").is_ok());
        for text in ["", "tomorrow", "12:00", "2031-13-01", "2031-05-06T25:00:00"] {
            assert!(parse_iso(text).is_err(), "{text}");
        }
    }
}
