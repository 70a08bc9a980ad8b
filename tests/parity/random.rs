//! Schedules made up from a seed, of everything that both publishers can say.

use std::fmt::Write;

use super::{Case, To};

const ENTRIES: usize = 40;
/// Characters that some encoding or representation treats apart.
const CHARACTERS: &[char] = &[
    'a', 'b', 'Z', '0', '7', ' ', ' ', '\'', '"', '\\', '\n', '\r', '\t', '\u{1}', '\u{7f}', '/',
    '<', '&', ':', '#', '-', '?', '%', ',', '[', '{', '!', '|', '\u{85}', '\u{a0}', 'é', 'ß', '한',
    '\u{2028}', '\u{feff}', '😀', '~', 'y', 'n',
];
const WORDS: &[&str] = &[
    "",
    "null",
    "true",
    "No",
    "1",
    "1.5",
    "1e3",
    "0x1f",
    "~",
    "2026-01-01",
    "=",
    "<<",
    "- a",
    "a: b",
    "nan",
    ".inf",
    "1_000",
    "12:30:45",
];

/// The generator `SplitMix64`.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.roll() % limit as u64).unwrap()
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

/// What a value may hold.
#[derive(Clone, Copy)]
struct Limits {
    /// Datetimes.
    times: bool,
    /// Dates.
    dates: bool,
    /// NaN and infinities.
    non_finite: bool,
    /// Short strings: an AMQP header has no room for more in its frame.
    short: bool,
}

/// The schedule of `seed`.
pub(super) fn case(seed: u64, to: To) -> Case {
    let mut dice = Dice(seed);
    let mut settings = String::new();
    let protocol1 = dice.one_in(4);
    if protocol1 {
        settings += "task_protocol = 1\n";
    }
    let default = dice.pick(&["json", "json", "yaml", "msgpack"]);
    writeln!(settings, "task_serializer = '{default}'").unwrap();
    for (chance, line) in [
        (4, "task_compression = 'bzip2'"),
        (3, "timezone = 'Asia/Kolkata'"),
        (4, "timezone = 'America/New_York'\nenable_utc = false"),
        (3, "task_default_queue = 'other'"),
        (3, "task_default_delivery_mode = 'transient'"),
        (3, "task_repr_maxlevels = 5"),
        (2, "task_send_sent_event = true"),
        (3, "task_queue_max_priority = 9"),
        (
            2,
            "task_routes = { 'parity.e1*' = { queue = 'routed', priority = 4, delivery_mode = 1 } }",
        ),
        (
            4,
            "task_default_exchange = 'x'\ntask_default_routing_key = 'k'",
        ),
    ] {
        let key = line.split(' ').next().unwrap();
        if dice.one_in(chance) && !settings.contains(key) {
            writeln!(settings, "{line}").unwrap();
        }
    }
    let entries = (0..ENTRIES).map(|number| {
        let body = entry(&mut dice, to, default, protocol1);
        (format!("e{number}"), body)
    });
    let entries = entries.collect();
    Case { settings, entries }
}

