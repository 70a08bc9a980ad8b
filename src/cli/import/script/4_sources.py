def code_entry(app, name, given):
    """An entry of `beat_schedule` as Celery's beat makes it."""
    from celery.beat import ScheduleEntry
    if isinstance(given, ScheduleEntry):
        given = {key: getattr(given, key) for key in ("task", "schedule", "args", "kwargs", "options")}
    entry = ScheduleEntry(**dict(given, name=name, app=app))
    if entry.schedule is None:
        raise Refused("it has no schedule")
    entry.schedule.app = app
    return entry


def without(given, key):
    """An entry of the code without a key that only its scheduler knows, and that key's value."""
    if not isinstance(given, dict) or key not in given:
        return given, None
    return {name: value for name, value in given.items() if name != key}, given[key]


def broken(name, given, source, error):
    task = given.get("task") if isinstance(given, dict) else None
    return {"name": str(name), "source": source, "task": str(task or ""), "notes": [], "refused": [
        str(error) if isinstance(error, Refused) else
        f"Celery's beat fails as well: {type(error).__name__}: {error}"]}


def code_entries(app, how, runs):
    """`beat_schedule`: settings, functions, signals; `runs` has last run and count by name."""
    for name, given in dict(app.conf.beat_schedule or {}).items():
        try:
            entry = code_entry(app, name, given)
        except Exception as error:
            yield broken(name, given, "beat_schedule", error)
            continue
        base, count = runs.get(str(name), (None, 0))
        yield export(app, "beat_schedule", name, entry.task, entry.schedule, entry.args, entry.kwargs, entry.options,
                     last=base if count else None, base=base, runs=count, **how)


def shelf_runs(path):
    """Last runs in the default scheduler's file. A copy is read: a beat that runs holds a lock on the file."""
    folder = tempfile.mkdtemp()
    try:
        found = [path + suffix for suffix in ("", ".db", ".dat", ".dir", ".bak", ".pag")
                 if os.path.isfile(path + suffix)]
        if not found:
            warn(f"there is no {path!r} here, and so no last runs; --schedule-file names the file of Celery's beat")
            return {}
        for file in found:
            shutil.copy(file, folder)
        with shelve.open(os.path.join(folder, os.path.basename(path)), flag="r") as shelf:
            entries = dict(shelf.get("entries", {}))
        return {str(name): (entry.last_run_at, entry.total_run_count) for name, entry in entries.items()}
    except Exception as error:
        warn(f"last runs in {path!r} cannot be read ({type(error).__name__}: {error})")
        return {}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def redbeat_entries(app, how):
    from redbeat import schedulers
    from redbeat.decoder import RedBeatJSONDecoder, RedBeatJSONEncoder
    conf = schedulers.ensure_conf(app)
    client = schedulers.get_redis(app)
    if conf.lock_key and client.exists(conf.lock_key):
        warn("redbeat's lock is held: a Celery beat still runs. Last runs are right only once it has stopped")
    statics = set(client.smembers(conf.statics_key))
    code, stored = dict(app.conf.beat_schedule or {}), {}
    for key in client.zrange(conf.schedule_key, 0, -1):
        name = key[len(conf.key_prefix):] if key.startswith(conf.key_prefix) else key
        definition, meta = client.hmget(key, "definition", "meta")
        if definition is None:
            warn(f"{key!r} is in redbeat's schedule and has no definition: it is left out, as redbeat does")
            continue
        stored[name] = (definition, meta)
    never = []
    for name, (definition, meta) in stored.items():
        try:
            run = json.loads(meta, cls=RedBeatJSONDecoder) if meta else {}
            base, count = run.get("last_run_at"), run.get("total_run_count") or 0
        except Exception as error:
            warn(f"the last run of {name!r} cannot be read ({type(error).__name__}: {error})")
            base, count = None, 0
        stored[name] = (definition, base, count)
    yield from code_entries_of_redbeat(app, how, code, stored, RedBeatJSONEncoder, RedBeatJSONDecoder)
    for name, (definition, base, count) in stored.items():
        if name in code:
            continue
        if name in statics:
            if name != CLEANUP:
                warn(f"{name!r} is in redbeat's statics and in the code no more: it is left out, as redbeat deletes it")
            continue
        found = {}
        try:
            found = json.loads(definition, cls=RedBeatJSONDecoder)
            known = {"name", "task", "schedule", "args", "kwargs", "options", "enabled"}
            if set(found) - known:
                raise Refused(f"its definition has the unknown key {sorted(set(found) - known)[0]!r}")
            if isinstance(found["schedule"], dict):
                raise Refused(f"its schedule is of the unknown type {found['schedule'].get('__type__')!r}")
            found["schedule"].app = app
        except Exception as error:
            yield broken(name, found, "redbeat", error)
            continue
        if base is None:
            never.append(name)
        yield export(app, "redbeat", found.get("name") or name, found.get("task"), found["schedule"],
                     found.get("args"), found.get("kwargs"), found.get("options"), base=base,
                     last=base if count else None, runs=count, enabled=bool(found.get("enabled", True)), **how)
    if never:
        warn(f"never run so far, and redbeat would run them at once: {', '.join(sorted(never))}; "
             "`beat` counts from its start")


