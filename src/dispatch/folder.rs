//! Publishes to a folder in the layout of Kombu's filesystem transport.
//!
//! A message is a file `<ms>_<uuid>.<queue>.msg`. Readers move files without looking at locks, so a
//! message is written under another name in the same folder and renamed when it is complete.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::confirmed::{Parcel, PublishError, Publisher};
use crate::clock::monotonic_millis;
use crate::config::Folders;
use crate::plan::Rejection;

/// The folders of one broker.
#[derive(Debug, Clone)]
pub struct Folder {
    out: PathBuf,
}

impl Folder {
    /// Publishes to `folders`; missing ones are created at the first publish.
    #[must_use]
    pub fn new(folders: &Folders) -> Self {
        Self {
            out: folders.data_out.clone(),
        }
    }
}

impl Publisher for Folder {
    async fn publish(
        &mut self,
        parcels: &[Parcel<'_>],
    ) -> Result<Vec<Result<(), Rejection>>, PublishError> {
        let files: Vec<(String, Vec<u8>)> = parcels
            .iter()
            .map(|parcel| {
                let template = &parcel.due.entry.template;
                let mut envelope = Vec::with_capacity(template.size_hint());
                template.render_envelope(&parcel.fire, &mut envelope);
                (template.route().routing_key.clone(), envelope)
            })
            .collect();
        let out = self.out.clone();
        let written = spawn_blocking(move || {
            std::fs::create_dir_all(&out).map_err(|error| format!("{}: {error}", out.display()))?;
            Ok(files
                .iter()
                .map(|(queue, envelope)| write(&out, queue, envelope))
                .collect())
        });
        match written.await {
            Ok(written) => written.map_err(PublishError::Unavailable),
            Err(error) => Err(PublishError::Ambiguous(format!(
                "the write was interrupted: {error}"
            ))),
        }
    }
}

fn write(folder: &Path, queue: &str, envelope: &[u8]) -> Result<(), Rejection> {
    let name = format!("{}_{}.{queue}.msg", monotonic_millis(), Uuid::new_v4());
    let partial = folder.join(format!(".{name}.part"));
    let result = (|| {
        let mut file = std::fs::File::create_new(&partial)?;
        file.write_all(envelope)?;
        file.sync_all()?;
        std::fs::rename(&partial, folder.join(&name))
    })();
    result.map_err(|error| {
        let _ = std::fs::remove_file(&partial);
        Rejection(format!("{}: {error}", folder.join(&name).display()))
    })
}
