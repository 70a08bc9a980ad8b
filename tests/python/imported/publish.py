"""Publishes every entry of an application once, as the Celery beat that it is configured for does: publish.py APP.

Prints the names of the entries that Celery did not send, one a line.
"""
import sys

from celery.app.utils import find_app


def entries_of(app):
    kind = str(app.conf.beat_scheduler)
    if "redbeat" in kind:
        from redbeat import RedBeatSchedulerEntry
        from redbeat.schedulers import ensure_conf, get_redis
        conf, client = ensure_conf(app), get_redis(app)
        for key in client.zrange(conf.schedule_key, 0, -1):
            try:
                yield RedBeatSchedulerEntry.from_key(key, app=app)
            except Exception as error:
                print(f"{key}: {error!r}", file=sys.stderr)
        return
    if "django" in kind:
        import django
        django.setup()
        from django_celery_beat.models import PeriodicTask
        from django_celery_beat.schedulers import ModelEntry
        for name, entry in app.conf.beat_schedule.items():
            ModelEntry.from_entry(name, app=app, **entry)
        for row in PeriodicTask.objects.filter(enabled=True).order_by("pk"):
            entry = ModelEntry(row, app=app)
            if row.enabled:
                yield entry
        return
    from celery.beat import ScheduleEntry
    for name, given in app.conf.beat_schedule.items():
        try:
            yield ScheduleEntry(**dict(given, name=name, app=app))
        except Exception:
            print(name)


def main(name):
    app = find_app(name)
    app.set_current()
    app.loader.import_default_modules()
    app.finalize()
    from celery.beat import Scheduler
    scheduler = Scheduler(app, schedule={}, lazy=True)
    for entry in entries_of(app):
        try:
            scheduler.apply_async(entry, producer=scheduler.producer, advance=False)
        except Exception as error:
            print(entry.name)
            print(f"{entry.name}: {error!r}", file=sys.stderr)
    scheduler.connection.release()


main(*sys.argv[1:])