fn entry(dice: &mut Dice, to: To, default: &str, protocol1: bool) -> String {
    let serializer = match dice.below(6) {
        0 => Some("yaml"),
        1 => Some("msgpack"),
        2 => Some("json"),
        _ => None,
    };
    let encoding = serializer.unwrap_or(default);
    let limits = Limits {
        times: encoding != "msgpack",
        dates: true,
        non_finite: true,
        short: false,
    };
    let mut out = String::new();
    if dice.one_in(8) && encoding != "msgpack" {
        out += "args_json = '[null, 123456789012345678901234567890, -18446744073709551616, {\"a\": [null, 1.0e5]}, 1e400]'\n";
    } else {
        writeln!(out, "args = {}", array(dice, limits, 3)).unwrap();
    }
    writeln!(out, "kwargs = {}", table(dice, limits, 3)).unwrap();
    let mut options = Vec::new();
    if let Some(name) = serializer {
        options.push(format!("serializer = '{name}'"));
    }
    let compression = dice.pick(&["gzip", "zlib", "bzip2", "lzma", "brotli", "zstd"]);
    let headers = Limits {
        times: to == To::Amqp,
        dates: false,
        non_finite: to != To::Amqp,
        short: true,
    };
    let choices = [
        (
            3,
            format!(
                "queue = '{}'",
                dice.pick(&["q1", "q2", "q.3", if to == To::Folder { "q4" } else { "ü" }])
            ),
        ),
        (3, format!("priority = {}", dice.below(256))),
        (
            3,
            format!(
                "expires = {}",
                dice.pick(&[
                    "100",
                    "1500.25",
                    "0",
                    "2036-05-06T07:08:09.123456+02:00",
                    "2036-05-06T07:08:09",
                    "'2036-05-06T07:08:09Z'"
                ])
            ),
        ),
        (
            4,
            format!("countdown = {}", dice.pick(&["100", "0", "1234.5", "0.0"])),
        ),
        (
            6,
            format!(
                "eta = {}",
                dice.pick(&[
                    "2036-05-06T07:08:09Z",
                    "2036-05-06T07:08:09.5",
                    "'2036-05-06T07:08:09.000001-03:30'"
                ])
            ),
        ),
        (4, format!("headers = {}", table(dice, headers, 2))),
        (4, format!("compression = '{compression}'")),
        (5, format!("time_limit = {}", dice.pick(&["10", "2.5"]))),
        (5, format!("soft_time_limit = {}", dice.pick(&["9", "1.0"]))),
        (6, format!("shadow = {}", text(dice, true))),
        (5, format!("ignore_result = {}", dice.one_in(2))),
        (6, "reply_to = 'answers'".to_owned()),
        (5, format!("link = {}", signatures(dice, limits))),
        (6, format!("link_error = {}", signatures(dice, limits))),
        (
            6,
            format!(
                "chain = [{}, {}]",
                signature(dice, limits),
                signature(dice, limits)
            ),
        ),
        (8, format!("chord = {}", signature(dice, limits))),
        (
            5,
            format!(
                "delivery_mode = {}",
                dice.pick(&["1", "2", "'transient'", "'persistent'"])
            ),
        ),
        (8, "mandatory = true".to_owned()),
        (6, "retry = false".to_owned()),
        (
            6,
            "retry_policy = { max_retries = 5, interval_start = 0.5 }".to_owned(),
        ),
        (6, format!("retries = {}", dice.below(10))),
        (8, "origin = 'elsewhere'".to_owned()),
        (8, format!("argsrepr = {}", text(dice, true))),
        (8, format!("kwargsrepr = {}", text(dice, true))),
        (6, "group_id = 'g'".to_owned()),
        (6, format!("group_index = {}", dice.below(5))),
        (6, "root_id = 'root'".to_owned()),
        (6, "parent_id = 'parent'".to_owned()),
        (8, "correlation_id = 'c'".to_owned()),
        (6, "message_id = 'm'".to_owned()),
        (6, "app_id = 'a'".to_owned()),
        (6, "type = 't'".to_owned()),
        (6, format!("timestamp = {}", dice.below(1 << 40))),
        (8, "user_id = 'guest'".to_owned()),
        (8, "cluster_id = 'cl'".to_owned()),
        (
            6,
            format!(
                "stamped_headers = ['s1', 's2']\ns1 = {}\ns2 = ['x', 1]",
                text(dice, true)
            ),
        ),
    ];
    for (chance, line) in choices {
        // Celery takes the chain for the present moment, or leaves it out.
        if dice.one_in(chance) && !(protocol1 && line.starts_with("chain")) {
            options.push(line);
        }
    }
    out += "[beat_schedule.NAME.options]\n";
    out + &options.join("\n")
}

