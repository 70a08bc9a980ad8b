"""A pytest plugin: Celery's own schedule tests, with `beat` doing the arithmetic.

Where Celery reads a crontab field, checks a schedule, or computes what is left until the next run, `beat preview` is
asked instead. Each of its tests must pass that way, and must have asked; the two lists below name those for which this
does not hold, with the reason. A test of the first list that passes, one of the second that asks, and a name
without a test fail the run: the lists cannot go stale.

BEAT_BINARY names the program, TZDIR its time zones.
"""

import functools
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from dateutil.parser import isoparse

from celery import schedules
from celery.utils.time import timezone as zones

# Tests that must fail, because `beat` decided otherwise.
DIFFERS = {
    "test_solar::test_remaining_estimate_event_never_happens": "counts calls of ephem",
    "test_schedule::test_next_check_for_short_intervals[zero-True]": "an interval is 1 ms or longer",
    "test_schedule::test_next_check_for_short_intervals[negative-True]": "an interval is 1 ms or longer",
    "test_schedule::test_next_check_for_short_intervals[zero-False]": "an interval is 1 ms or longer",
    "test_schedule::test_next_check_for_short_intervals[negative-False]": "an interval is 1 ms or longer",
    "test_schedule::test_next_check_for_short_intervals[subsecond-True]": "a relative interval is 1 s or longer",
    "test_crontab_remaining_estimate::test_rollover_gives_up_on_invalid_date":
        "changes a crontab behind its constructor, where it was checked",
    "test_crontab_is_due::test_crontab_spec_date_never_occurs[day_of_month4-*]":
        "an empty list is refused in other words",
    "test_crontab_is_due::test_crontab_spec_date_never_occurs[*-month_of_year5]":
        "an empty list is refused in other words",
}

# Tests that pass without `beat`: they concern Python objects, or fields that no schedule has.
UNCONCERNED = {
    "test_schedule::test_ne": "compares objects",
    "test_schedule::test_pickle": "pickles",
    "test_crontab_parser::test_range_steps_not_enough": "calls a private method",
    "test_crontab_parser::test_parse_range_wraps": "fields of other sizes",
    "test_crontab_parser::test_expand_cronspec_eats_iterables": "a field of 100 values",
    "test_crontab_parser::test_expand_cronspec_invalid_type": "an object that no file can hold",
}

START = datetime(2026, 3, 1, tzinfo=timezone.utc)  # a Sunday, in a month of 31 days
# (size, lowest value) of a crontab field: its name, what fires once for each of its values from START on, and how
# to read the value from such a fire time.
FIELDS = {
    (60, 0): ("minute", {}, timedelta(hours=1), lambda at: at.minute),
    (24, 0): ("hour", {"minute": 0}, timedelta(days=1), lambda at: at.hour),
    (7, 0): ("day_of_week", {"minute": 0, "hour": 0}, timedelta(days=7), lambda at: at.isoweekday() % 7),
    (31, 1): ("day_of_month", {"minute": 0, "hour": 0}, timedelta(days=31), lambda at: at.day),
    (12, 1): ("month_of_year", {"minute": 0, "hour": 0, "day_of_month": 1}, timedelta(days=365), lambda at: at.month),
}
TICK = timedelta(microseconds=1)

asked = 0
folder = tempfile.TemporaryDirectory(prefix="celery-schedules-")


class Refused(schedules.ParseException, ValueError):
    """`beat` refuses the schedule; Celery says so in two ways."""


