"""Prints a Celery application's resolved beat schedule as JSON, for `beat import`.

    beat import --print-script | python - proj.celery:app > schedule.json

Runs in the application's own environment and needs nothing but Celery there (5.2 or newer, Python 3.9 or newer). It
publishes nothing and writes nothing: rows and keys are only read, and no broker is connected to.
"""
import argparse
import copy
import datetime as dt
import enum
import inspect
import json
import logging
import os
import shelve
import shutil
import sys
import tempfile
import traceback
import uuid

VERSION = 1
UTC = dt.timezone.utc
CLEANUP = "celery.backend_cleanup"
# What `beat` has a setting for. URLs are not among them: they hold credentials.
SETTINGS = """
    timezone enable_utc beat_cron_starting_deadline broker_connection_timeout broker_failover_strategy broker_heartbeat
    broker_login_method event_exchange event_serializer task_compression task_create_missing_queue_exchange_type
    task_create_missing_queue_type task_create_missing_queues task_default_delivery_mode task_default_exchange
    task_default_exchange_type task_default_priority task_default_queue task_default_queue_type task_default_routing_key
    task_protocol task_publish_retry task_publish_retry_policy task_queue_max_priority task_repr_maxlevels
    task_send_sent_event task_serializer
""".split()
TRANSPORT_OPTIONS = """
    body_encoding control_folder data_folder_in data_folder_out deadletter_queue fanout_patterns fanout_prefix
    global_keyprefix master_name priority_steps sep
""".split()
TLS_PATHS = "ssl_ca_certs ca_certs ssl_certfile certfile ssl_keyfile keyfile".split()
QUEUE_KEYS = """
    durable auto_delete exclusive no_declare queue_arguments binding_arguments expires message_ttl max_length
    max_length_bytes max_priority
""".split()
RRULE_KEYS = {
    "bysetpos": "BYSETPOS", "bymonth": "BYMONTH", "bymonthday": "BYMONTHDAY", "byyearday": "BYYEARDAY",
    "byweekno": "BYWEEKNO", "byhour": "BYHOUR", "byminute": "BYMINUTE", "bysecond": "BYSECOND",
}
FREQUENCIES = ["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"]
DAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]

WARNINGS = []


def warn(text):
    WARNINGS.append(str(text))


class Refused(Exception):
    """Cannot be carried over; the text says why."""


def instant(value):
    """An aware datetime as UTC text; a naive one is UTC, as Celery takes it."""
    if value is None:
        return None
    if value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def zone_name(zone):
    """The IANA name of a tzinfo, or None."""
    if zone is None:
        return None
    if zone is UTC or str(zone) in ("UTC", "utc"):
        return "UTC"
    for attribute in ("key", "zone"):
        name = getattr(zone, attribute, None)
        if isinstance(name, str) and name:
            return name
    if "LocalTimezone" in type(zone).__name__ or "tzlocal" in type(zone).__name__:
        return local_zone()
    return None


def local_zone():
    name = os.environ.get("TZ", "").lstrip(":")
    path = os.path.realpath("/etc/localtime")
    if not name and "zoneinfo/" in path:
        name = path.split("zoneinfo/", 1)[1]
    return name or "UTC"


def plain(value, where):
    """`value` as Celery's JSON would send it. What JSON does not have becomes {"__type__": ..., "__value__": ...}."""
    from kombu.utils import json as kombu_json
    if type(value).__name__ == "BeatLazyFunc":
        raise Refused(f"{where} is a BeatLazyFunc: Python code that Celery's beat runs at each fire")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, enum.Enum):
        return plain(value.value, where)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            return {"__type__": "float", "__value__": str(float(value))}
        return float(value)
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Refused(f"{where} holds half of a surrogate pair, which is no text") from None
        return str(value)
    if isinstance(value, (list, tuple)):
        return [plain(item, f"{where}[{position}]") for position, item in enumerate(value)]
    if isinstance(value, dict):
        made = {}
        for key, item in value.items():
            if not (key is None or isinstance(key, (str, int, float, bool))):
                raise Refused(f"{where} has a key of type {type(key).__name__}, which JSON does not have")
            name = key if isinstance(key, str) else json.dumps(key)
            made[name] = plain(item, f"{where}[{key!r}]")
        return made
    if isinstance(value, dt.datetime):
        return {"__type__": "datetime", "__value__": value.isoformat()}
    if isinstance(value, dt.date):
        return {"__type__": "date", "__value__": value.isoformat()}
    if isinstance(value, dt.time):
        return {"__type__": "time", "__value__": value.isoformat()}
    try:
        return json.loads(kombu_json.dumps(value))
    except Exception as error:
        name = f"{type(value).__module__}.{type(value).__name__}".replace("builtins.", "")
        raise Refused(f"{where} is of type {name}, which Celery's JSON cannot carry") from error


def proof(app, args, kwargs):
    """What Celery itself makes of the arguments; `beat import` compares its own with it."""
    from celery.utils.saferepr import saferepr
    from kombu.utils import json as kombu_json
    made = {}
    levels = app.conf.get("task_repr_maxlevels")
    extra = {} if levels is None else {"maxlevels": levels}
    limit = getattr(app.amqp, "argsrepr_maxsize", 1024)
    made["argsrepr"] = saferepr(args, limit, **extra) if args else "()"
    made["kwargsrepr"] = saferepr(kwargs, getattr(app.amqp, "kwargsrepr_maxsize", 1024), **extra)
    try:
        made["args_json"], made["kwargs_json"] = kombu_json.dumps(args), kombu_json.dumps(kwargs)
    except Exception as error:
        made["json_error"] = f"{type(error).__name__}: {error}"
    for text in made.values():
        text.encode()
    return made
