//! The root secret's file: 32 random bytes for the eyes of the centre's user alone.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

use aes_gcm_siv::Aes256GcmSiv;
use aes_gcm_siv::aead::KeyInit;
use zeroize::Zeroizing;

use super::{KEY, random_key};
use crate::StoreError;
use crate::store::{sync_folder, unusable};

/// The site's root secret: it wraps the site's keys and seals nothing else. It stays in memory, so that keys which
/// another centre makes can be unwrapped.
pub(crate) struct RootSecret(Zeroizing<[u8; KEY]>);

impl RootSecret {
    /// Reads the secret from its file, or makes one there for a new site.
    pub(crate) fn open(path: &Path, is_new_site: bool) -> Result<Self, StoreError> {
        let refused = |why: &str| StoreError::RootSecret { path: path.to_owned(), why: why.to_owned() };
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && is_new_site => {
                return Self::create(path);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(refused(
                    "the file is missing, and without it the database stays sealed; restore it, or copy it from another \
                     centre of this site",
                ));
            }
            Err(error) => return Err(refused(&error.to_string())),
        };
        check_owner_only(&file, path)?;
        let mut secret = Zeroizing::new([0; KEY]);
        let mut rest = [0; 1];
        let whole = file.read_exact(&mut *secret).is_ok() && matches!(file.read(&mut rest), Ok(0));
        if whole { Ok(Self(secret)) } else { Err(refused("it should hold exactly 32 bytes; restore it")) }
    }

    fn create(path: &Path) -> Result<Self, StoreError> {
        let secret = random_key()?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        // Whole under its own name or not there at all, and on the disk before the first key is wrapped with it: a
        // database must never outlive its secret.
        let unfinished = path.with_extension("unfinished");
        let written = options.open(&unfinished).and_then(|mut file| {
            file.write_all(&*secret)?;
            file.sync_all()?;
            std::fs::rename(&unfinished, path)
        });
        written.map_err(|error| unusable(path, &error))?;
        sync_folder(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
        Ok(Self(secret))
    }

    pub(super) fn cipher(&self) -> Aes256GcmSiv {
        Aes256GcmSiv::new((&*self.0).into())
    }
}

#[cfg(unix)]
fn check_owner_only(file: &File, path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file.metadata().map_err(|error| unusable(path, &error))?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let why = format!("others may read it (mode {:o}); chmod 600 it", mode & 0o777);
    Err(StoreError::RootSecret { path: path.to_owned(), why })
}

#[cfg(not(unix))]
fn check_owner_only(_: &File, _: &Path) -> Result<(), StoreError> {
    Ok(())
}
