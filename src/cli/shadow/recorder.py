"""Writes Celery's `task-sent` events down, one JSON line each, until it is stopped.

    beat shadow recorder > recorder.py
    python recorder.py proj.celery:app > sent.jsonl          # Ctrl-C or SIGTERM ends it

Give the result to `beat shadow compare sent.jsonl`. Celery's beat sends these events when its
app has `task_send_sent_event = True`; they say when a task was sent, not by which entry. Arguments
of tasks are not written. Needs nothing but Celery.
"""
import importlib
import json
import os
import signal
import sys
import time


def find(path):
    sys.path.insert(0, os.getcwd())
    module, _, name = path.partition(":")
    found = importlib.import_module(module)
    for name in [name] if name else ["app", "celery"]:
        if hasattr(found, name):
            return getattr(found, name)
    sys.exit(f"error: no Celery app in {module}; say MODULE:NAME")


def write(record):
    print(json.dumps(record), flush=True)


def recorder(app, connection):
    from celery.events import EventReceiver

    class Recorder(EventReceiver):
        rounds = 0

        def on_iteration(self):
            # A subscription takes effect with the first look for events.
            self.rounds += 1
            if self.rounds == 2:
                write({"type": "recorder-started", "timestamp": time.time()})

        def event_from_message(self, body, **_):
            # Celery would move the time by the difference of two machines' zones, which it counts already.
            return super().event_from_message(body, localize=False)

        def process(self, type, event):
            if type == "task-sent":
                write({key: event.get(key) for key in ("type", "name", "uuid", "timestamp", "hostname")})

    return Recorder(connection, app=app)


def stop(*_):
    raise KeyboardInterrupt


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    app = find(sys.argv[1])
    signal.signal(signal.SIGTERM, stop)
    pause = 1
    while True:
        try:
            with app.connection_for_read() as connection:
                recorder(app, connection).capture(limit=None, timeout=None, wakeup=False)
        except KeyboardInterrupt:
            write({"type": "recorder-stopped", "timestamp": time.time()})
            return
        except Exception as error:  # the broker went away; what it sends meanwhile is not recorded
            print(f"recorder: {error!r}; trying again in {pause} s", file=sys.stderr)
            time.sleep(pause)
            pause = min(2 * pause, 30)


main()