fn signatures(dice: &mut Dice, limits: Limits) -> String {
    match dice.below(5) {
        0 => format!("[{}, {}]", signature(dice, limits), signature(dice, limits)),
        1 => format!(
            "{{ group = [{}, {}] }}",
            signature(dice, limits),
            signature(dice, limits)
        ),
        2 => format!(
            "{{ chain = [{}, {}] }}",
            signature(dice, limits),
            signature(dice, limits)
        ),
        3 => {
            let [first, second, body] = [(); 3].map(|()| signature(dice, limits));
            format!("{{ chord = {{ header = [{first}, {second}], body = {body} }} }}")
        }
        _ => signature(dice, limits),
    }
}

fn signature(dice: &mut Dice, limits: Limits) -> String {
    let args = array(dice, limits, 1);
    match dice.below(3) {
        0 => "{ task = 'done' }".to_owned(),
        1 => format!("{{ task = 'done', args = {args}, immutable = true }}"),
        _ => format!(
            "{{ task = 'done', kwargs = {}, options = {{ queue = 'q9' }} }}",
            table(dice, limits, 1)
        ),
    }
}

fn array(dice: &mut Dice, limits: Limits, depth: usize) -> String {
    let items: Vec<String> = (0..dice.below(5))
        .map(|_| value(dice, limits, depth))
        .collect();
    format!("[{}]", items.join(", "))
}

fn table(dice: &mut Dice, limits: Limits, depth: usize) -> String {
    let pairs: Vec<String> = (0..dice.below(5))
        .map(|number| {
            format!(
                "k{number}{} = {}",
                dice.pick(&["", "_x", "-y"]),
                value(dice, limits, depth)
            )
        })
        .collect();
    format!("{{ {} }}", pairs.join(", "))
}

fn value(dice: &mut Dice, limits: Limits, depth: usize) -> String {
    match dice.below(if depth > 0 { 9 } else { 7 }) {
        0 => dice
            .pick(&[
                "0",
                "-1",
                "7",
                "255",
                "65536",
                "2147483647",
                "2147483648",
                "-2147483648",
                "-2147483649",
                "9223372036854775807",
                "-9223372036854775808",
            ])
            .to_owned(),
        1 if limits.non_finite && dice.one_in(3) => dice.pick(&["nan", "inf", "-inf"]).to_owned(),
        1 => dice
            .pick(&[
                "0.1",
                "1e16",
                "1e15",
                "123456789012345680.0",
                "1e-4",
                "1e-5",
                "5e-324",
                "-0.0",
                "1.7976931348623157e308",
                "1e22",
                "3.0",
                "2.5e-8",
            ])
            .to_owned(),
        2 => dice.pick(&["true", "false"]).to_owned(),
        3 if limits.times && limits.dates && dice.one_in(4) => "2026-01-02".to_owned(),
        3 if limits.times => dice
            .pick(&[
                "2026-01-02T03:04:05Z",
                "2026-01-02T03:04:05.5+05:30",
                "2026-01-02T03:04:05.000001",
            ])
            .to_owned(),
        4 => format!("'{}'", dice.pick(WORDS)),
        7 => array(dice, limits, depth - 1),
        8 => table(dice, limits, depth - 1),
        _ => text(dice, limits.short),
    }
}

/// A basic string of TOML.
fn text(dice: &mut Dice, short: bool) -> String {
    let length = match dice.below(12) {
        0 if !short => 900 + dice.below(300),
        1 if !short => dice.below(200),
        _ => dice.below(12),
    };
    let mut out = String::from("\"");
    for _ in 0..length {
        match CHARACTERS[dice.below(CHARACTERS.len())] {
            quoted @ ('"' | '\\') => out.extend(['\\', quoted]),
            control if control.is_control() => {
                write!(out, "\\u{:04x}", u32::from(control)).unwrap();
            }
            plain => out.push(plain),
        }
    }
    out + "\""
}
