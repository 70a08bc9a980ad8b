//! One batch: publish all, then collect the confirms, and tell what became of each message.

use std::collections::VecDeque;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use lapin::options::ConfirmSelectOptions;
use lapin::{Channel, Confirmation, Error};
use tokio::time::{sleep, timeout};

use super::letter::{Experience, Letter, send};
use super::link::{Cause, Flight, Lane, Link, Until};
use crate::dispatch::publisher::{Receipt, Scope};

/// How long a living connection is given for one answer beyond the deadline.
const PATIENCE: Duration = Duration::from_millis(200);
/// More unconfirmed messages than these are not kept in mind; the connection is given up instead.
const MOST_FLYING: usize = 10_000;
/// Messages that are given to the connection at once: one write takes many, and half as much time
/// as one write each.
const WINDOW: usize = 128;
const NO_TIME: &str = "no time was left";

/// What was heard of a message.
enum Landing {
    Confirmed,
    /// It is in no queue.
    CameBack,
    Nacked,
    /// Ended together with its channel or connection.
    Failed(Error),
    /// Never handed to the connection.
    Unsent(String),
    /// Nothing, from nobody.
    Silent(String),
    /// No confirm yet, on a connection that lives.
    Slow,
}

type Landings = Vec<(usize, Landing)>;

impl Link {
    /// Publishes `letters` and waits for their confirms until `until`. A message that comes back is
    /// sent once more after its queue is declared again.
    pub async fn post(
        &mut self,
        letters: &[Arc<Letter>],
        experience: &mut Experience,
        until: &mut Until<'_>,
    ) -> Vec<Receipt> {
        let mut receipts: Vec<Option<Receipt>> = vec![None; letters.len()];
        let mut open: Vec<usize> = (0..letters.len()).collect();
        let landings = self.land_flights(letters, &mut open, until).await;
        let mut back = self.sort(letters, landings, Lane::Together, &mut receipts, experience);
        for last in [false, true] {
            open.append(&mut back);
            if open.is_empty() || until.is_elapsed() {
                break;
            }
            if let Err(why) = self.declare(letters, &open, experience, until).await {
                self.doubt.get_or_insert(why);
            }
            let risky = |place: &usize| {
                let letter = &letters[*place];
                !self.topology.knows(&letter.message.exchange)
                    || experience.suspects.contains_key(&letter.entry)
            };
            let (mut alone, together): (Vec<_>, Vec<_>) =
                std::mem::take(&mut open).into_iter().partition(risky);
            let landings = self.run(Lane::Together, letters, together, until).await;
            back.extend(self.sort(letters, landings, Lane::Together, &mut receipts, experience));
            // Who failed most comes last: it must not keep the others from their turn.
            alone.sort_by_key(|&place| experience.suspects.get(&letters[place].entry).copied());
            for place in alone {
                let landings = self.run(Lane::Alone, letters, vec![place], until).await;
                back.extend(self.sort(letters, landings, Lane::Alone, &mut receipts, experience));
            }
            for &place in &back {
                if let Some(queue) = &letters[place].queue {
                    self.topology.forget(queue);
                }
                if last {
                    let key = &letters[place].message.routing_key;
                    let why = format!("no queue takes what is published with key {key:?}");
                    receipts[place] = Some(Receipt::refused(why));
                }
            }
        }
        let doubt = self.doubt.clone().unwrap_or_else(|| NO_TIME.to_owned());
        let receipts = receipts.into_iter();
        receipts
            .map(|receipt| receipt.unwrap_or_else(|| Receipt::unsent(doubt.clone())))
            .collect()
    }

    /// Declares what `places` need and this connection has not declared.
    async fn declare(
        &mut self,
        letters: &[Arc<Letter>],
        places: &[usize],
        experience: &mut Experience,
        until: &mut Until<'_>,
    ) -> Result<(), String> {
        if self.blocked().is_some() {
            // Nothing is published, and nothing else is asked for.
            return Ok(());
        }
        for queue in places
            .iter()
            .filter_map(|&place| letters[place].queue.as_ref())
        {
            if self.topology.has(queue) {
                continue;
            }
            tokio::select! {
                done = self.topology.declare(&self.connection, queue, &mut experience.refusals) => done?,
                () = &mut *until => return Err("no answer to a declaration".to_owned()),
            }
        }
        Ok(())
    }

