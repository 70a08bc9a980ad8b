def schedule_table(app, schedule, notes):
    """A schedule by its kind; its fire times are worked out from nothing else."""
    from celery import schedules
    kind = f"{type(schedule).__module__}.{type(schedule).__name__}"
    if type(schedule) is schedules.schedule:
        zone = nowfun_zone(schedule) if schedule.relative else None
        every = schedule.run_every // dt.timedelta(microseconds=1)
        return {"type": "interval", "micros": every, "relative": bool(schedule.relative), "timezone": zone}
    if type(schedule) is schedules.crontab or kind == "django_celery_beat.tzcrontab.TzAwareCrontab":
        return crontab_table(app, schedule, notes)
    if type(schedule) is schedules.solar:
        return {"type": "solar", "event": schedule.event, "lat": float(schedule.lat), "lon": float(schedule.lon)}
    if kind == "django_celery_beat.clockedschedule.clocked":
        return {"type": "clocked", "at": instant(schedule.clocked_time)}
    if kind == "redbeat.schedules.rrule":
        return rrule_table(schedule)
    raise Refused(f"its schedule is a {kind}, which is Python code")


def crontab_table(app, schedule, notes):
    made = {"type": "crontab", "fields": {}, "sets": {}}
    for name in ("minute", "hour", "day_of_month", "month_of_year", "day_of_week"):
        given = getattr(schedule, f"_orig_{name}")
        if isinstance(given, bool) or not isinstance(given, (int, str)):
            given = sorted(given)
        made["fields"][name] = given
        made["sets"][name] = sorted(getattr(schedule, name))
    if "TzAwareCrontab" in type(schedule).__name__:
        made["timezone"] = zone_name(schedule.tz)
        if made["timezone"] is None:
            raise Refused(f"its timezone {schedule.tz!r} has no IANA name")
        return made
    made["timezone"] = nowfun_zone(schedule)
    if made["timezone"]:
        read_in = zone_name(schedule.remaining_delta(schedule.now())[0].tzinfo)
        if read_in and read_in != made["timezone"]:
            from celery import __version__
            notes.append(f"nowfun gives the time of {made['timezone']}, and the crontab is read in that zone here; "
                         f"Celery {__version__} reads it in {read_in} all the same")
    return made


def nowfun_zone(schedule):
    """The zone of the common `nowfun=lambda: datetime.now(zone)`; other functions are refused."""
    if schedule.nowfun is None:
        return None
    now = schedule.nowfun()
    zone = zone_name(now.tzinfo)
    if zone is None or abs(now - dt.datetime.now(UTC)) > dt.timedelta(seconds=10):
        raise Refused("its nowfun is Python code that is not simply the time in a zone")
    return zone


def rrule_table(rule):
    def listed(value):
        return value if isinstance(value, (list, tuple)) else [value]

    def day(value):
        number, nth = (value, None) if isinstance(value, int) else (value.weekday, value.n)
        return f"{nth or ''}{DAYS[number]}"
    if rule.byeaster is not None:
        raise Refused("its rrule uses byeaster, which RFC 5545 does not have")
    parts = [f"FREQ={FREQUENCIES[rule.freq]}"]
    if rule.interval not in (None, 1):
        parts.append(f"INTERVAL={rule.interval}")
    if rule.count is not None:
        parts.append(f"COUNT={rule.count}")
    if rule.until is not None:
        parts.append(f"UNTIL={rule.until.astimezone(UTC):%Y%m%dT%H%M%SZ}")
    if rule.wkst is not None:
        parts.append(f"WKST={day(rule.wkst)}")
    if rule.byweekday is not None:
        parts.append("BYDAY=" + ",".join(day(value) for value in listed(rule.byweekday)))
    for name, key in RRULE_KEYS.items():
        value = getattr(rule, name)
        if value is not None and value != ():
            parts.append(f"{key}=" + ",".join(str(int(number)) for number in listed(value)))
    start = rule.dtstart.replace(microsecond=0)
    zone = zone_name(start.tzinfo)
    if zone is None:
        # What redbeat stores is an offset: the rule does not follow daylight saving.
        minutes = start.utcoffset() // dt.timedelta(minutes=1)
        if minutes % 60:
            raise Refused(f"its dtstart is at the fixed offset {start:%z}, which no IANA zone stands for")
        zone = f"Etc/GMT{-minutes // 60:+d}" if minutes else "UTC"
    return {"type": "rrule", "rrule": ";".join(parts), "dtstart": start.replace(tzinfo=None).isoformat(),
            "timezone": zone}


def fires(app, schedule, base, after, count):
    """Celery's own next fires after `after`, as if its beat woke up in time for each; `base` is the last run."""
    if not count:
        return None
    made = {"after": instant(after), "base": instant(base), "times": [], "overdue": False, "error": None}
    saved = schedule.nowfun
    here = schedule.tz if "TzAwareCrontab" in type(schedule).__name__ else (schedule.now().tzinfo or app.timezone)
    last = base
    try:
        while len(made["times"]) < count:
            now = max(last, after)
            schedule.nowfun = lambda: now.astimezone(here)
            left = schedule.remaining_estimate(last.astimezone(here))
            if left is None:
                break
            fire = now + left
            if fire <= now:
                if made["times"]:
                    made["error"] = f"Celery's beat would send again and again at {instant(now)}"
                    break
                made["overdue"], fire = True, now
            made["times"].append(instant(fire))
            if hasattr(schedule, "clocked_time"):
                break
            last = fire
    except Exception as error:
        made["error"] = f"{type(error).__name__}: {error}"
    finally:
        schedule.nowfun = saved
    return made


def export(app, source, name, task, schedule, args, kwargs, options, after, last=None, base=None, runs=0, count=50,
           **more):
    """One entry as JSON. `base` is what its next run counts from, `last` its last run if there was one."""
    made = {"name": str(name), "source": source, "task": str(task), "notes": [], "refused": [],
            "last_run_at": instant(last), "counts_from": instant(base), "total_run_count": runs or 0}
    made.update({key: value for key, value in more.items() if value is not None})
    notes = made["notes"]

    def attempt(what, work):
        try:
            return work()
        except Refused as error:
            made["refused"].append(str(error))
        except Exception as error:
            made["refused"].append(f"{what}: Celery's beat fails as well: {type(error).__name__}: {error}")
        return None

    made["schedule"] = attempt("schedule", lambda: schedule_table(app, schedule, notes))
    attempt("args", lambda: [plain(item, f"args[{place}]") for place, item in enumerate(args or ())])
    attempt("kwargs", lambda: [plain(item, f"kwargs[{key!r}]") for key, item in dict(kwargs or {}).items()])
    if made["refused"]:
        return made
    resolved = attempt("options", lambda: routed(app, task, list(args or ()), dict(kwargs or {}), dict(options or {})))
    if resolved is None:
        return made
    made["registered"], args, kwargs, options, more_notes = resolved
    notes.extend(more_notes)
    made["args"] = attempt("args", lambda: [plain(v, f"args[{i}]") for i, v in enumerate(args)])
    made["kwargs"] = attempt("kwargs", lambda: plain(dict(kwargs), "kwargs"))
    made["options"] = {}
    for key, value in options.items():
        made["options"][key] = attempt(key, lambda: plain(value, f"options.{key}"))
    made["proof"] = attempt("args", lambda: proof(app, list(args), dict(kwargs)))
    made["fires"] = fires(app, schedule, base or after, after, count)
    return made
