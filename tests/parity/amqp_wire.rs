//! What a client tells RabbitMQ, recorded on the way and read frame by frame.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};

/// The bytes of one connection.
type Record = Arc<Mutex<Vec<u8>>>;

/// Passes connections on and keeps what clients send, one record for each connection.
pub struct Recorder {
    port: u16,
    records: Arc<Mutex<Vec<Record>>>,
}

impl Recorder {
    /// Before the server at `upstream` on 127.0.0.1; lasts as long as the process.
    pub fn start(upstream: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let records = Arc::<Mutex<Vec<_>>>::default();
        let all = Arc::clone(&records);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let record = Record::default();
                all.lock().unwrap().push(Arc::clone(&record));
                let server = TcpStream::connect(("127.0.0.1", upstream)).unwrap();
                let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || pump(back.0, back.1, None));
                std::thread::spawn(move || pump(client, server, Some(&record)));
            }
        });
        Self { port, records }
    }

    /// The port that clients connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What was published and declared so far.
    pub fn told(&self) -> Told {
        let mut told = Told::default();
        for record in &*self.records.lock().unwrap() {
            told.read(&record.lock().unwrap());
        }
        told
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, record: Option<&Mutex<Vec<u8>>>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if let Some(record) = record {
            record.lock().unwrap().extend(&buffer[..count]);
        }
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    to.shutdown(Shutdown::Both).ok();
}

/// The publishes, and the declarations as sent, each once.
#[derive(Default)]
pub struct Told {
    pub messages: Vec<Published>,
    pub declarations: Vec<Value>,
}

/// One `basic.publish` with its content.
pub struct Published {
    /// Exchange, routing key and properties; field tables as `{key: [type, value]}`.
    pub envelope: Value,
    pub body: Vec<u8>,
}

impl Told {
    fn read(&mut self, bytes: &[u8]) {
        // The protocol header `AMQP0091` comes before the first frame.
        let mut rest = Reader(bytes.get(8..).unwrap_or_default());
        while rest.0.len() > 7 {
            let kind = rest.u8();
            rest.u16();
            let size = usize::try_from(rest.u32()).unwrap();
            if rest.0.len() <= size {
                return;
            }
            let mut payload = Reader(rest.take(size));
            assert_eq!(rest.u8(), 0xce, "a frame ends with its mark");
            match kind {
                1 => self.method(&mut payload),
                2 => {
                    payload.take(12);
                    let properties = properties(&mut payload);
                    self.messages.last_mut().unwrap().envelope["properties"] = properties;
                }
                3 => self.messages.last_mut().unwrap().body.extend(payload.0),
                _ => {}
            }
        }
    }

    fn method(&mut self, from: &mut Reader<'_>) {
        let method = (from.u16(), from.u16());
        let declaration = match method {
            (60, 40) => {
                from.u16();
                // The flag `mandatory` is left out: `beat` always asks for what cannot be routed.
                let envelope = json!({"exchange": from.short(), "routing_key": from.short()});
                self.messages.push(Published {
                    envelope,
                    body: Vec::new(),
                });
                return;
            }
            (40, 10) => {
                from.u16();
                json!([
                    "exchange.declare",
                    from.short(),
                    from.short(),
                    from.u8(),
                    from.table()
                ])
            }
            (50, 10) => {
                from.u16();
                json!(["queue.declare", from.short(), from.u8(), from.table()])
            }
            (50, 20) => {
                from.u16();
                json!([
                    "queue.bind",
                    from.short(),
                    from.short(),
                    from.short(),
                    from.u8(),
                    from.table()
                ])
            }
            _ => return,
        };
        if !self.declarations.contains(&declaration) {
            self.declarations.push(declaration);
        }
    }
}

/// The properties in the order of their flags, from the highest bit.
fn properties(from: &mut Reader<'_>) -> Value {
    const NAMES: [&str; 14] = [
        "content_type",
        "content_encoding",
        "headers",
        "delivery_mode",
        "priority",
        "correlation_id",
        "reply_to",
        "expiration",
        "message_id",
        "timestamp",
        "type",
        "user_id",
        "app_id",
        "cluster_id",
    ];
    let flags = from.u16();
    let mut found = Map::new();
    for (place, name) in NAMES.into_iter().enumerate() {
        if flags & (0x8000 >> place) == 0 {
            continue;
        }
        let value = match name {
            "headers" => from.table(),
            "delivery_mode" | "priority" => json!(from.u8()),
            "timestamp" => json!(from.u64()),
            _ => json!(from.short()),
        };
        found.insert(name.to_owned(), value);
    }
    Value::Object(found)
}

/// Reads AMQP's encoding; a recording that is cut short panics.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        self.take(N).try_into().unwrap()
    }

    fn u8(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }

    fn short(&mut self) -> String {
        let size = self.u8().into();
        String::from_utf8(self.take(size).to_vec()).unwrap()
    }

    fn long(&mut self) -> &'a [u8] {
        let size = usize::try_from(self.u32()).unwrap();
        self.take(size)
    }

    fn table(&mut self) -> Value {
        let mut inner = Reader(self.long());
        let mut found = Map::new();
        while !inner.0.is_empty() {
            let key = inner.short();
            found.insert(key, inner.field());
        }
        // The order has no meaning in AMQP, and the two client libraries differ in it.
        found.sort_keys();
        Value::Object(found)
    }

    fn field(&mut self) -> Value {
        let kind = char::from(self.u8());
        let value = match kind {
            'V' => Value::Null,
            't' => json!(self.u8()),
            'I' => json!(i32::from_be_bytes(self.array())),
            'l' | 'L' => json!(i64::from_be_bytes(self.array())),
            // A float as its bits: not every one is a JSON number.
            'T' | 'd' => json!(self.u64()),
            'S' => json!(String::from_utf8(self.long().to_vec()).unwrap()),
            'F' => self.table(),
            'A' => {
                let mut inner = Reader(self.long());
                let mut items = Vec::new();
                while !inner.0.is_empty() {
                    items.push(inner.field());
                }
                json!(items)
            }
            other => panic!("field type {other:?}"),
        };
        // Both letters mean 64 bits to RabbitMQ; which one is a matter of the client library.
        json!([if kind == 'l' { 'L' } else { kind }, value])
    }
}