    /// Asks after those of `letters` that are on their way since before; the others stay in `open`.
    async fn land_flights(
        &mut self,
        letters: &[Arc<Letter>],
        open: &mut Vec<usize>,
        until: &mut Until<'_>,
    ) -> Landings {
        let mut flights = Vec::new();
        open.retain(|&place| match self.flights.remove(&letters[place].id) {
            Some(flight) => {
                flights.push((place, flight));
                false
            }
            None => true,
        });
        let mut landings = Landings::new();
        for (place, mut flight) in flights {
            // While the broker is blocked there is nothing else to do.
            let blocked = self.blocked().is_some();
            tokio::select! {
                biased;
                landed = &mut flight => {
                    landings.push((place, self.landing(landed)));
                    continue;
                }
                () = sleep(PATIENCE), if !blocked => {}
                () = &mut *until => {}
            }
            landings.push((place, self.still_flying()));
            self.flights.insert(letters[place].id, flight);
        }
        landings
    }

    /// What is said of a message that is on its way and stays so.
    fn still_flying(&mut self) -> Landing {
        match self.blocked() {
            Some(why) => Landing::Silent(format!("blocked: {why}")),
            None => Landing::Slow,
        }
    }

    /// Publishes `places` one after the other on one channel, then waits for all confirms.
    async fn run(
        &mut self,
        lane: Lane,
        letters: &[Arc<Letter>],
        places: Vec<usize>,
        until: &mut Until<'_>,
    ) -> Landings {
        let unsent = |why: &str, places: &[usize]| {
            let unsent = |&place: &usize| (place, Landing::Unsent(why.to_owned()));
            places.iter().map(unsent).collect::<Landings>()
        };
        if places.is_empty() {
            return Landings::new();
        }
        if let Some(why) = self.blocked().map(|why| format!("blocked: {why}")) {
            return unsent(&why, &places);
        }
        if let Some(why) = &self.doubt {
            return unsent(why, &places);
        }
        if until.is_elapsed() {
            return unsent(NO_TIME, &places);
        }
        let channel = tokio::select! {
            channel = self.lane(lane) => channel,
            () = &mut *until => Err("no answer to the opening of a channel".to_owned()),
        };
        let channel = match channel {
            Ok(channel) => channel,
            Err(why) => {
                self.doubt = Some(why.clone());
                return unsent(&why, &places);
            }
        };
        let mut landings = Landings::new();
        let mut flights: Vec<(usize, Flight)> = Vec::with_capacity(places.len());
        let mut sending = VecDeque::with_capacity(WINDOW);
        let mut next = places.iter();
        loop {
            while sending.len() < WINDOW
                && let Some(&place) = next.next()
            {
                let mut one = send(Arc::clone(&channel), Arc::clone(&letters[place])).boxed();
                // The first look puts it in line, behind those before it.
                let sent = (&mut one).now_or_never();
                sending.push_back((place, sent.map_or(one, |sent| ready(sent).boxed())));
            }
            let Some((place, mut one)) = sending.pop_front() else {
                break;
            };
            let halt = tokio::select! {
                biased;
                sent = &mut one => match sent {
                    Ok(confirm) => {
                        flights.push((place, Box::pin(confirm)));
                        continue;
                    }
                    Err(error) => {
                        let why = error.to_string();
                        landings.push((place, Landing::Failed(error)));
                        why
                    }
                },
                why = self.events.blocked() => {
                    sending.push_front((place, one));
                    self.block.insert(why).clone()
                }
                () = &mut *until => {
                    let why = "a message was not taken in time".to_owned();
                    landings.push((place, Landing::Silent(why.clone())));
                    self.doubt = Some(why.clone());
                    why
                }
            };
            // What is in line cannot be taken back.
            for (place, one) in sending {
                flights.push((place, Box::pin(async move { one.await?.await })));
            }
            landings.extend(unsent(&halt, next.as_slice()));
            break;
        }
        landings.extend(self.collect(&channel, letters, flights, until).await);
        landings
    }

