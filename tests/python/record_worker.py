"""A Celery application whose tasks only write down that they were executed, and how.

Environment: BROKER_URL, RECORD (file to append JSON lines to), TASKS (names, comma separated), CONF (any Celery
settings as JSON), QUEUES (optional, JSON: list of {name, exchange, type, routing_key, ...} as kombu.Queue takes them, or
of {broadcast}).

A task returns its arguments as a list, so that what is linked to it can be told apart; with the keyword argument `fail`
it raises that text.
"""
import json
import math
import os
import time

from celery import Celery
from kombu import Exchange, Queue
from kombu.common import Broadcast

REQUEST_FIELDS = (
    "task id eta expires delivery_info root_id parent_id group group_index retries timelimit origin reply_to "
    "correlation_id shadow ignore_result argsrepr kwargsrepr headers properties stamped_headers stamps utc"
).split()

app = Celery("record", broker=os.environ["BROKER_URL"])
app.conf.update(
    accept_content=["json", "msgpack", "yaml"],
    broker_connection_retry_on_startup=True,
    task_ignore_result=True,
)
if queues := os.environ.get("QUEUES"):
    app.conf.task_queues = [
        Broadcast(q["broadcast"])
        if "broadcast" in q
        else Queue(
            q.pop("name"),
            Exchange(q.pop("exchange"), q.pop("type", "direct")),
            **q,
        )
        for q in json.loads(queues)
    ]
app.conf.update(json.loads(os.environ.get("CONF") or "{}"))


def plain(value):
    """`value` with text in the place of numbers that JSON does not have."""
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return value


def record(self, *args, **kwargs):
    row = {name: getattr(self.request, name, None) for name in REQUEST_FIELDS}
    row |= {"task": self.name, "args": args, "kwargs": kwargs, "executed_at": time.time()}
    row["python"] = repr((list(args), kwargs))
    line = json.dumps(plain(row), default=repr) + "\n"
    # One write: whoever reads meanwhile sees whole lines.
    with open(os.environ["RECORD"], "ab", buffering=0) as out:
        out.write(line.encode())
    if "fail" in kwargs:
        raise RuntimeError(kwargs["fail"])
    return plain(args)


for name in os.environ["TASKS"].split(","):
    app.task(record, bind=True, name=name, typing=False)
