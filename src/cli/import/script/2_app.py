def load_app(name):
    sys.path.insert(0, os.getcwd())
    from celery import Celery
    from celery.app.utils import find_app
    seen = {}
    add = Celery._add_periodic_task

    def added(self, key, entry, *args, **kwargs):
        seen[key] = seen.get(key, 0) + 1
        if seen[key] == 2:
            warn(f"add_periodic_task was called twice for {key!r}: the last one stands, as with Celery's beat; "
                 "give each a name")
        return add(self, key, entry, *args, **kwargs)

    Celery._add_periodic_task = added
    app = find_app(name)
    if os.environ.get("DJANGO_SETTINGS_MODULE"):
        import django
        django.setup()
    app.set_current()
    app.set_default()
    app.loader.import_default_modules()
    # The configuration is read and the signals are sent by these.
    app.conf.get("timezone")
    app.finalize()
    app.conf.beat_schedule
    return app


def routed(app, task, args, kwargs, options):
    """The options that reach `send_task`, merged with the attributes of a registered task and with its route."""
    from celery.app.task import Task
    caught = {}

    def send_task(name, args=None, kwargs=None, **given):
        caught.update(name=name, args=args, kwargs=kwargs, options=given)

    notes = []
    registered = app.tasks.get(task)
    if registered is None:
        send_task(task, args, kwargs, **options)
    else:
        base = inspect.unwrap(Task.apply_async)
        if inspect.unwrap(type(registered).apply_async) is not base:
            notes.append(f"{type(registered).__name__} has an apply_async of its own, which is Python code: "
                         "what it adds is not sent")
        eager, app.conf.task_always_eager = app.conf.task_always_eager, False
        app.__dict__["send_task"] = send_task
        try:
            base(registered, args, kwargs, **options)
        finally:
            app.__dict__.pop("send_task")
            app.conf.task_always_eager = eager
    given = {name: value for name, value in caught["options"].items() if name not in (
        "producer", "connection", "result_cls", "task_type", "add_to_parent", "router", "publisher", "route_name")}
    merged = app.amqp.router.route(dict(given), task, caught["args"], caught["kwargs"], registered)
    merged = {name: value for name, value in merged.items() if value is not None}
    queue = merged.get("queue")
    if queue is not None and not isinstance(queue, str):
        merged["queue"] = getattr(queue, "alias", None) or queue.name
    for name in ("exchange",):
        if name in merged and not isinstance(merged[name], str):
            merged[name] = merged[name].name
    for name in ("link", "link_error", "chain"):
        if name in merged and not isinstance(merged[name], (list, tuple)):
            merged[name] = [merged[name]]
    return registered is not None, caught["args"] or [], caught["kwargs"] or {}, merged, notes


def queue_table(queue):
    from kombu.common import Broadcast
    made = {name: getattr(queue, name, None) for name in QUEUE_KEYS}
    exchange = queue.exchange
    made["exchange"] = {name: getattr(exchange, name) for name in (
        "name", "type", "delivery_mode", "durable", "auto_delete", "arguments") if getattr(exchange, name) is not None}
    made["routing_key"] = queue.routing_key
    made["broadcast"] = isinstance(queue, Broadcast)
    if len(getattr(queue, "bindings", None) or ()) > 1:
        warn(f"the queue {queue.name!r} has several bindings; the first one is carried over")
    return {name: value for name, value in made.items() if value is not None}


def queues(app):
    given = app.conf.task_queues
    if not given:
        return {}
    made = {}
    for name, queue in app.amqp.Queues(copy.deepcopy(given)).items():
        try:
            made[getattr(queue, "alias", None) or name] = plain(queue_table(queue), f"task_queues[{name!r}]")
        except Refused as error:
            warn(f"task_queues: {error}; the queue {name!r} is left out")
    return made


def route_table(route):
    import re
    key = lambda name: f"re:{name.pattern}" if isinstance(name, re.Pattern) else name
    if isinstance(route, dict):
        return {key(name): to for name, to in route.items()}
    if isinstance(route, (list, tuple)) and all(isinstance(p, (list, tuple)) and len(p) == 2 for p in route):
        return {key(name): to for name, to in route}
    raise Refused("task_routes holds Python code")