    /// Waits for the confirms of `flights`. Those that do not come stay on their way while the
    /// connection lives: its broker has them, and publishing them again would double them.
    async fn collect(
        &mut self,
        channel: &Channel,
        letters: &[Arc<Letter>],
        flights: Vec<(usize, Flight)>,
        until: &mut Until<'_>,
    ) -> Landings {
        let mut landings = Landings::with_capacity(flights.len());
        let mut flying = Vec::new();
        for (place, mut flight) in flights {
            let waiting = self.block.is_none() && !until.is_elapsed();
            let landed = tokio::select! {
                biased;
                landed = &mut flight => Some(landed),
                why = self.events.blocked(), if waiting => {
                    self.block = Some(why);
                    None
                }
                () = &mut *until, if waiting => None,
                () = std::future::ready(()), if !waiting => None,
            };
            match landed {
                Some(landed) => landings.push((place, self.landing(landed))),
                None => flying.push((place, flight)),
            }
        }
        if flying.is_empty() {
            return landings;
        }
        let lives = self.block.is_some()
            || timeout(
                PATIENCE,
                channel.confirm_select(ConfirmSelectOptions::default()),
            )
            .await
            .is_ok_and(|answer| answer.is_ok());
        if !lives || self.flights.len() > MOST_FLYING {
            self.doubt = Some("no confirm in time".to_owned());
        }
        for (place, flight) in flying {
            let landing = match &self.doubt {
                Some(why) => Landing::Silent(why.clone()),
                None => self.still_flying(),
            };
            landings.push((place, landing));
            self.flights.insert(letters[place].id, flight);
        }
        landings
    }

    fn landing(&mut self, landed: lapin::Result<Confirmation>) -> Landing {
        self.heard();
        let (landing, returned) = match landed {
            Ok(Confirmation::Ack(returned)) => (Landing::Confirmed, returned),
            Ok(Confirmation::Nack(returned)) => (Landing::Nacked, returned),
            Ok(Confirmation::NotRequested) => (Landing::Confirmed, None),
            Err(error) => (Landing::Failed(error), None),
        };
        // It came with this confirm, which says nothing about whose it is.
        self.returned.extend(returned);
        landing
    }

    /// Writes receipts; the messages that came back are returned instead.
    fn sort(
        &mut self,
        letters: &[Arc<Letter>],
        mut landings: Landings,
        lane: Lane,
        receipts: &mut [Option<Receipt>],
        experience: &mut Experience,
    ) -> Vec<usize> {
        for returned in std::mem::take(&mut self.returned) {
            let is_it = |landing: &&mut (usize, Landing)| {
                matches!(landing.1, Landing::Confirmed) && letters[landing.0].is(&returned)
            };
            if let Some(landing) = landings.iter_mut().find(is_it) {
                landing.1 = Landing::CameBack;
            }
        }
        let failed = |landing: &&(usize, Landing)| matches!(landing.1, Landing::Failed(_));
        let culprit_known = lane == Lane::Alone || landings.iter().filter(failed).count() == 1;
        let mut back = Vec::new();
        for (place, landing) in landings {
            let letter = &letters[place];
            let receipt = match landing {
                Landing::Confirmed => {
                    self.topology.trust(&letter.message.exchange);
                    experience.suspects.remove(&letter.entry);
                    Receipt::Confirmed
                }
                Landing::CameBack => {
                    back.push(place);
                    continue;
                }
                Landing::Nacked => {
                    Receipt::failed("the broker could not take it (nack)", Scope::Message, true)
                }
                Landing::Unsent(why) => Receipt::unsent(why),
                Landing::Silent(why) => Receipt::lost(why),
                Landing::Slow => Receipt::failed("no confirm yet", Scope::Message, true),
                Landing::Failed(error) => {
                    let (cause, why) = (Cause::of(&error), error.to_string());
                    if cause != Cause::Channel {
                        self.doubt = Some(why.clone());
                    }
                    if cause != Cause::Connection {
                        *experience.suspects.entry(letter.entry.clone()).or_default() += 1;
                    }
                    match cause {
                        Cause::Channel | Cause::Content if culprit_known => Receipt::refused(why),
                        Cause::Channel => Receipt::failed(why, Scope::Message, true),
                        Cause::Content | Cause::Connection => Receipt::lost(why),
                    }
                }
            };
            receipts[place] = Some(receipt);
        }
        back
    }
}
