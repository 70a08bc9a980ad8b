"""Makes the tables and rows of every kind: python -m djproj.seed LAST_RUN."""
import datetime as dt
import sys

import django
from django.core.management import call_command

from . import celery  # noqa: F401 (sets the settings module)

django.setup()
call_command("migrate", verbosity=0)

from django.conf import settings  # noqa: E402
from django_celery_beat.models import (  # noqa: E402
    ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule,
)

UTC = dt.timezone.utc


def at(text):
    """A column's value: with USE_TZ off, naive UTC."""
    when = dt.datetime.fromisoformat(text)
    return when if settings.USE_TZ else when.replace(tzinfo=None)


def row(name, task="dj.known", **fields):
    last = dt.datetime.fromisoformat(sys.argv[1]).astimezone(UTC)
    made = PeriodicTask.objects.create(name=name, task=task, **fields)
    if made.enabled:
        last = last if settings.USE_TZ else last.replace(tzinfo=None)
        PeriodicTask.objects.filter(pk=made.pk).update(last_run_at=last, total_run_count=3)
    return made


minute = IntervalSchedule.objects.create(every=10, period="minutes")
micro = IntervalSchedule.objects.create(every=2500000, period="microseconds")
seoul = CrontabSchedule.objects.create(minute="30", hour="7", day_of_week="mon-fri", timezone="Asia/Seoul")
paris = CrontabSchedule.objects.create(minute="0", hour="*/4", timezone="Europe/Paris")
row("interval", interval=minute, args="[1, null]", kwargs='{"k": "v"}', queue="q1", priority=7, expire_seconds=30,
    description="every ten minutes", headers='{"x": 1}')
row("shared", interval=minute, task="dj.shared")
row("micro", interval=micro, task="dj.stranger")
row("seoul", crontab=seoul, task="dj.routed")
row("paris", crontab=paris, expires=at("2040-01-01T00:00:00+00:00"))
row("sunset", solar=SolarSchedule.objects.create(event="sunset", latitude="37.57", longitude="126.98"))
clocked = ClockedSchedule.objects.create(clocked_time=at("2035-01-01T00:00:00+00:00"))
row("clocked", clocked=clocked, one_off=True)
PeriodicTask.objects.filter(name="clocked").update(last_run_at=None, total_run_count=0)
row("one off", crontab=paris, one_off=True)
PeriodicTask.objects.filter(name="one off").update(last_run_at=None, total_run_count=0)
row("one off done", crontab=paris, one_off=True)
row("disabled", interval=minute, enabled=False)
row("later", interval=minute, start_time=at("2036-01-01T00:00:00+00:00"))
PeriodicTask.objects.filter(name="later").update(last_run_at=None, total_run_count=0)
row("exchange", interval=minute, exchange="news", routing_key="news.x")
row("blank", interval=minute, queue="", exchange="", routing_key="")
row("broken kwargs", interval=minute, kwargs="[1]")
row("broken", interval=minute)
PeriodicTask.objects.filter(name="broken").update(args="[1")
row("celery.backend_cleanup", task="celery.backend_cleanup", crontab=paris)
