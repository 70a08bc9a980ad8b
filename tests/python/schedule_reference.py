"""Writes tests/data/relative_ref.jsonl and rrule_ref.jsonl: what Celery and python-dateutil compute.

Run it in the environment that the test command makes: target/venv/bin/python tests/python/schedule_reference.py
"""

import json
import os
import random
from datetime import datetime, timedelta, timezone
from pathlib import Path

import tzdata

os.environ["PYTHONTZPATH"] = str(Path(tzdata.__file__).parent / "zoneinfo")

from zoneinfo import ZoneInfo  # noqa: E402 (reads PYTHONTZPATH)

from celery.utils.time import remaining  # noqa: E402
from dateutil import rrule  # noqa: E402

DATA = Path(__file__).parent.parent / "data"
UTC = timezone.utc
COUNT = 8
EVERY = [1, 2.5, 10, 30, 59, 60, 90, 300, 3599, 3600, 5400, 7200, 36000, 86399, 86400, 129600, 172800, 604800, 2592000]
DAYS = {  # days before a transition
    "UTC": ["2026-12-30"],
    "Europe/Berlin": ["2026-03-28", "2026-10-24"],
    "America/New_York": ["2026-03-07", "2026-10-31"],
    "Australia/Lord_Howe": ["2026-04-04", "2026-10-03"],
    "Asia/Kathmandu": ["2026-12-30"],
    "America/Havana": ["2027-03-13", "2027-11-06"],
    "Africa/Cairo": ["2026-04-23", "2026-10-29"],
    "Pacific/Chatham": ["2026-04-03", "2026-09-25"],
    "Asia/Seoul": ["2026-12-30"],
    "America/Santiago": ["2026-04-03", "2026-09-05"],
    "Asia/Beirut": ["2026-03-28", "2026-10-24"],
}
TRANSITIONS = {
    "Europe/Berlin": ["2026-03-29T01:00", "2026-10-25T01:00"],
    "Australia/Lord_Howe": ["2026-04-04T15:00", "2026-10-03T15:30"],
    "America/Havana": ["2027-03-14T05:00", "2027-11-07T05:00"],
}
RULES = """
FREQ=DAILY FREQ=DAILY;INTERVAL=3 FREQ=DAILY;BYMONTH=1,7;BYDAY=MO FREQ=DAILY;BYMONTHDAY=-1,15
FREQ=DAILY;BYHOUR=3,15;BYMINUTE=0,30 FREQ=DAILY;INTERVAL=10;COUNT=200 FREQ=DAILY;UNTIL=20310101T000000
FREQ=WEEKLY FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,TH FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO;WKST=SU
FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO;WKST=MO FREQ=WEEKLY;INTERVAL=3;BYDAY=MO,SU;BYHOUR=9,17
FREQ=WEEKLY;BYMONTH=2;BYDAY=WE FREQ=WEEKLY;COUNT=300
FREQ=MONTHLY FREQ=MONTHLY;INTERVAL=5 FREQ=MONTHLY;BYMONTHDAY=31 FREQ=MONTHLY;BYMONTHDAY=-1,-3,10
FREQ=MONTHLY;BYDAY=1MO FREQ=MONTHLY;BYDAY=-1FR FREQ=MONTHLY;BYDAY=2TU,-2TH FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13
FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1 FREQ=MONTHLY;BYDAY=SA,SU;BYSETPOS=1,-1
FREQ=MONTHLY;INTERVAL=18;BYMONTHDAY=10,11,12 FREQ=MONTHLY;BYMONTHDAY=7,8,9,10,11,12,13;BYDAY=SA
FREQ=YEARLY FREQ=YEARLY;INTERVAL=4 FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29 FREQ=YEARLY;BYMONTH=6,7
FREQ=YEARLY;BYYEARDAY=1,100,200 FREQ=YEARLY;BYYEARDAY=-1,-100,366 FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO
FREQ=YEARLY;BYWEEKNO=1,53;BYDAY=SU FREQ=YEARLY;BYWEEKNO=-1 FREQ=YEARLY;BYDAY=20MO FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
FREQ=YEARLY;BYMONTH=3;BYDAY=TH FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8
FREQ=YEARLY;BYMONTH=1,6;BYDAY=MO,FR;BYSETPOS=2,-1 FREQ=YEARLY;COUNT=40
FREQ=HOURLY FREQ=HOURLY;INTERVAL=7 FREQ=HOURLY;INTERVAL=36;BYMINUTE=5,45 FREQ=HOURLY;BYHOUR=9,12;BYDAY=MO,FR
FREQ=HOURLY;INTERVAL=5;BYMONTH=3;BYMONTHDAY=1,2 FREQ=MINUTELY;INTERVAL=25 FREQ=MINUTELY;INTERVAL=90;BYHOUR=8,20
FREQ=MINUTELY;INTERVAL=7;BYDAY=SU;BYHOUR=4;COUNT=500 FREQ=MINUTELY;BYMONTH=12;BYMONTHDAY=25;BYHOUR=6;BYMINUTE=10,20
FREQ=SECONDLY;INTERVAL=86401 FREQ=SECONDLY;INTERVAL=100 FREQ=SECONDLY;BYSECOND=0,30;BYMINUTE=15;BYHOUR=2;BYDAY=MO
FREQ=SECONDLY;INTERVAL=45;BYMONTHDAY=-1;BYHOUR=23
""".split()