def code_entries_of_redbeat(app, how, code, stored, encoder, decoder):
    """Entries of the code: redbeat saves them anew when it starts, and reads them back from Redis."""
    for name, given in code.items():
        given, enabled = without(given, "enabled")
        try:
            entry = code_entry(app, name, given)
            fields = ("task", "schedule", "args", "kwargs", "options")
            made = {field: getattr(entry, field) for field in fields}
        except Exception as error:
            yield broken(name, given, "beat_schedule", error)
            continue
        notes = None
        try:
            made = json.loads(json.dumps(made, cls=encoder), cls=decoder)
            made["schedule"].app = app
        except Exception as error:
            notes = f"redbeat cannot store it ({type(error).__name__}: {error}), so it has not run so far"
        _, base, count = stored.get(str(name), (None, None, 0))
        done = export(app, "beat_schedule", name, made["task"], made["schedule"], made["args"], made["kwargs"],
                      made["options"], base=base, last=base if count else None, runs=count,
                      enabled=enabled, **how)
        done["notes"].extend([notes] if notes else [])
        yield done


def django_rows():
    from django_celery_beat.models import PeriodicTask
    kinds = [kind for kind in ("interval", "crontab", "solar", "clocked") if hasattr(PeriodicTask, kind)]
    return PeriodicTask.objects.select_related(*kinds).order_by("pk")


def django_instant(value, local=False):
    """A column as an instant. With USE_TZ off it is naive, and taken as UTC, which is what it is compared with;
    date_changed, which Django itself writes, is local time."""
    from django.utils import timezone
    if value is not None and value.tzinfo is None:
        return timezone.make_aware(value) if local else value.replace(tzinfo=UTC)
    return value


def django_entries(app, how):
    from kombu.utils.json import loads
    code = dict(app.conf.beat_schedule or {})
    rows = set()
    for row in django_rows().iterator():
        rows.add(row.name)
        if row.name == CLEANUP and row.name not in code:
            continue
        if row.name in code:
            warn(f"{row.name!r} is a row and in beat_schedule: the row is taken; a restart of Celery's beat "
                 "would write the code over it")
        options = {key: getattr(row, key) for key in ("queue", "exchange", "routing_key", "priority")
                   if getattr(row, key, None) is not None}
        expires, seconds = row.expires, getattr(row, "expire_seconds", None)
        if expires or seconds:
            options["expires"] = expires or seconds
        try:
            headers = loads(getattr(row, "headers", None) or "{}")
            if headers:
                options["headers"] = headers
            args, kwargs = loads(row.args or "[]"), loads(row.kwargs or "{}")
            schedule = row.schedule
            schedule.app = app
        except Exception as error:
            yield broken(row.name, {"task": row.task}, "django-celery-beat", error)
            continue
        last = django_instant(row.last_run_at)
        base = last or django_instant(row.date_changed, local=True)
        enabled = row.enabled
        remarks = []
        if row.one_off and row.total_run_count and enabled:
            enabled = False
            remarks.append("one_off, and it has run: it is disabled, as django-celery-beat does")
        start, at = django_instant(row.start_time), how["after"]
        if start is not None and last is None:
            # So that it runs at start_time.
            base = base - dt.timedelta(days=365 * 30)
        made = export(app, "django-celery-beat", row.name, row.task, schedule, args, kwargs, options, base=base,
                      last=last, runs=row.total_run_count, enabled=enabled, one_off=bool(row.one_off),
                      start_at=instant(start), end_at=instant(django_instant(expires)),
                      description=row.description or None, count=how["count"],
                      after=max(start, at) if start else at)
        made["remarks"] = remarks
        yield made
    for made in django_code_entries(app, {n: g for n, g in code.items() if n not in rows}, how):
        yield made


