//! Publishes to RabbitMQ, with confirms.
//!
//! | file | holds |
//! |---|---|
//! | `publisher` | [`AmqpPublisher`]: one link at a time, dialled anew after any doubt |
//! | `dial`, `tls` | from the configured nodes to a connection |
//! | `link` | one connection: what is declared, what is on its way, whether it is blocked |
//! | `letter` | a message with what it needs; what was learned of entries and queues |
//! | `post` | one batch: publish all, then collect the confirms |
//! | `notices` | `task-sent` events |
//! | `topology` | declarations, as kombu makes them |
//! | `encode` | neutral messages in the client library's types |
//!
//! Every message is published with `mandatory`, apart from broadcasts, which may have nobody to
//! listen: a message that no queue takes comes back, its queue is declared again and it is sent
//! again. A worker cannot see that flag.
//!
//! A message that the broker refuses closes the channel it came on, and with it every confirm that
//! is still awaited there. So whatever may be refused (an exchange that this connection has not
//! declared, an entry that was among the unconfirmed when a channel was closed) is published alone,
//! on a channel of its own, until it is confirmed.
//!
//! The only place that names lapin.

mod dial;
mod encode;
mod letter;
mod link;
mod notices;
mod post;
mod publisher;
mod tls;
mod topology;

pub use publisher::AmqpPublisher;