def instant(at):
    fraction = f".{at.microsecond:06d}" if at.microsecond else ""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S") + fraction + "Z"


def chain(zone, every, at):
    """Fire times of Celery's relative interval, each counted from the one before."""
    times = []
    for _ in range(COUNT):
        local = at.astimezone(ZoneInfo(zone))
        at = (at + remaining(local, timedelta(seconds=every), now=local, relative=True)).astimezone(UTC)
        times.append(at)
    return times


def relative():
    for zone, days in DAYS.items():
        for every in EVERY:
            anchors = [
                datetime.fromisoformat(day).replace(
                    hour=random.randrange(24),
                    minute=random.randrange(60),
                    second=random.randrange(60),
                    microsecond=random.choice([0, 0, 250000]),
                    tzinfo=UTC,
                )
                for day in days
            ]
            if every < 86400:
                for text in TRANSITIONS.get(zone, []):
                    ahead = timedelta(seconds=int(every * random.uniform(0.1, 3)) + random.randrange(60))
                    anchors.append(datetime.fromisoformat(text).replace(tzinfo=UTC) - ahead)
            for anchor in anchors:
                times = [instant(at) for at in chain(zone, every, anchor)]
                yield {"timezone": zone, "every": every, "anchor": instant(anchor), "next": times}


def rules():
    for text in RULES:
        for turn in range(3):
            start = datetime(
                2026, random.randrange(1, 13), random.randrange(1, 29),
                random.randrange(24), random.randrange(60), random.randrange(0, 60, 5),
            )
            days = 40 if text.startswith(("FREQ=SECONDLY", "FREQ=MINUTELY", "FREQ=HOURLY")) else 2500
            after = start + timedelta(days=random.randrange(days), seconds=random.randrange(86400))
            if turn == 0:
                after = start - timedelta(days=3)
            try:
                found = list(rrule.rrulestr(text, dtstart=start).xafter(after, count=COUNT))
            except ValueError:  # never occurs from this start
                continue
            times = [at.isoformat() for at in found if at.year < 2100]
            yield {"rrule": text, "dtstart": start.isoformat(), "after": after.isoformat(), "next": times}


def main():
    random.seed(5)
    for name, lines in (("relative_ref", relative()), ("rrule_ref", rules())):
        with open(DATA / f"{name}.jsonl", "w") as out:
            out.writelines(json.dumps(line) + "\n" for line in lines)


main()
