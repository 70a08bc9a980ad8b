//! What rendering a message costs, and what a compiled one weighs.

use beat::clock::Timestamp;
use beat::message::{
    Conventions, Fire, Identity, Interner, Job, Options, Routing, RoutingSettings, Template,
    Transport, Value,
};
use beat::schedule::Zone;
use divan::{Bencher, counter::ItemsCount};
use uuid::Uuid;

/// Counts what compiled templates keep.
#[global_allocator]
static ALLOC: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

fn conventions(transport: Transport) -> Conventions {
    let mut conventions = Conventions::new(Identity {
        pid: 4_242,
        hostname: "scheduler-0".to_owned(),
        reply_to: Uuid::nil(),
        utcoffset_hours: 0.0,
    });
    conventions.transport = transport;
    conventions
}

fn fire() -> Fire {
    Fire {
        fire_time: Timestamp::from_micros(1_795_163_880_000_000),
        last_fire_time: None,
        next_fire_time: None,
        now: Timestamp::from_micros(1_795_163_880_001_234),
        task_id: Uuid::from_u128(0x1234_5678),
        delivery_tag: Uuid::from_u128(0x8765_4321),
    }
}

/// Name, arguments and options of the kinds of entries that are compared.
const KINDS: &[(&str, &str, &str)] = &[
    ("plain", "[]", "{}"),
    ("args", r#"[16, "sixteen", {"a": [1.5, null]}]"#, "{}"),
    (
        "times",
        "[16, 16]",
        r#"{"countdown": 30, "expires": 3600, "priority": 5}"#,
    ),
    ("placeholders", r#"["{fire_time:%Y-%m-%d}"]"#, "{}"),
];

fn compile(
    number: usize,
    kind: &str,
    conventions: &Conventions,
    routing: &Routing,
    interner: &mut Interner,
) -> Option<Template> {
    let (_, args, options) = KINDS.iter().find(|(name, ..)| *name == kind)?;
    let Ok(Value::List(args)) = Value::from_json_text(args) else {
        return None;
    };
    let Ok(Value::Dict(options)) = Value::from_json_text(options) else {
        return None;
    };
    let options = Options::from_pairs(options).ok()?;
    let name = format!("entry-{number}");
    let job = Job {
        entry: &name,
        task: "project.tasks.refresh",
        args: &args,
        kwargs: &[],
        options: &options,
        zone: &Zone::utc(),
    };
    Template::compile(&job, routing, conventions, interner).ok()
}

fn single(kind: &str, transport: Transport) -> Option<Template> {
    let routing = Routing::new(RoutingSettings::default());
    compile(
        1,
        kind,
        &conventions(transport),
        &routing,
        &mut Interner::default(),
    )
}

#[divan::bench(args = KINDS.iter().map(|(name, ..)| *name))]
fn render_envelope(bencher: Bencher, kind: &str) {
    let template = single(kind, Transport::Redis);
    let fire = fire();
    let mut out = Vec::with_capacity(4_096);
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
        out.clear();
        if let Some(template) = &template {
            template.render_envelope(divan::black_box(&fire), &mut out);
        }
        out.len()
    });
}

#[divan::bench(args = KINDS.iter().map(|(name, ..)| *name))]
fn render_amqp(bencher: Bencher, kind: &str) {
    let template = single(kind, Transport::Amqp);
    let fire = fire();
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
        template
            .as_ref()
            .and_then(|template| template.render_amqp(divan::black_box(&fire)))
    });
}

/// The "grow" column over the number of items is what one template weighs.
#[divan::bench(args = ["plain", "args"], sample_count = 5, sample_size = 1)]
fn compile_10_000(bencher: Bencher, kind: &str) {
    let conventions = conventions(Transport::Redis);
    let routing = Routing::new(RoutingSettings::default());
    bencher
        .counter(ItemsCount::new(10_000_u32))
        .bench_local(|| {
            let mut interner = Interner::default();
            (0..10_000)
                .filter_map(|number| compile(number, kind, &conventions, &routing, &mut interner))
                .collect::<Vec<_>>()
        });
}
