//! Schedules in words for people.

use super::Schedule;
use super::crontab::{Crontab, Dst};
use super::days::list;
use super::field::{
    Bits, DAY_OF_MONTH, DAY_OF_WEEK, Field, HOUR, MINUTE, MONTH_OF_YEAR, SECOND, members,
};
use super::interval::Every;
use super::once::Once;

/// Times of day, or instants, that are listed one by one.
const LISTED: usize = 4;

pub(super) fn describe(schedule: &Schedule) -> String {
    match schedule {
        Schedule::Every(every) => of_interval(every),
        Schedule::Crontab(crontab) => of_crontab(crontab),
        Schedule::Solar(solar) => solar.describe(),
        Schedule::Once(once) => of_once(once),
        Schedule::Rrule(rrule) => rrule.describe(),
        Schedule::AnyOf(parts) => {
            let parts: Vec<_> = parts.iter().map(describe).collect();
            parts.join("; ")
        }
    }
}

fn of_interval(every: &Every) -> String {
    let length = duration(every.micros());
    match every.zone() {
        Some(zone) if every.is_aligned() => format!("every {length} from local midnight, {zone}"),
        Some(zone) if every.is_relative() => {
            format!("every {length} rounded down as Celery does, {zone}")
        }
        _ => format!("every {length}"),
    }
}

/// `1 h 30 min`, exact.
pub(super) fn duration(micros: i64) -> String {
    const UNITS: [(i64, &str); 5] = [
        (86_400_000_000, "d"),
        (3_600_000_000, "h"),
        (60_000_000, "min"),
        (1_000_000, "s"),
        (1_000, "ms"),
    ];
    let mut rest = micros;
    let mut words: Vec<String> = Vec::new();
    for (size, name) in UNITS {
        if rest >= size {
            words.push(format!("{} {name}", rest / size));
            rest %= size;
        }
    }
    if rest > 0 {
        words.push(format!("{rest} µs"));
    }
    words.join(" ")
}

fn of_once(once: &Once) -> String {
    let times = once.times();
    let shown = list(times.iter().take(LISTED).map(|(instant, _)| {
        once.zone()
            .datetime(*instant)
            .format("%Y-%m-%d %H:%M:%S%.f")
            .to_string()
    }));
    let more = times.len().saturating_sub(LISTED);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("once at {shown}{more}, {}", once.zone())
}

fn of_crontab(crontab: &Crontab) -> String {
    let mut words = vec![time_of_day(crontab)];
    let days = &crontab.days;
    if let Some(weekdays) = restriction(&DAY_OF_WEEK, days.day_of_week.into()) {
        words.push(format!("on {weekdays}"));
    }
    if let Some(day) = restriction(&DAY_OF_MONTH, days.day_of_month.into()) {
        let plural = if days.day_of_month.count_ones() > 1 {
            "s"
        } else {
            ""
        };
        words.push(format!("on day{plural} {day} of the month"));
    }
    if let Some(months) = restriction(&MONTH_OF_YEAR, days.month_of_year.into()) {
        words.push(format!("in {months}"));
    }
    let follows = if u64::from(crontab.times.hours) == HOUR.all() {
        Dst::Elapsed
    } else {
        Dst::Once
    };
    let dst = match crontab.dst {
        same if same == follows => "",
        Dst::Elapsed => " (repeated hours fire again)",
        Dst::Once => " (repeated hours fire once)",
    };
    format!("{}, {}{dst}", words.join(" "), crontab.zone)
}

fn time_of_day(crontab: &Crontab) -> String {
    let times = &crontab.times;
    let (seconds, minutes, hours) = (times.seconds, times.minutes, u64::from(times.hours));
    if times.len() as usize <= LISTED {
        let form = |slot: i64| {
            let (h, m, s) = (slot / 3_600, slot / 60 % 60, slot % 60);
            if seconds == 1 {
                format!("{h:02}:{m:02}")
            } else {
                format!("{h:02}:{m:02}:{s:02}")
            }
        };
        let first = |from: i64| {
            u32::try_from(from)
                .ok()
                .and_then(|from| times.first_from(from))
                .map(i64::from)
        };
        let slots = std::iter::successors(first(0), |slot| first(slot + 1));
        return format!("at {}", list(slots.map(form)));
    }
    let mut words = Vec::new();
    if seconds != 1 {
        words.push(pace(&SECOND, seconds, "s"));
    }
    if seconds == 1 || minutes != MINUTE.all() {
        words.push(pace(&MINUTE, minutes, "min"));
    }
    match restriction(&HOUR, hours) {
        None if minutes.is_power_of_two() => words.push("of every hour".to_owned()),
        None => {}
        Some(set) => {
            let plural = if hours.count_ones() > 1 { "s" } else { "" };
            words.push(format!("in hour{plural} {set}"));
        }
    }
    words.join(" ")
}

/// `every 15 min`, or `at minutes 0, 7 and 9`.
fn pace(field: &Field, set: Bits, unit: &str) -> String {
    if set == field.all() {
        return format!("every {}", field.name);
    }
    let numbers: Vec<u32> = members(set).collect();
    if let [0, step, ..] = numbers[..]
        && 60 % step == 0
        && set
            == (0..60)
                .step_by(step as usize)
                .fold(0, |set, n| set | 1 << n)
    {
        return format!("every {step} {unit}");
    }
    let plural = if numbers.len() > 1 { "s" } else { "" };
    format!("at {}{plural} {}", field.name, ranges(field, set))
}

/// The set in words; `None` when it is everything.
fn restriction(field: &Field, set: Bits) -> Option<String> {
    (set != field.all()).then(|| ranges(field, set))
}

/// `1 to 5 and 9`; names where the field has them.
fn ranges(field: &Field, set: Bits) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for n in members(set) {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == n => *last = n,
            _ => runs.push((n, n)),
        }
    }
    list(
        runs.into_iter()
            .flat_map(|(first, last)| match last - first {
                0 => vec![field.name_of(first)],
                1 => vec![field.name_of(first), field.name_of(last)],
                _ => vec![format!(
                    "{} to {}",
                    field.name_of(first),
                    field.name_of(last)
                )],
            }),
    )
}
