//! Reading packs whole: their names, their headers, and every blob in them.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicUsize, Ordering},
};

use keepsake_hashing::Message;
use keepsake_storage::{Caches, StoreError};

use super::{Check, CheckOptions, DamageKind, Share};
use crate::{
    Id, Repository, RepositoryError, RepositoryResult,
    index::BlobKind,
    pack::{self, PackedBlob},
    reading::Scratch,
    repository::object,
};

impl Check<'_> {
    pub(super) fn packs_read(&mut self, options: &CheckOptions) -> RepositoryResult<()> {
        let Some(share) = options.read_data else { return Ok(()) };
        let mut packs = self.repository.index.read().expect("no holder panics").by_pack();
        packs.retain(|(id, _)| share.takes(id));
        packs.sort_unstable_by_key(|(id, _)| *id);
        if let Share::Percent { percent, seed } = share {
            // Shuffled by the seed, then as many as the share says, never none.
            let place = |id: &Id| Id::of(&[id.as_bytes().as_slice(), &seed.to_le_bytes()].concat());
            packs.sort_unstable_by_key(|(id, _)| place(id));
            packs.truncate((packs.len() * percent as usize).div_ceil(100));
        }
        let bytes = packs.iter().map(|(_, blobs)| pack::length(blobs)).sum();
        self.monitor.stage("reading packs", Some(packs.len() as u64), Some(bytes));
        let next = AtomicUsize::new(0);
        let (repository, monitor, packs) = (self.repository, self.monitor, &packs);
        let work = || -> RepositoryResult<Vec<PackReading>> {
            let (mut read, mut bytes, mut scratch) = (Vec::new(), Vec::new(), Scratch::default());
            while let Some((id, blobs)) = packs.get(next.fetch_add(1, Ordering::Relaxed)) {
                if monitor.cancelled() {
                    return Err(RepositoryError::Cancelled);
                }
                read.push(read_pack(repository, *id, blobs, &mut bytes, &mut scratch)?);
                monitor.advance(1, pack::length(blobs));
            }
            Ok(read)
        };
        // Some of them wait for the store while the others compute.
        let workers = std::thread::available_parallelism().map_or(2, usize::from).clamp(1, 8) + 2;
        let readings = std::thread::scope(|scope| -> RepositoryResult<Vec<PackReading>> {
            let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            let mut readings = Vec::with_capacity(packs.len());
            for thread in threads {
                readings.extend(thread.join().expect("readers do not panic")?);
            }
            Ok(readings)
        });
        let mut readings = readings?;
        readings.sort_unstable_by_key(|reading| reading.pack);
        for reading in readings {
            self.take(reading);
        }
        Ok(())
    }

    fn take(&mut self, reading: PackReading) {
        self.report.packs_read += u64::from(reading.bytes.is_some());
        self.report.bytes_read += reading.bytes.unwrap_or(0);
        if reading.archived {
            self.report.archived.push(reading.pack);
        } else if reading.bytes.is_none() {
            self.mark_pack(&reading.pack);
        }
        for (kind, message) in reading.damage {
            self.report.add(kind, message, Some(reading.pack), self.monitor);
        }
        for blob in reading.bad_blobs {
            self.bad_places.entry(blob).or_default().insert(Some(reading.pack));
        }
    }
}

/// What reading one pack showed.
struct PackReading {
    pack: Id,
    /// Its length; `None`: it could not be read at all.
    bytes: Option<u64>,
    damage: Vec<(DamageKind, String)>,
    bad_blobs: Vec<(BlobKind, Id)>,
    /// It can be read hours after it was asked for.
    archived: bool,
}

fn read_pack(
    repository: &Repository,
    id: Id,
    blobs: &[PackedBlob],
    bytes: &mut Vec<u8>,
    scratch: &mut Scratch,
) -> RepositoryResult<PackReading> {
    let mut reading = PackReading { pack: id, bytes: None, damage: Vec::new(), bad_blobs: Vec::new(), archived: false };
    match repository.store.read_into(&object("data", &id), None, Caches::Pass, bytes) {
        Ok(()) => {}
        // That it is missing was said when the packs were listed.
        Err(error) if error.is_not_found() => return Ok(reading),
        Err(StoreError::Archived { .. }) => {
            reading.archived = true;
            return Ok(reading);
        }
        Err(error @ StoreError::Unavailable { .. }) => {
            // A bad sector under one pack must not hide what else there is to find.
            reading.damage.push((DamageKind::Pack, format!("pack {} cannot be read: {error}", id.short())));
            return Ok(reading);
        }
        Err(error) => return Err(error.into()),
    };
    reading.bytes = Some(bytes.len() as u64);
    let mut hashed = Message::new(bytes);
    let mut bad_blobs = Vec::new();
    for blob in blobs {
        if let Err(error) = repository.open_packed_beside(id, blob, bytes, &mut hashed, scratch) {
            bad_blobs.push((DamageKind::Blob, error.to_string()));
            reading.bad_blobs.push((blob.kind, blob.id));
        }
    }
    let named = Id::from_bytes(hashed.finish()) == id;
    if !named {
        let message = format!("pack {} is damaged: its bytes are not the ones it was written with", id.short());
        reading.damage.push((DamageKind::Pack, message));
    }
    match pack::read_header(id, bytes, &repository.key) {
        Ok(header) => {
            let header: HashSet<PackedBlob> = header.into_iter().collect();
            for blob in blobs.iter().filter(|blob| !header.contains(blob)) {
                let message = format!("blob {} is not in pack {} as the index says", blob.id.short(), id.short());
                reading.damage.push((DamageKind::Index, message));
            }
        }
        Err(error) if named => reading.damage.push((DamageKind::Pack, error.to_string())),
        Err(_) => {}
    }
    reading.damage.extend(bad_blobs);
    Ok(reading)
}
