//! Celery's wire: what is published for an entry, byte for byte as Celery 5.7's beat would.
//!
//! A [`Template`] is compiled once, when the schedule is loaded: routing, serialisation,
//! representation and compression are done there, and everything Celery would drop in silence is
//! an [`Invalid`] there. [`Template::render_envelope`] (Redis, folders) and
//! [`Template::render_amqp`] only fill in what differs between fires: ids, times, placeholders.
//!
//! Pure: no I/O, no clock, no broker client; may use `clock` and `schedule`.
//!
//! | file | holds |
//! |---|---|
//! | `value` | [`Value`]: data as Python would hold it, in the order of the file |
//! | `json`, `msgpack`, `yaml`, `number`, `moment` | its texts, as Python writes them |
//! | `saferepr` | Celery's shortened `repr` of args and kwargs |
//! | `encoding` | [`Serializer`], [`Compression`] and their names in kombu |
//! | `options` | [`Options`]: what `apply_async` takes, checked |
//! | `signature` | canvas in `link`, `link_error`, `chain`, `chord` |
//! | `queue`, `routes`, `routing` | declarations, `task_routes`, and the [`Route`] they lead to |
//! | `conventions` | the settings that change bytes |
//! | `template` | [`Template`], [`Fire`] and the two renderings |
//! | `amqp`, `redis` | neutral forms of what each broker is told |
//! | `identity` | task ids |

mod amqp;
mod check;
mod compress;
mod conventions;
mod encoding;
mod identity;
mod invalid;
mod json;
mod moment;
mod msgpack;
mod number;
mod objects;
mod options;
mod queue;
mod redis;
mod routes;
mod routing;
mod saferepr;
mod signature;
mod template;
mod value;
mod yaml;

pub use amqp::{AmqpDeclaration, AmqpMessage, AmqpProperties, Field};
pub use conventions::{
    Conventions, EventConventions, Identity, Protocol, RedisConventions, RetryPolicy, Transport,
};
pub use encoding::{Compression, Serializer};
pub use identity::{TaskIds, task_id, trigger_task_id};
pub use invalid::Invalid;
pub use options::{OPTION_NAMES, Options};
pub use queue::{DeliveryMode, Exchange, ExchangeKind, Queue, QueueType};
pub use redis::{REFRESH_BINDING, RedisDeclaration, RedisDestination, RedisExpiry};
pub use routes::Routes;
pub use routing::{Route, Routing, RoutingSettings};
pub use saferepr::{BUDGET as REPR_BUDGET, args_repr, kwargs_repr};
pub use template::{Fire, Interner, Job, Template};
pub use value::Value;
