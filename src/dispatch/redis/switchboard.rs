//! Where messages go now: declares queues, looks bindings up.
//!
//! Kombu keeps the bindings of an exchange in a set; who publishes to a direct or topic exchange
//! reads it each time. Here it is read at most once a second, before the messages are committed.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use redis::{RedisResult, Script};

use crate::clock::monotonic_millis;
use crate::message::{
    Queue, REFRESH_BINDING, RedisConventions, RedisDeclaration, RedisDestination, RedisExpiry,
    Route, Template,
};
use crate::plan::Rejection;
use crate::store::redis::{Link, LinkError};

static REFRESH: LazyLock<Script> = LazyLock::new(|| Script::new(REFRESH_BINDING));

/// How long bindings that were read are believed, in milliseconds.
const FRESH: i64 = 1_000;
/// How long what nobody asks for any more is kept, in milliseconds.
const KEPT: i64 = 60_000;

/// What one message does to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// `LPUSH key message`.
    Push(String),
    /// `PUBLISH channel message`.
    Publish(String),
    /// `PEXPIRE key milliseconds`.
    Expire(String, String),
}

/// What delivers one message, or why nothing does.
pub type Address = Result<Arc<[Step]>, Rejection>;

/// Knows the queues of one broker, as one connection has seen them.
#[derive(Debug)]
pub struct Switchboard {
    link: Link,
    conventions: RedisConventions,
    /// Number of the connection that the rest belongs to.
    connection: u64,
    declared: HashMap<String, Declared>,
    bindings: HashMap<RedisDestination, Bound>,
}

#[derive(Debug)]
struct Declared {
    expiry: Option<RedisExpiry>,
    at: i64,
}

/// Queues that a destination leads to.
#[derive(Debug)]
struct Bound {
    queues: Result<Vec<String>, Rejection>,
    /// The exchange has no binding at all.
    empty: bool,
    read_at: i64,
}

impl Switchboard {
    /// For the server behind `link`, laid out as `conventions` say.
    #[must_use]
    pub fn new(link: Link, conventions: RedisConventions) -> Self {
        Self {
            link,
            conventions,
            connection: 0,
            declared: HashMap::new(),
            bindings: HashMap::new(),
        }
    }

    /// The connection to the broker.
    pub fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    /// Where the messages of `templates` go, one for each.
    pub async fn addresses(&mut self, templates: &[&Template]) -> Result<Vec<Address>, LinkError> {
        self.link.connect().await?;
        if self.connection != self.link.dials() {
            self.connection = self.link.dials();
            self.declared.clear();
            self.bindings.clear();
        }
        let (distinct, place_of) = distinct(templates);
        let destinations: Vec<RedisDestination> = distinct
            .iter()
            .map(|template| {
                self.conventions
                    .destination(template.route(), template.priority())
            })
            .collect();
        self.declare(&distinct).await?;
        self.look_up(&destinations).await?;
        if self.forget_lost(&distinct, &destinations) {
            self.declare(&distinct).await?;
            self.look_up(&destinations).await?;
        }
        let addresses: Vec<Address> = distinct
            .iter()
            .zip(&destinations)
            .map(|(template, destination)| self.address(template, destination))
            .collect();
        Ok(place_of
            .into_iter()
            .map(|place| addresses[place].clone())
            .collect())
    }

