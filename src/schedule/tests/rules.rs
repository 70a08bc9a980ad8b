//! Recurrence rules: what is refused, and where dateutil is not followed.

use super::super::{At, Rrule, Zone};
use super::{fires, rrule};

#[test]
fn rules_that_rfc_5545_does_not_allow_are_refused() {
    let start = "2026-01-01T09:00:00";
    let At::Local(dtstart) = At::parse(start).unwrap() else {
        panic!("{start} has an offset");
    };
    for (text, why) in [
        ("BYDAY=MO", "FREQ is missing"),
        ("FREQ=FORTNIGHTLY", "FREQ `FORTNIGHTLY` is unknown"),
        ("FREQ=DAILY;BYEASTER=1", "unknown part `BYEASTER`"),
        ("FREQ=DAILY;BYDAY=MO;BYWEEKDAY=TU", "BYDAY appears twice"),
        ("FREQ=DAILY;BYHOUR=24", "BYHOUR `24` is not 0 to 23"),
        (
            "FREQ=MONTHLY;BYMONTHDAY=0",
            "BYMONTHDAY `0` is not 1 to 31 or -1 to -31",
        ),
        ("FREQ=MONTHLY;BYDAY=0FR", "BYDAY `0FR` is no day"),
        ("FREQ=MONTHLY;BYDAY=XFR", "BYDAY `XFR` is no day"),
        ("FREQ=MONTHLY;BYDAY=6FR", "BYDAY 6 is outside -5 to 5"),
        (
            "FREQ=WEEKLY;BYDAY=1FR",
            "BYDAY with a number cannot be used with FREQ=WEEKLY",
        ),
        (
            "FREQ=WEEKLY;BYMONTHDAY=1",
            "BYMONTHDAY cannot be used with FREQ=WEEKLY",
        ),
        (
            "FREQ=DAILY;BYYEARDAY=1",
            "BYYEARDAY cannot be used with FREQ=DAILY",
        ),
        (
            "FREQ=MONTHLY;BYWEEKNO=1",
            "BYWEEKNO cannot be used with FREQ=MONTHLY",
        ),
        (
            "FREQ=YEARLY;BYWEEKNO=1;BYDAY=1MO",
            "BYDAY with a number cannot be used with BYWEEKNO",
        ),
        (
            "FREQ=MONTHLY;BYSETPOS=1",
            "BYSETPOS picks from what another BY part chooses",
        ),
        ("FREQ=DAILY;INTERVAL=65536", "INTERVAL 65536 is too large"),
    ] {
        let refused = Rrule::new(text, dtstart, Zone::utc()).unwrap_err();
        assert_eq!(refused.message, why, "{text}");
    }
    // Each and numbered days together: dateutil wants both at once, the RFC either.
    let both = rrule("FREQ=MONTHLY;BYDAY=1MO,-1FR,SU", start, "UTC");
    assert_eq!(
        fires(&both, "2026-01-20T00:00:00Z", 4),
        "2026-01-25T09:00:00Z 2026-01-30T09:00:00Z 2026-02-01T09:00:00Z 2026-02-02T09:00:00Z"
    );
}