def toml(value):
    """The literal of a table, list, text or number."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, Iterable) and not isinstance(value, str):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


@functools.lru_cache(maxsize=None)
def preview(keys, after, *limits):
    """Fire times of an entry with these keys."""
    file = Path(folder.name, "schedule.toml")
    file.write_text(f"[beat_schedule.entry]\ntask = 'task'\n{keys}\n")
    command = [os.environ["BEAT_BINARY"], "preview", "--schedule", file, "--from", after.isoformat(), "--format", "json"]
    done = subprocess.run([*command, *limits], capture_output=True, text=True)
    if done.returncode == 2:
        raise Refused(done.stderr)
    done.check_returncode()
    return [isoparse(row["fire_time"]) for row in json.loads(done.stdout)]


def ask(schedule, after, *limits, zone="UTC", relative=False):
    global asked
    asked += 1
    keys = f"schedule = {toml(schedule)}\ntimezone = '{zone}'\n"
    return preview(keys + "relative = true" * relative, after.astimezone(timezone.utc), *limits)


def zone_name(tz):
    tz = zones.get_timezone(tz)
    file = getattr(tz, "_filename", None)  # dateutil
    return getattr(tz, "key", None) or (file.split("zoneinfo/")[-1] if file else "UTC")


def next_run(self, schedule, last_run_at, **keys):
    last_run_at = self.maybe_make_aware(last_run_at)
    return ask(schedule, last_run_at, "--count", "1", zone=zone_name(self.tz), **keys)[0]


def left(self, next):
    return next - self.maybe_make_aware(self.now()).astimezone(timezone.utc)


def fields_of(self):
    names = (name for name, *_ in FIELDS.values())
    return {name: getattr(self, f"_orig_{name}") for name in names}


def expand(spec, size, low=0):
    if (size, low) not in FIELDS or not isinstance(spec, (str, Iterable, int)):
        return celery_expand(spec, size, low)
    name, others, span, value = FIELDS[size, low]
    until = (START + span - TICK).isoformat()
    return {value(at) for at in ask({**others, name: spec}, START - TICK, "--until", until)}


def parse(self, spec):
    if (self.max_, self.min_) not in FIELDS:
        return celery_parse(self, spec)
    return expand(spec, self.max_, self.min_)


def init_crontab(self, *args, **kwargs):
    celery_init_crontab(self, *args, **kwargs)
    ask(fields_of(self), START, "--count", "1")


def from_string(cls, text):
    ask({"crontab": text}, START, "--count", "1")
    return celery_from_string(text)


def crontab_delta(self, last_run_at, tz=None, ffwd=schedules.ffwd):
    tz = zones.get_timezone(tz or self.tz)
    at = next_run(self, fields_of(self), last_run_at).astimezone(tz)
    units = {unit: getattr(at, unit) for unit in ("year", "month", "day", "hour", "minute", "second", "microsecond")}
    last_run_at, now = (self.maybe_make_aware(one).astimezone(tz) for one in (last_run_at, self.now()))
    return last_run_at, ffwd(**units), now


def crontab_left(self, last_run_at, ffwd=None):
    return left(self, next_run(self, fields_of(self), last_run_at))


def interval_left(self, last_run_at):
    every = {"every": self.run_every.total_seconds()}
    return left(self, next_run(self, every, last_run_at, relative=self.relative))


def place(self):
    return {"solar": {"event": self.event, "lat": self.lat, "lon": self.lon}}


def init_solar(self, event, lat, lon, **kwargs):
    ask({"solar": {"event": event, "lat": lat, "lon": lon}}, START, "--count", "1")
    celery_init_solar(self, event, lat, lon, **kwargs)


def solar_left(self, last_run_at):
    return left(self, next_run(self, place(self), last_run_at))


celery_expand = schedules.crontab._expand_cronspec
celery_parse = schedules.crontab_parser.parse
celery_init_crontab = schedules.crontab.__init__
celery_from_string = schedules.crontab.from_string
celery_init_solar = schedules.solar.__init__
schedules.CRON_DAYS_IN_MONTH = dict.fromkeys(range(1, 13), 31)  # impossible dates are for `beat` to find
schedules.crontab_parser.parse = parse
schedules.crontab._expand_cronspec = staticmethod(expand)
schedules.crontab.__init__ = init_crontab
schedules.crontab.from_string = classmethod(from_string)
schedules.crontab.remaining_delta = crontab_delta
schedules.crontab.remaining_estimate = crontab_left
schedules.schedule.remaining_estimate = interval_left
schedules.solar.__init__ = init_solar
schedules.solar.remaining_estimate = solar_left


def name_of(item):
    return item.nodeid.split("::", 1)[1]


def pytest_collection_modifyitems(items):
    names = {name_of(item) for item in items}
    if stale := (DIFFERS.keys() | UNCONCERNED.keys()) - names:
        raise pytest.UsageError(f"no such tests: {stale}")
    for item in items:
        if why := DIFFERS.get(name_of(item)):
            item.add_marker(pytest.mark.xfail(reason=why, strict=True))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    global asked
    asked = 0
    # Some tests of these count on the present minute to last.
    second = time.time() % 60
    if "test_crontab_is_due" in item.nodeid and second > 57:
        time.sleep(60 - second)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    if report.when == "call" and report.passed and (asked == 0) != (name_of(item) in UNCONCERNED):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} asked `beat` {asked} times"
    return report