def routes(app):
    """`task_routes` as tables; None and a warning when some of it is code."""
    given = app.conf.task_routes
    if not given:
        return []
    try:
        given = given if isinstance(given, (list, tuple)) else [given]
        if given and all(isinstance(p, (list, tuple)) and len(p) == 2 and isinstance(p[0], str) for p in given):
            raise Refused("task_routes holds Python code")
        return [plain({name: {k: v for k, v in to.items()} if isinstance(to, dict) else to
                       for name, to in route_table(route).items()}, "task_routes") for route in given]
    except Refused as error:
        warn(f"{error}: it is left out, and every entry has its own route written out; "
             "an entry that you add names its queue itself")
        return None


def settings(app):
    conf = app.conf
    made = {}
    for name in SETTINGS:
        value = conf.get(name)
        if name == "timezone":
            value = zone_name(app.timezone)
            if value is None:
                value = "UTC"
                warn(f"the timezone {app.timezone!r} has no IANA name; UTC is written, set `timezone` yourself")
        if value is None or callable(value):
            continue
        try:
            made[name] = plain(value, name)
        except Refused as error:
            warn(f"{error}; the setting is left out")
    options = dict(conf.broker_transport_options or {})
    made["broker_transport_options"] = {
        name: plain(options[name], name) for name in TRANSPORT_OPTIONS if options.get(name) is not None}
    kwargs = options.get("sentinel_kwargs") or {}
    made["sentinel_credentials"] = sorted(set(kwargs) & {"username", "password"})
    ssl = conf.broker_use_ssl
    if ssl:
        table = {}
        for name, value in (ssl.items() if isinstance(ssl, dict) else ()):
            if name in TLS_PATHS:
                table[name] = str(value)
            elif name in ("ssl_cert_reqs", "cert_reqs"):
                table["ssl_cert_reqs"] = int(value) if isinstance(value, int) else str(value)
            elif name in ("ssl_check_hostname", "check_hostname"):
                table["ssl_check_hostname"] = bool(value)
            elif name == "server_hostname":
                table["server_hostname"] = str(value)
        made["broker_use_ssl"] = table
    return made


def broker(app):
    """What kind of broker it is; never its address."""
    def scheme(url):
        url = url[0] if isinstance(url, (list, tuple)) and url else url
        return str(url or "").split(":", 1)[0].split("+", 1)[0] if "://" in str(url or "") else str(url or "")
    conf = app.conf
    url = conf.broker_write_url or conf.broker_url
    if url and conf.broker_read_url and conf.broker_write_url and conf.broker_read_url != conf.broker_write_url:
        warn("broker_write_url differs from broker_read_url: CELERY_BROKER_URL has to hold the one that is written to")
    return {"scheme": scheme(url) or "amqp"}


def problems_of_app(app, source):
    from celery import signals
    if app.conf.task_always_eager:
        warn("task_always_eager is set: Celery's beat runs the tasks itself, `beat` publishes them")
    for name in ("before_task_publish", "after_task_publish"):
        receivers = getattr(getattr(signals, name), "receivers", None)
        if receivers:
            warn(f"{len(receivers)} receiver(s) of the signal {name} run in Celery's beat and not with `beat`: "
                 "what they add to messages is not sent")
    for name in ("beat_init", "beat_embedded_init"):
        # redbeat takes its lock in one.
        if source != "redbeat" and getattr(getattr(signals, name), "receivers", None):
            warn(f"the signal {name} has receivers; nothing sends it once `beat` is used")


def cleanup_entry(app, source):
    """`celery.backend_cleanup`, where Celery's beat adds it by itself."""
    try:
        # django-celery-beat does not ask the backend.
        if not app.conf.result_expires or source != "django" and app.backend.supports_autoexpire:
            return None
    except Exception as error:
        warn(f"the result backend cannot be made ({type(error).__name__}), so it is not known whether "
             f"{CLEANUP} is wanted")
        return None
    return {"task": CLEANUP, "schedule": "0 4 * * *", "expires": 43200}