def django_code_entries(app, code, how):
    """Entries of the code that are no rows yet: Celery's beat makes rows of them when it starts."""
    for name, given in code.items():
        given, enabled = without(given, "enabled")
        given, description = without(given, "description")
        try:
            entry = code_entry(app, name, given)
        except Exception as error:
            yield broken(name, given, "beat_schedule", error)
            continue
        kept = {key: value for key, value in entry.options.items()
                if key in ("queue", "exchange", "routing_key", "priority", "headers") and value is not None}
        if entry.options.get("expire_seconds"):
            kept["expires"] = entry.options["expire_seconds"]
        lost = sorted(set(entry.options) - set(kept) - {"expire_seconds"})
        made = export(app, "beat_schedule", name, entry.task, entry.schedule, entry.args, entry.kwargs, kept,
                      enabled=enabled, description=description, **how)
        if lost:
            made["notes"].append(f"django-celery-beat drops the option {', '.join(lost)}, and so it is left out")
        yield made


def choose(app, asked):
    """Where the entries live: "celery", "redbeat" or "django"."""
    wanted = str(asked or app.conf.beat_scheduler or "")
    if "redbeat" in wanted.lower():
        return "redbeat"
    if wanted == "django" or "django_celery_beat" in wanted:
        return "django"
    if wanted not in ("", "celery", "celery.beat:PersistentScheduler", "celery.beat.PersistentScheduler",
                      "celery.beat:Scheduler", "celery.beat.Scheduler"):
        warn(f"the scheduler {wanted} is Python code of its own: entries that only it knows are not carried over")
        return "celery"
    if asked:
        return "celery"
    if any(str(key).lower().startswith("redbeat_") for key in app.conf.keys()):
        warn("redbeat is configured, so its Redis is read; --scheduler celery leaves it out")
        return "redbeat"
    try:
        from django.apps import apps
        if apps.is_installed("django_celery_beat") and django_rows().exists():
            warn("django_celery_beat has rows, so they are read; --scheduler celery leaves them out")
            return "django"
    except Exception:
        pass
    return "celery"


def main(argv):
    parser = argparse.ArgumentParser(prog="beat_export", description="Prints an app's beat schedule as JSON.")
    parser.add_argument("app", help="the application, as `celery -A` takes it: proj, proj.celery:app")
    parser.add_argument("--scheduler", help="celery, redbeat, django or the class, when beat got it by -S")
    parser.add_argument("--schedule-file", help="the default scheduler's file, when beat got it by -s")
    parser.add_argument("--fires", type=int, default=50, help="how many fires of Celery's own go with each entry")
    args = parser.parse_args(argv)
    # What the application prints must not end up in the JSON.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    import celery
    app = load_app(args.app)
    how = {"after": dt.datetime.now(UTC), "count": args.fires}
    source = choose(app, args.scheduler)
    if source == "redbeat":
        entries = list(redbeat_entries(app, how))
    elif source == "django":
        entries = list(django_entries(app, how))
    else:
        path = args.schedule_file or app.conf.beat_schedule_filename
        entries = list(code_entries(app, how, shelf_runs(path)))
    problems_of_app(app, source)
    document = {
        "beat_export": VERSION, "exported_at": instant(how["after"]), "celery": celery.__version__,
        "python": sys.version.split()[0], "app": args.app, "scheduler": source, "broker": broker(app),
        "settings": settings(app), "task_queues": queues(app), "task_routes": routes(app), "entries": entries,
        "cleanup": None if CLEANUP in dict(app.conf.beat_schedule or {}) else cleanup_entry(app, source),
        "warnings": WARNINGS,
    }
    # One entry a line, so that people can look at it.
    lines = ",\n".join(map(json.dumps, document.pop("entries")))
    out.write("{\n" + "".join(f"{json.dumps(name)}: {json.dumps(value)},\n" for name, value in document.items()))
    out.write(f'"entries": [\n{lines}\n]\n}}\n')
    out.close()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except SystemExit:
        raise
    except BaseException:
        traceback.print_exc()
        print("beat_export: nothing was written", file=sys.stderr)
        sys.exit(1)
