"""A Celery application on RabbitMQ with quorum queues; `python rabbit.py` declares what its workers would."""
import os

from celery import Celery
from kombu import Exchange, Queue
from kombu.transport.native_delayed_delivery import declare_native_delayed_delivery_exchanges_and_queues

app = Celery("rabbit", broker=os.environ["BROKER_URL"])


def route(name, args, kwargs, options, task=None, **more):
    return {"queue": "classic", "mandatory": False} if name == "rabbit.routed" else None


class Config:
    task_queues = [
        Queue("quorum", Exchange("quorum", type="topic"), routing_key="quorum.#",
              queue_arguments={"x-queue-type": "quorum"}),
        Queue("direct", Exchange("direct"), routing_key="direct", queue_arguments={"x-queue-type": "quorum"}),
        Queue("classic", Exchange("classic", delivery_mode=1), routing_key="classic", max_priority=10, message_ttl=60,
              durable=False, auto_delete=True),
    ]
    task_default_queue = "quorum"
    task_default_exchange = "quorum"
    task_default_exchange_type = "topic"
    task_default_routing_key = "quorum.default"
    task_default_priority = 5
    task_send_sent_event = True
    task_routes = [route]


app.config_from_object(Config)


@app.task(name="rabbit.plain")
def plain(*args, **kwargs):
    pass


@app.task(name="rabbit.attributes", priority=9, expires=30, time_limit=30, soft_time_limit=2.5, ignore_result=True,
          serializer="msgpack", compression="bzip2", routing_key="quorum.own", exchange="quorum")
def attributes(*args, **kwargs):
    pass


@app.task(name="rabbit.routed", queue="direct")
def routed(*args, **kwargs):
    pass


HOUR = 3600
app.conf.beat_schedule = {
    "plain": {"task": "rabbit.plain", "schedule": HOUR, "args": [1, None, "x"], "kwargs": {"big": 2**40, "f": 0.5}},
    "attributes": {"task": "rabbit.attributes", "schedule": HOUR, "args": ["a", 1, 2**33, None]},
    "bytes": {"task": "rabbit.bytes", "schedule": HOUR, "args": [b"\xff", 1], "options": {"serializer": "msgpack"}},
    "routed": {"task": "rabbit.routed", "schedule": HOUR},
    "delayed": {"task": "rabbit.plain", "schedule": HOUR, "options": {"countdown": 500}},
    "direct": {"task": "rabbit.plain", "schedule": HOUR, "options": {"countdown": 500, "queue": "direct"}},
    "stranger": {"task": "rabbit.stranger", "schedule": HOUR, "options": {"queue": "classic", "message_id": "m"}},
    "missing": {"task": "rabbit.stranger", "schedule": HOUR, "options": {"queue": "made.by.name"}},
}

if __name__ == "__main__":
    with app.connection_for_write() as connection:
        declare_native_delayed_delivery_exchanges_and_queues(connection, "quorum")
