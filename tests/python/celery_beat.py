"""Publishes every entry of a schedule once, as Celery's own beat does: celery_beat.py SCHEDULE.toml BROKER_URL.

Reads the settings and the entries that `beat` reads, gives them to Celery in the shapes that Python has for them, and
prints one JSON line for each entry that Celery did not send.
"""
import datetime
import json
import re
import sys
import tomllib

from celery import Celery, chain, chord, group
from celery.beat import Scheduler
from kombu import Exchange, Queue
from kombu.common import Broadcast
from kombu.utils.json import dumps, loads

SIGNATURES = ("link", "link_error", "chain")


def queue(name, given):
    if given.get("broadcast"):
        return Broadcast(name)
    if not isinstance(given.get("exchange"), dict):
        return given
    given = dict(given)
    exchange = dict(given.pop("exchange"))
    exchange = Exchange(exchange.pop("name"), exchange.pop("type", "direct"), **exchange)
    key = given.pop("binding_key", None) or given.pop("routing_key", name)
    return Queue(name, exchange, routing_key=key, **given)


def route_map(table):
    compiled = lambda name: re.compile(name[3:]) if name.startswith("re:") else name
    return {compiled(name): route for name, route in table.items()}


def routes(given):
    if isinstance(given, dict):
        return route_map(given)
    if given and isinstance(given[0], list):
        return [[(name, route) for name, route in given]]
    return [route_map(table) for table in given]


def arguments(table):
    args = loads(table["args_json"]) if "args_json" in table else table.get("args", [])
    kwargs = loads(table["kwargs_json"]) if "kwargs_json" in table else table.get("kwargs", {})
    return args, kwargs


def signature(app, given):
    if "subtask_type" in given:
        return given
    options = given.get("options", {})
    if "group" in given:
        made = group([signature(app, s) for s in given["group"]], app=app)
    elif "chain" in given:
        made = chain(*[signature(app, s) for s in given["chain"]], app=app)
    elif "chord" in given:
        header = [signature(app, s) for s in given["chord"]["header"]]
        made = chord(header, signature(app, given["chord"]["body"]), app=app)
    else:
        args, kwargs = arguments(given)
        immutable = given.get("immutable", False)
        return app.signature(given["task"], args=args, kwargs=kwargs, immutable=immutable, options=options)
    return made.set(**options) if options else made


def options(app, given):
    made = dict(given)
    for name in SIGNATURES:
        if name in made:
            items = made[name] if isinstance(made[name], list) else [made[name]]
            made[name] = [signature(app, item) for item in items]
    if "chord" in made:
        made["chord"] = signature(app, made["chord"])
    if (made.get("serializer") or app.conf.task_serializer) != "json":
        # PyYAML refuses the class Signature, and msgpack writes a broken map for a group, whose len() is that of its
        # members. Plain dicts are what a worker reads.
        for name in (*SIGNATURES, "chord"):
            if name in made:
                made[name] = loads(dumps(made[name]))
    return made


def main(path, broker):
    with open(path, "rb") as file:
        settings = tomllib.load(file)
    entries = settings.pop("beat_schedule")
    app = Celery("parity", broker=broker, set_as_current=False)
    if "task_queues" in settings:
        settings["task_queues"] = {n: queue(n, q) for n, q in settings["task_queues"].items()}
    if "task_routes" in settings:
        settings["task_routes"] = routes(settings["task_routes"])
    app.conf.update(settings)
    scheduler = Scheduler(app, schedule={}, lazy=True)
    for name, given in entries.items():
        args, kwargs = arguments(given)
        try:
            entry = scheduler.Entry(
                app=app,
                name=name,
                schedule=datetime.timedelta(hours=1),
                task=given["task"],
                args=args,
                kwargs=kwargs,
                options=options(app, given.get("options", {})),
            )
            scheduler.apply_async(entry, producer=scheduler.producer, advance=False)
        except Exception as error:
            cause = error.__cause__ or error
            print(json.dumps({"entry": name, "error": f"{type(cause).__name__}: {cause}"}))
    scheduler.connection.release()
    app.close()


main(*sys.argv[1:])
