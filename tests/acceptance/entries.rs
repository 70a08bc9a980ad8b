//! What is asked for, and what the worker has to say of it.
//!
//! Together the entries use every option and every encoding. A task is called `acc.` and the name of its entry. In an
//! expectation a text that begins with `re:` is a regular expression; keys that it leaves out are not looked at.

use serde_json::{Value, json};

/// One entry.
pub struct Asked {
    /// Its name.
    pub name: &'static str,
    /// Its keys but task and schedule.
    pub keys: String,
    /// What is recorded when it is executed; nothing when the worker must throw it away.
    pub done: Option<Value>,
    /// Tasks that follow, with what is recorded of them.
    pub then: Vec<(&'static str, Value)>,
}

fn asked(name: &'static str, keys: impl Into<String>, done: Value) -> Asked {
    Asked {
        name,
        keys: keys.into(),
        done: Some(done),
        then: Vec::new(),
    }
}

impl Asked {
    fn then(mut self, task: &'static str, done: Value) -> Self {
        self.then.push((task, done));
        self
    }
}

/// Settings of both schedules, for a worker with [`queues`].
pub const SETTINGS: &str = r"
task_send_sent_event = true
task_repr_maxlevels = 2
[[task_routes]]
'acc.routed' = { queue = 'routed', priority = 6 }
[[task_routes]]
're:acc\.match' = 'matched'
[task_queues.celery]
exchange = 'celery'
[task_queues.news]
exchange = 'news'
exchange_type = 'topic'
routing_key = 'news.#'
[task_queues.fan]
exchange = 'fan'
exchange_type = 'fanout'
[task_queues.bcast]
broadcast = true
[task_queues.direct]
exchange = 'letters'
routing_key = 'post'
[task_queues.ranked]
exchange = 'ranked'
max_priority = 9
";

/// The same queues, and those that are created, as the worker defines them.
pub fn queues() -> Value {
    let created = ["routed", "matched", "made"]
        .map(|name| json!({"name": name, "exchange": name, "routing_key": name}));
    let mut all = vec![
        json!({"name": "celery", "exchange": "celery", "routing_key": "celery"}),
        json!({"name": "news", "exchange": "news", "type": "topic", "routing_key": "news.#"}),
        json!({"name": "fan", "exchange": "fan", "type": "fanout", "routing_key": "fan"}),
        json!({"name": "direct", "exchange": "letters", "routing_key": "post"}),
        json!({"name": "ranked", "exchange": "ranked", "routing_key": "ranked", "max_priority": 9}),
        json!({"broadcast": "bcast"}),
    ];
    all.extend(created);
    json!(all)
}

/// Everything that protocol 2 can say.
pub fn all() -> Vec<Asked> {
    [
        arguments(),
        encodings(),
        options(),
        times(),
        canvas(),
        routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn arguments() -> Vec<Asked> {
    vec![
        asked(
            "plain",
            "",
            json!({"args": [], "kwargs": {}, "argsrepr": "()", "kwargsrepr": "{}"}),
        ),
        asked(
            "values",
            r#"args = [1, -2.5, "é한😀\n'\"", true, [1, [2, [3]]]]
kwargs = { table = { a = { b = [] } }, big = 9223372036854775807, empty = "" }"#,
            json!({
                "args": [1, -2.5, "é한😀\n'\"", true, [1, [2, [3]]]],
                "kwargs": {"table": {"a": {"b": []}}, "big": 9_223_372_036_854_775_807_i64, "empty": ""},
                "argsrepr": "[1, -2.5, 'é한😀\n\\'\"', True, [1, [...]]]",
            }),
        ),
        asked(
            "json",
            r#"args_json = '[null, 123456789012345678901234567890, {"a": null}, -0.0, 1e400]'
kwargs_json = '{"user": null, "id": {"__type__": "uuid", "__value__": {"hex": "a3c1f5e06cde4ab0a3c1f5e06cde4ab0"}}}'"#,
            json!({"python": "([None, 123456789012345678901234567890, {'a': None}, -0.0, inf], \
                {'user': None, 'id': UUID('a3c1f5e0-6cde-4ab0-a3c1-f5e06cde4ab0')})"}),
        ),
        asked(
            "floats",
            "args = [nan, inf, -inf, 1e16, 5e-324]",
            json!({"python": "([nan, inf, -inf, 1e+16, 5e-324], {})"}),
        ),
        asked(
            "datetimes",
            "args = [2026-01-02T03:04:05+09:00, 2026-01-02T03:04:05.5, 2026-01-02]",
            json!({"python": "([datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone(datetime.timedelta(seconds=32400))), \
                datetime.datetime(2026, 1, 2, 3, 4, 5, 500000), datetime.date(2026, 1, 2)], {})"}),
        ),
        asked(
            "placeholders",
            "timezone = 'Asia/Seoul'\nargs = ['{fire_time}', 'on {fire_time:%Y-%m-%d}', '{entry}', '{last_fire_time}', 'after {last_fire_time}', 'Hi {{ user }}', '{entry}{{}}']\n\
             kwargs = { k = ['{entry}'] }\noptions = { headers = { who = 'by {entry}' } }",
            json!({
                "args": ["its fire time", "its day", "placeholders", null, "after ", "Hi {{ user }}", "placeholders{}"],
                "kwargs": {"k": ["placeholders"]},
                "headers": {"who": "by placeholders"},
            }),
        ),
    ]
}

fn encodings() -> Vec<Asked> {
    let keys = |options: &str| {
        format!("args = ['é', [1, 2.5, true]]\nkwargs = {{ k = 'v' }}\noptions = {{ {options} }}")
    };
    let done = || json!({"args": ["é", [1, 2.5, true]], "kwargs": {"k": "v"}});
    [
        ("msgpack", "serializer = 'msgpack'"),
        ("yaml", "serializer = 'yaml'"),
        ("gzip", "compression = 'gzip'"),
        ("zlib", "compression = 'zlib', serializer = 'msgpack'"),
        ("bzip2", "compression = 'bzip2'"),
        ("lzma", "compression = 'lzma', serializer = 'yaml'"),
        ("brotli", "compression = 'brotli'"),
        ("zstd", "compression = 'zstd'"),
    ]
    .map(|(name, options)| asked(name, keys(options), done()))
    .into()
}

fn options() -> Vec<Asked> {
    vec![
        asked(
            "limits",
            "options = { time_limit = 20, soft_time_limit = 10.5 }",
            json!({"timelimit": [20, 10.5]}),
        ),
        asked(
            "ids",
            "options = { group_id = 'g', group_index = 3, root_id = 'r', parent_id = 'p', correlation_id = 'c', reply_to = 'answers' }",
            json!({"group": "g", "group_index": 3, "root_id": "r", "parent_id": "p", "correlation_id": "c", "reply_to": "answers"}),
        ),
        asked(
            "shown",
            "args = ['secret']\noptions = { shadow = 'seen', argsrepr = '(…)', kwargsrepr = '{…}', origin = 'elsewhere', ignore_result = true, retries = 2 }",
            json!({"args": ["secret"], "shadow": "seen", "argsrepr": "(…)", "kwargsrepr": "{…}", "origin": "elsewhere",
                "ignore_result": true, "retries": 2}),
        ),
        asked(
            "headers",
            "options = { headers = { text = 't', number = 2147483648, list = [1, 'x'], table = { a = true } } }",
            json!({"headers": {"text": "t", "number": 2_147_483_648_i64, "list": [1, "x"], "table": {"a": true}}}),
        ),
        asked(
            "stamped",
            "options = { stamped_headers = ['visit', 'tags'], visit = 'v1', tags = ['a', 'b'] }",
            json!({"stamped_headers": ["visit", "tags"], "stamps": {"visit": "v1", "tags": ["a", "b"]}}),
        ),
        asked(
            "properties",
            "options = { delivery_mode = 'transient', message_id = 'm', app_id = 'a', type = 't', timestamp = 1234567890, user_id = 'guest', cluster_id = 'cl' }",
            json!({"properties": {"delivery_mode": 1, "message_id": "m", "app_id": "a", "type": "t", "user_id": "guest", "cluster_id": "cl"}}),
        ),
        asked(
            "retried",
            "options = { mandatory = true, retry = true, retry_policy = { max_retries = 5, interval_start = 0.1, interval_step = 0.1, interval_max = 1 } }",
            json!({"args": []}),
        ),
    ]
}

fn times() -> Vec<Asked> {
    let mut expired = asked(
        "expired",
        "options = { expires = '2020-01-01T00:00:00+00:00' }",
        json!({}),
    );
    expired.done = None;
    vec![
        expired,
        asked(
            "expires",
            "options = { expires = 600 }",
            json!({"expires": r"re:^20\d\d-.*\+00:00$"}),
        ),
        asked(
            "until",
            "options = { expires = 2036-05-06T07:08:09Z }",
            json!({"expires": "2036-05-06T07:08:09+00:00"}),
        ),
        asked(
            "auto",
            "options = { expires = 'auto' }",
            json!({"expires": r"the next fire time"}),
        ),
        asked(
            "countdown",
            "options = { countdown = 1.5 }",
            json!({"eta": r"re:^20\d\d-.*\+00:00$"}),
        ),
        asked(
            "eta",
            "options = { eta = 2026-01-02T03:04:05+09:00 }",
            json!({"eta": "2026-01-02T03:04:05+09:00"}),
        ),
        asked(
            "etatext",
            "options = { eta = '2026-01-02T03:04:05Z' }",
            json!({"eta": "2026-01-02T03:04:05Z"}),
        ),
    ]
}

fn canvas() -> Vec<Asked> {
    let step = |args: Value| json!({"args": args});
    vec![
        asked("link", "args = [1]\noptions = { link = { task = 'acc.linked', args = [2], kwargs = { k = 3 } } }", json!({"args": [1]}))
            .then("acc.linked", json!({"args": [[1], 2], "kwargs": {"k": 3}})),
        asked(
            "links",
            "args = [1]\noptions = { link = [{ task = 'acc.linka', immutable = true }, { task = 'acc.linkb', args_json = '[null]', options = { queue = 'made' } }] }",
            json!({"args": [1]}),
        )
        .then("acc.linka", step(json!([])))
        .then("acc.linkb", json!({"args": [[1], null], "delivery_info": {"routing_key": "made"}})),
        asked("fails", "kwargs = { fail = 'on purpose' }\noptions = { link_error = { task = 'acc.failed' } }", json!({}))
            .then("acc.failed", step(json!(["re:^[0-9a-f-]{36}$"]))),
        // A worker takes the last of the chain first.
        asked(
            "chain",
            "args = [0]\noptions = { chain = [{ task = 'acc.chain2', args = [2] }, { task = 'acc.chain1', args = [1] }] }",
            json!({"args": [0]}),
        )
        .then("acc.chain1", step(json!([[0], 1])))
        .then("acc.chain2", step(json!([[[0], 1], 2]))),
        asked(
            "chord",
            "args = [7]\noptions = { group_id = 'acc-chord', group_index = 0, chord = { task = 'acc.chordbody' } }",
            json!({"args": [7], "group": "acc-chord"}),
        )
        .then("acc.chordbody", step(json!([[[7]]]))),
        asked(
            "canvas",
            "options = { link = [\
             { group = [{ task = 'acc.groupa', immutable = true }, { task = 'acc.groupb', immutable = true }] }, \
             { chain = [{ task = 'acc.step1', immutable = true }, { task = 'acc.step2' }] }, \
             { chord = { header = [{ task = 'acc.heada', args = [1], immutable = true }, { task = 'acc.headb', args = [2], immutable = true }], body = { task = 'acc.body' } } }] }",
            json!({"args": []}),
        )
        .then("acc.groupa", step(json!([])))
        .then("acc.groupb", step(json!([])))
        .then("acc.step1", step(json!([])))
        .then("acc.step2", step(json!([[]])))
        .then("acc.heada", step(json!([1])))
        .then("acc.headb", step(json!([2])))
        .then("acc.body", step(json!([[[1], [2]]]))),
    ]
}

fn routes() -> Vec<Asked> {
    let to = |exchange: &str, key: &str| json!({"delivery_info": {"exchange": exchange, "routing_key": key}});
    vec![
        asked(
            "routed",
            "",
            json!({"delivery_info": {"routing_key": "routed", "priority": 6}}),
        ),
        asked("match", "", to("", "matched")),
        asked("created", "options = { queue = 'made' }", to("", "made")),
        asked(
            "ranked",
            "options = { queue = 'ranked', priority = 9 }",
            json!({"delivery_info": {"routing_key": "ranked", "priority": 9}}),
        ),
        asked(
            "topic",
            "options = { exchange = 'news', routing_key = 'news.sport.live' }",
            to("news", "news.sport.live"),
        ),
        asked(
            "topicqueue",
            "options = { queue = 'news', routing_key = 'news.local' }",
            to("news", "news.local"),
        ),
        asked(
            "letters",
            "options = { exchange = 'letters', routing_key = 'post' }",
            to("letters", "post"),
        ),
        asked(
            "fanout",
            "options = { queue = 'fan' }",
            json!({"delivery_info": {"exchange": "fan"}}),
        ),
        asked(
            "broadcast",
            "options = { queue = 'bcast' }",
            json!({"delivery_info": {"exchange": "bcast"}}),
        ),
    ]
}

/// What protocol 1 can say.
pub fn protocol1() -> Vec<Asked> {
    vec![
        asked(
            "v1",
            "args = [1, 'é']\nkwargs = { k = [] }\noptions = { time_limit = 20, soft_time_limit = 10, retries = 1, headers = { h = 'x' } }",
            json!({"args": [1, "é"], "kwargs": {"k": []}, "timelimit": [20, 10], "retries": 1}),
        ),
        asked(
            "v1msgpack",
            "args = ['{entry}']\noptions = { serializer = 'msgpack', compression = 'bzip2', eta = 2026-01-02T03:04:05Z }",
            json!({"args": ["v1msgpack"], "eta": "2026-01-02T03:04:05+00:00"}),
        ),
        asked(
            "v1link",
            "args = [1]\noptions = { link = { task = 'acc.v1linked' }, expires = 600 }",
            json!({"args": [1]}),
        )
        .then("acc.v1linked", json!({"args": [[1]]})),
    ]
}