    /// Makes the queues of `templates` known, each once a connection.
    async fn declare(&mut self, templates: &[&Template]) -> Result<(), LinkError> {
        let now = monotonic_millis();
        let mut seen = HashSet::new();
        let missing: Vec<&Queue> = templates
            .iter()
            .filter_map(|template| template.route().declare.as_deref())
            .filter(|queue| !self.is_declared(queue, now) && seen.insert(queue.name.as_str()))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let declarations: Vec<(&Queue, Option<RedisDeclaration>)> = missing
            .iter()
            .map(|queue| (*queue, self.conventions.declaration(queue)))
            .collect();
        let mut pipe = redis::pipe();
        pipe.atomic().ignore_errors();
        for (_, declaration) in &declarations {
            let Some(declaration) = declaration else {
                continue;
            };
            if declaration.expires.is_none() {
                pipe.sadd(&declaration.set, &declaration.member);
                pipe.sadd(&declaration.permanent, &declaration.member);
            }
        }
        if !pipe.is_empty() {
            let replies: Result<Vec<RedisResult<i64>>, LinkError> = self
                .link
                .run(async |connection| pipe.query_async(connection).await)
                .await;
            match replies {
                Ok(replies) => replies
                    .into_iter()
                    .filter_map(Result::err)
                    .for_each(|e| refused(&e)),
                Err(LinkError::Refused(error)) => refused(&error),
                Err(error) => return Err(error),
            }
        }
        for (queue, declaration) in declarations {
            let expiry = declaration
                .as_ref()
                .and_then(|declaration| declaration.expires.clone());
            if let (Some(declaration), Some(expiry)) = (&declaration, &expiry) {
                let mut call = REFRESH.prepare_invoke();
                call.key(&declaration.set)
                    .key(&expiry.deadlines)
                    .arg(&declaration.member);
                call.arg(&expiry.exchange).arg(expiry.binding_ttl);
                let reply: Result<(), LinkError> = self
                    .link
                    .run(async |connection| call.invoke_async(connection).await)
                    .await;
                match reply {
                    Ok(()) => {}
                    Err(LinkError::Refused(error)) => refused(&error),
                    Err(error) => return Err(error),
                }
            }
            self.declared
                .insert(queue.name.clone(), Declared { expiry, at: now });
        }
        Ok(())
    }

    /// A binding that expires is refreshed long before it does.
    fn is_declared(&self, queue: &Queue, now: i64) -> bool {
        self.declared.get(&queue.name).is_some_and(|declared| {
            declared
                .expiry
                .as_ref()
                .is_none_or(|expiry| now - declared.at < expiry.binding_ttl / 3)
        })
    }

    /// Reads the bindings of `destinations` that were not read within the last second.
    async fn look_up(&mut self, destinations: &[RedisDestination]) -> Result<(), LinkError> {
        let now = monotonic_millis();
        let mut stale: HashMap<&str, HashSet<&RedisDestination>> = HashMap::new();
        for destination in destinations {
            let known = self.bindings.get(destination);
            if let RedisDestination::Bound { set, .. } = destination
                && known.is_none_or(|bound| now - bound.read_at >= FRESH)
            {
                stale.entry(set).or_default().insert(destination);
            }
        }
        if stale.is_empty() {
            return Ok(());
        }
        let stale: Vec<_> = stale.into_iter().collect();
        let mut pipe = redis::pipe();
        pipe.ignore_errors();
        for (set, _) in &stale {
            pipe.smembers(*set);
        }
        let tables: Vec<RedisResult<Vec<Vec<u8>>>> = self
            .link
            .run(async |connection| pipe.query_async(connection).await)
            .await?;
        self.bindings.retain(|_, bound| now - bound.read_at < KEPT);
        for ((set, destinations), table) in stale.into_iter().zip(tables) {
            let members: Result<Vec<String>, Rejection> = match table {
                Ok(members) => Ok(members
                    .into_iter()
                    .filter_map(|m| String::from_utf8(m).ok())
                    .collect()),
                Err(error) => Err(Rejection(format!("{set}: {error}"))),
            };
            for destination in destinations {
                let bound = self.bound(destination, &members, now);
                self.bindings.insert(destination.clone(), bound);
            }
        }
        Ok(())
    }

    fn bound(
        &self,
        destination: &RedisDestination,
        members: &Result<Vec<String>, Rejection>,
        read_at: i64,
    ) -> Bound {
        let RedisDestination::Bound {
            topic, routing_key, ..
        } = destination
        else {
            return Bound {
                queues: Ok(Vec::new()),
                empty: false,
                read_at,
            };
        };
        let queues = members
            .as_ref()
            .map(|members| self.conventions.bound_queues(members, *topic, routing_key))
            .map_err(Clone::clone);
        let empty = members.as_ref().is_ok_and(Vec::is_empty);
        Bound {
            queues,
            empty,
            read_at,
        }
    }

    /// Forgets declarations whose binding is gone although it was made: the server lost its data.
    fn forget_lost(&mut self, templates: &[&Template], destinations: &[RedisDestination]) -> bool {
        let mut lost = false;
        for (template, destination) in templates.iter().zip(destinations) {
            let (Some(queue), RedisDestination::Bound { set, .. }) =
                (&template.route().declare, destination)
            else {
                continue;
            };
            let gone = self
                .bindings
                .get(destination)
                .is_some_and(|bound| bound.empty)
                && self
                    .conventions
                    .declaration(queue)
                    .is_some_and(|made| made.set == *set);
            if gone && self.declared.remove(&queue.name).is_some() {
                self.bindings.remove(destination);
                lost = true;
            }
        }
        lost
    }

