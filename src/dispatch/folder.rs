//! Publishes to a folder in the layout of Kombu's filesystem transport.
//!
//! A message is a file `<ms>_<uuid>.<queue>.msg`. Readers move files without looking at locks, so a
//! message is written under another name in the same folder and renamed when it is complete.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::publisher::{Parcel, Publisher, Receipt};
use crate::clock::monotonic_millis;
use crate::config::Folders;

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
    async fn ready(&mut self) -> Result<(), String> {
        // A folder that cannot be made shows when it is written to.
        Ok(())
    }

    async fn publish(&mut self, parcels: &[Parcel<'_>]) -> Vec<Receipt> {
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
            Ok(Ok(receipts)) => receipts,
            Ok(Err::<_, String>(why)) => vec![Receipt::unsent(why); parcels.len()],
            Err(error) => {
                vec![Receipt::lost(format!("the write was interrupted: {error}")); parcels.len()]
            }
        }
    }
}

fn write(folder: &Path, queue: &str, envelope: &[u8]) -> Receipt {
    let name = format!("{}_{}.{queue}.msg", monotonic_millis(), Uuid::new_v4());
    let partial = folder.join(format!(".{name}.part"));
    let result = (|| {
        let mut file = std::fs::File::create_new(&partial)?;
        file.write_all(envelope)?;
        file.sync_all()?;
        std::fs::rename(&partial, folder.join(&name))
    })();
    match result {
        Ok(()) => Receipt::Confirmed,
        Err(error) => {
            let _ = std::fs::remove_file(&partial);
            Receipt::refused(format!("{}: {error}", folder.join(&name).display()))
        }
    }
}
