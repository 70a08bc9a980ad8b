//! What is subtle, one schedule for each group of settings.

use super::{Case, To};

/// The cases that can be published there.
pub(super) fn all(to: To) -> Vec<(String, Case)> {
    let cases = CASES.iter().filter(|case| case.to.contains(&to));
    cases
        .map(|case| (case.name.to_owned(), case.read()))
        .collect()
}

struct Given {
    name: &'static str,
    to: &'static [To],
    settings: &'static str,
    /// Name and body.
    entries: &'static [(&'static str, &'static str)],
}

impl Given {
    fn read(&self) -> Case {
        let entry = |(name, body): &(&str, &str)| ((*name).to_owned(), (*body).to_owned());
        Case {
            settings: self.settings.to_owned(),
            entries: self.entries.iter().map(entry).collect(),
        }
    }
}

const EVERYWHERE: &[To] = &[To::Redis, To::Amqp, To::Folder];

const BROKERS: &[To] = &[To::Redis, To::Amqp];

const CASES: &[Given] = &[
    Given {
        name: "arguments",
        to: EVERYWHERE,
        settings: "",
        entries: &[
            ("none", ""),
            ("one", "args = [1]\nkwargs = { x = 'y' }"),
            (
                "times",
                "args = [12:30:00, 12:30:00.5, 1979-05-27 07:32:00Z, 0001-01-01, 9999-12-31T23:59:59.999999]",
            ),
            (
                "typed",
                r#"args_json = '[{"__type__": "decimal", "__value__": "1.10"}, {"__type__": "uuid", "__value__": {"hex": "a3c1f5e06cde4ab0a3c1f5e06cde4ab0"}}, {"__type__": "bytes", "__value__": "hi"}]'"#,
            ),
            (
                "numbers",
                r#"kwargs_json = '{"big": 123456789012345678901234567890, "exp": 1E+2, "small": 1.0e-10, "zero": -0.0, "over": 1e999}'"#,
            ),
            (
                "braces",
                "args = ['{', '{{', '{x}', '{0}', '%s', '${HOME}', '$(id)']",
            ),
            (
                "deep",
                "args = [[[[[1, [2]]]]]]\nkwargs = { a = { b = { c = { d = { e = 1 } } } } }",
            ),
        ],
    },
    Given {
        name: "routes",
        to: EVERYWHERE,
        settings: "task_default_queue = 'd'\ntask_default_exchange = 'dx'\ntask_default_routing_key = 'dk'\n\
             [[task_routes]]\n'parity.exact' = 'exactly'\n'parity.gl*' = { queue = 'globbed', priority = 3, delivery_mode = 1, app_id = 'a' }\n\
             [[task_routes]]\n're:parity\\.(re|x)' = { queue = 'matched', serializer = 'yaml', compression = 'zlib' }\n\
             're:late$' = { queue = 'never' }",
        entries: &[
            ("exact", ""),
            ("glob", "options = { priority = 9 }"),
            ("globelsewhere", "options = { queue = 'own' }"),
            ("regex", ""),
            ("none", ""),
            (
                "verylate",
                "options = { exchange = 'exactly', routing_key = 'exactly' }",
            ),
        ],
    },
    Given {
        name: "queues",
        to: EVERYWHERE,
        settings: "[task_queues.feeds]\nexchange = 'media'\nexchange_type = 'topic'\nrouting_key = 'media.#'\n\
             [task_queues.images]\nexchange = 'media'\nexchange_type = 'topic'\nbinding_key = 'media.*.image'\n\
             [task_queues.named]\nexchange = { name = 'direct2', type = 'direct', delivery_mode = 1, durable = false }\nrouting_key = 'n'\n\
             [task_queues.short]\n[task_queues.celery]\nexchange = 'celery'",
        entries: &[
            // Declares the exchange: without it Celery drops the next, or is refused.
            (
                "declares",
                "options = { queue = 'feeds', routing_key = 'media.x' }",
            ),
            (
                "topic",
                "options = { exchange = 'media', routing_key = 'media.png.image' }",
            ),
            ("named", "options = { queue = 'named' }"),
            (
                "namedmode",
                "options = { queue = 'named', delivery_mode = 2 }",
            ),
            ("short", "options = { queue = 'short', priority = 5 }"),
            ("default", ""),
        ],
    },
    Given {
        name: "queue arguments",
        to: &[To::Amqp],
        settings: "task_queue_max_priority = 7\n\
             [task_queues.all]\nexchange = 'x'\nrouting_key = 'k'\ndurable = false\nauto_delete = true\nexpires = 60.5\nmessage_ttl = 10\n\
             max_length = 5\nmax_length_bytes = 5000000000\nmax_priority = 3\nqueue_arguments = { x-queue-mode = 'lazy', n = 1, f = 1.5, b = true }\n\
             [task_queues.bound]\nexchange = 'h'\nexchange_type = 'headers'\nbinding_arguments = { x-match = 'all', kind = 'r' }\n\
             [task_queues.celery]\nexchange = 'celery'\nexchange_arguments = { alternate-exchange = 'alt' }",
        entries: &[
            ("all", "options = { queue = 'all' }"),
            (
                "bound",
                "options = { queue = 'bound', headers = { kind = 'r' } }",
            ),
            ("default", ""),
        ],
    },
    Given {
        name: "quorum",
        to: &[To::Amqp],
        settings: "task_default_queue_type = 'quorum'\ntask_create_missing_queue_type = 'quorum'\ntask_create_missing_queue_exchange_type = 'topic'",
        entries: &[("default", ""), ("made", "options = { queue = 'm' }")],
    },
    Given {
        name: "fanout",
        to: BROKERS,
        settings: "[task_queues.fan]\nexchange = 'fan'\nexchange_type = 'fanout'\n[task_queues.celery]\nexchange = 'celery'",
        entries: &[
            ("queue", "options = { queue = 'fan' }"),
            ("key", "options = { queue = 'fan', routing_key = 'other' }"),
            (
                "exchange",
                "options = { exchange = 'fan', routing_key = 'fan' }",
            ),
        ],
    },
    Given {
        name: "Redis options",
        to: &[To::Redis],
        settings: "broker_transport_options = { global_keyprefix = 'pre:', sep = ':', priority_steps = [0, 5, 100], fanout_prefix = 'f/', deadletter_queue = 'dead' }\n\
             task_send_sent_event = true\nevent_exchange = 'ev'\n\
             [task_queues.brief]\nexchange = 'brief'\nexpires = 7200\n[task_queues.fan]\nexchange = 'fan'\nexchange_type = 'fanout'\n\
             [task_queues.celery]\nexchange = 'celery'",
        entries: &[
            ("low", "options = { priority = 4 }"),
            ("middle", "options = { priority = 5 }"),
            ("high", "options = { priority = 200 }"),
            ("brief", "options = { queue = 'brief' }"),
            ("fan", "options = { queue = 'fan' }"),
            (
                "dead",
                "options = { exchange = 'nobody', routing_key = 'reads' }",
            ),
        ],
    },
    Given {
        name: "plain body",
        to: &[To::Redis],
        settings: "broker_transport_options = { body_encoding = 'utf-8', fanout_patterns = false }",
        entries: &[
            ("json", "args = ['é\"']"),
            ("yaml", "args = ['é\"']\noptions = { serializer = 'yaml' }"),
        ],
    },
    Given {
        name: "local time",
        to: EVERYWHERE,
        settings: "enable_utc = false\ntimezone = 'Asia/Kolkata'\ntask_protocol = 1",
        entries: &[
            ("countdown", "options = { countdown = 300 }"),
            (
                "naive",
                "options = { eta = 2036-01-01T00:00:00, expires = 2036-01-02T00:00:00 }",
            ),
            (
                "aware",
                "options = { eta = 2036-01-01T00:00:00Z, expires = '2036-01-02T00:00:00+09:00' }",
            ),
            (
                "msgpack",
                "options = { eta = 2036-01-01T00:00:00Z, serializer = 'msgpack' }",
            ),
        ],
    },
    Given {
        name: "events",
        to: BROKERS,
        settings: "task_send_sent_event = true\nevent_exchange = 'other'\nevent_serializer = 'json'\ntask_serializer = 'yaml'",
        entries: &[
            ("plain", "args = ['long', 1]"),
            (
                "all",
                "options = { queue = 'q', eta = 2036-01-01T00:00:00Z, expires = 100, retries = 2, root_id = 'r', parent_id = 'p' }",
            ),
            (
                "shadow",
                "options = { shadow = 's', argsrepr = '(…)', kwargsrepr = '{…}' }",
            ),
        ],
    },
    Given {
        name: "headers",
        to: BROKERS,
        settings: "",
        entries: &[
            (
                "override",
                "options = { headers = { lang = 'rust', retries = 7, task = 'parity.other', celery_beat_task = 'x', origin = 'o' } }",
            ),
            (
                "stamps",
                "options = { stamped_headers = ['a', 'b'], a = [1, 'x'], b = { c = 1 }, headers = { stamps = { z = 1 } } }",
            ),
            (
                "types",
                "options = { headers = { i = 2147483648, n = -2147483649, f = 0.5, l = [1, 2147483648, 'x', [true]], t = { u = {} }, s = '' } }",
            ),
        ],
    },
];