    /// Refuses messages for several queues of which one is no list: the others must not get a copy at
    /// each attempt.
    pub async fn refuse_halves(&mut self, addresses: &mut [Address]) -> Result<(), LinkError> {
        let several: Vec<&mut Address> = addresses
            .iter_mut()
            .filter(|address| {
                address
                    .as_ref()
                    .is_ok_and(|steps| pushes(steps).nth(1).is_some())
            })
            .collect();
        if several.is_empty() {
            return Ok(());
        }
        let mut pipe = redis::pipe();
        for key in several
            .iter()
            .flat_map(|address| address.iter().flat_map(|steps| pushes(steps)))
        {
            pipe.cmd("TYPE").arg(key);
        }
        let kinds: Vec<String> = self
            .link
            .run(async |connection| pipe.query_async(connection).await)
            .await?;
        let mut kinds = kinds.into_iter();
        for address in several {
            let mut bad = None;
            for key in address.iter().flat_map(|steps| pushes(steps)) {
                let kind = kinds.next().unwrap_or_default();
                if kind != "list" && kind != "none" {
                    bad = Some(format!("WRONGTYPE the queue {key} is a {kind}"));
                }
            }
            if let Some(why) = bad {
                *address = Err(Rejection(why));
            }
        }
        Ok(())
    }

    fn address(&self, template: &Template, destination: &RedisDestination) -> Address {
        let mut steps = Vec::with_capacity(1);
        match destination {
            RedisDestination::List { key } => {
                self.push(&template.route().routing_key, key.clone(), &mut steps);
            }
            RedisDestination::Channel { channel } => steps.push(Step::Publish(channel.clone())),
            RedisDestination::Bound { routing_key, .. } => {
                let queues = match self.bindings.get(destination) {
                    Some(bound) => bound.queues.as_ref().map_err(Clone::clone)?.as_slice(),
                    None => &[],
                };
                if queues.is_empty() {
                    let exchange = &template.route().exchange;
                    return Err(Rejection(format!(
                        "no queue is bound to the exchange {exchange:?} for the routing key {routing_key:?}"
                    )));
                }
                for queue in queues {
                    let key = self.conventions.queue_key(queue, template.priority());
                    self.push(queue, key, &mut steps);
                }
            }
        }
        Ok(steps.into())
    }

    fn push(&self, queue: &str, key: String, steps: &mut Vec<Step>) {
        steps.push(Step::Push(key));
        if let Some(expiry) = self
            .declared
            .get(queue)
            .and_then(|known| known.expiry.as_ref())
        {
            for key in &expiry.keys {
                steps.push(Step::Expire(key.clone(), expiry.queue_ttl.to_string()));
            }
        }
    }
}

/// Many messages, few routes: one template of each route and priority, and the place of each
/// template's among them.
fn distinct<'a>(templates: &[&'a Template]) -> (Vec<&'a Template>, Vec<usize>) {
    let mut distinct: Vec<&Template> = Vec::new();
    let mut places: HashMap<(*const Route, u8), usize> = HashMap::new();
    let mut before = None;
    let place_of = templates
        .iter()
        .map(|template| {
            let route = (Arc::as_ptr(template.route()), template.priority());
            // Neighbours mostly share a route.
            if let Some((known, place)) = before
                && known == route
            {
                return place;
            }
            let place = *places.entry(route).or_insert_with(|| {
                distinct.push(template);
                distinct.len() - 1
            });
            before = Some((route, place));
            place
        })
        .collect();
    (distinct, place_of)
}

fn pushes(steps: &[Step]) -> impl Iterator<Item = &str> {
    steps.iter().filter_map(|step| match step {
        Step::Push(key) => Some(key.as_str()),
        Step::Publish(_) | Step::Expire(..) => None,
    })
}

/// What cannot be declared may exist all the same: whether messages arrive decides.
fn refused(error: &redis::RedisError) {
    tracing::warn!(event = "declare_refused", %error, "a queue was not declared");
}
