//! Publishes to Redis in Kombu's layout.
//!
//! - [`switchboard`]: where messages go: declares queues, looks bindings up;
//! - [`mail`]: the rendered messages of a batch and what each does to the server;
//! - [`publisher`]: publishes alone, for a store elsewhere;
//! - [`probe`]: whether store and broker are one server;
//! - [`dispatcher`]: one transaction or script for both while they are, else publish and record;
//! - [`batch`]: what is committed by scripts.
//!
//! What the users of an ACL need, with `global_keyprefix` before the broker's keys and channels:
//!
//! | link | commands | keys and channels |
//! |---|---|---|
//! | broker | `SELECT ROLE EXISTS` | `<state_key_prefix>*` (the probe) |
//! | | `SADD SMEMBERS MULTI EXEC` | `_kombu.binding*` |
//! | | `EVALSHA SCRIPT|LOAD ZADD TIME`, for queues with `x-expires` | `_kombu.binding*` |
//! | | `LPUSH PEXPIRE PUBLISH TYPE`, while not atomic | queues, fanout and event channels |
//! | store | `SELECT ROLE GET SET EVALSHA SCRIPT|LOAD TYPE EXISTS HMGET HGET HSET HDEL HEXISTS HSCAN INCR PEXPIRE DEL TIME PUBLISH SUBSCRIBE WAIT` | `<state_key_prefix>*` |
//! | | `LPUSH PEXPIRE PUBLISH`, while atomic | queues, fanout and event channels |
//! | | `MULTI EXEC EVAL LTRIM LINDEX`, while atomic, for twice the speed | `<state_key_prefix>*`, queues |

pub mod batch;
pub mod dispatcher;
pub mod mail;
pub mod probe;
pub mod publisher;
pub mod switchboard;

pub use dispatcher::RedisDispatcher;
pub use publisher::RedisPublisher;
pub use switchboard::Switchboard;
