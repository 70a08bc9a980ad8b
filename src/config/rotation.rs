//! Passwords that change while the daemon runs: the secret file a URL came from is read again at each dial.

use super::env::SecretFile;
use super::url::{AmqpServers, Broker, RedisServer, StoreLocation, UrlContext, UrlError};

/// The secret file that the URL of a connection came from.
///
/// It gives new credentials, not another place: servers and databases change by a reload, which
/// settles on the old ones first.
#[derive(Debug, Clone)]
pub struct Rotation {
    setting: &'static str,
    file: SecretFile,
    context: UrlContext,
}

impl Rotation {
    pub(super) fn new(setting: &'static str, file: &SecretFile, context: &UrlContext) -> Self {
        Self {
            setting,
            file: file.clone(),
            context: context.clone(),
        }
    }

    /// The servers `known` from the last load, with the credentials that the file holds now.
    ///
    /// # Errors
    /// Why the file cannot be used; never its content.
    pub fn redis(&self, known: &[RedisServer]) -> Result<Vec<RedisServer>, String> {
        match self.read(StoreLocation::parse)? {
            StoreLocation::Redis(now)
                if now.len() == known.len()
                    && now.iter().zip(known).all(|(now, old)| now.same_place(old)) =>
            {
                Ok(now)
            }
            _ => Err(self.elsewhere()),
        }
    }

    /// Likewise for RabbitMQ.
    ///
    /// # Errors
    /// As [`Rotation::redis`].
    pub fn amqp(&self, known: &AmqpServers) -> Result<AmqpServers, String> {
        match self.read(Broker::parse)? {
            Broker::Amqp(now) if now.same_place(known) => Ok(now),
            _ => Err(self.elsewhere()),
        }
    }

    fn read<T>(
        &self,
        parse: impl Fn(&str, &UrlContext) -> Result<T, UrlError>,
    ) -> Result<T, String> {
        let url = self.file.read()?;
        parse(url.expose(), &self.context).map_err(|error| format!("{} {error}", self.setting))
    }

    fn elsewhere(&self) -> String {
        format!(
            "{} names another server now, which takes a reload",
            self.setting
        )
    }
}
