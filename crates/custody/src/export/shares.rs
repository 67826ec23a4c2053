//! Links to exports: whoever has one gets the files, until it ends. What ends it: its time, its owner, its number of downloads, wrong
//! passphrases, the end of the export, and whatever makes the files other than what their owner meant to hand out.

mod fetching;
mod opening;
mod passphrases;
mod token;

use std::{fmt, str::FromStr};

use keepsake_formats::bag::Container;
use keepsake_record::{OwnerId, Timestamp};
use keepsake_repository::Password;
use keepsake_vault::{Outcome, ShareRow};
use serde::Serialize;
use serde_json::json;
use zeroize::Zeroizing;

pub(super) use self::passphrases::refuse_short;
pub use self::{
    fetching::Fetched,
    opening::{OpenShare, ShareDenied, ShareReader, SharedFile},
    token::ShareToken,
};
use super::{ExportState, job::Job};
use crate::{Custody, CustodyError, CustodyResult};

const SECOND_MICROS: i64 = 1_000_000;
const DAY_MICROS: i64 = 86_400 * SECOND_MICROS;
/// How long a link is good unless told.
const EXPIRES_MICROS: i64 = 7 * DAY_MICROS;
/// Longer than a person plans: who means for ever says so.
const EXPIRES_DAYS_MAX: i64 = 3_660;
/// A share that ended is told of for so long.
const TOLD_MICROS: i64 = 30 * DAY_MICROS;
const NOTE_CHARS_MAX: usize = 200;

/// When a share ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// So many microseconds after it was made.
    After(i64),
    /// At an instant.
    At(Timestamp),
    /// Not at all.
    Never,
}

impl Default for Expiry {
    fn default() -> Self {
        Self::After(EXPIRES_MICROS)
    }
}

impl FromStr for Expiry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no end: write 12h, 7d, 2w, 2027-01-01 (when that day begins, UTC), an instant, or never");
        if text == "never" {
            return Ok(Self::Never);
        }
        if let Some(unit) = ["h", "d", "w"].into_iter().find(|unit| text.ends_with(unit))
            && let Ok(number) = text.trim_end_matches(unit).parse::<u32>()
        {
            let hours = i64::from(number)
                * match unit {
                    "h" => 1,
                    "d" => 24,
                    _ => 7 * 24,
                };
            return match hours {
                0 => Err(format!("`{text}` would be over at once: write 7d, or 12h")),
                hours if hours > 24 * EXPIRES_DAYS_MAX => Err(format!("`{text}` is more than ten years: write never, if that is meant")),
                hours => Ok(Self::After(hours * 3_600 * SECOND_MICROS)),
            };
        }
        let instant = if text.len() == "2027-01-01".len() { format!("{text}T00:00:00Z") } else { text.to_owned() };
        instant.parse().map(Self::At).map_err(|_| wrong())
    }
}

impl Expiry {
    fn from(self, now: Timestamp) -> CustodyResult<Option<i64>> {
        match self {
            Self::Never => Ok(None),
            Self::After(micros) => Ok(Some(now.micros().saturating_add(micros))),
            Self::At(at) if at <= now => Err(CustodyError::Usage(format!("{at} has passed: choose a later end"))),
            Self::At(at) => Ok(Some(at.micros())),
        }
    }
}

/// How an export is shared.
#[derive(Clone, Default)]
pub struct ShareOptions {
    /// When it ends by itself.
    pub expires: Expiry,
    /// How often each file may be had; as often as somebody asks unless told.
    pub downloads: Option<u32>,
    /// What else who has the link must know.
    pub passphrase: Option<Password>,
    /// What its owner wants to remember of it.
    pub note: String,
    /// Also an export that was not made for others.
    pub private_too: bool,
    /// What the link begins with, instead of what the settings say.
    pub base_url: Option<String>,
}

/// A share that was just made.
pub struct MadeShare {
    /// The link: shown once, and kept nowhere.
    pub link: Zeroizing<String>,
    /// What is known of it.
    pub share: ShareView,
}

impl fmt::Debug for MadeShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MadeShare({})", self.share.id)
    }
}

/// How a share stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShareState {
    /// Who has the link gets the files.
    Open,
    /// Its time is over.
    Expired,
    /// Its owner ended it.
    Ended,
    /// Each file was handed out as often as it may be.
    UsedUp,
    /// Too many wrong passphrases were tried.
    Closed,
    /// Something in it was erased since, or nobody can know whether.
    Outdated,
}

/// A share, as its owner may know it.
#[derive(Debug, Clone, Serialize)]
pub struct ShareView {
    /// What it is known by.
    pub id: String,
    /// The export.
    pub export: String,
    /// Where that is.
    pub out: String,
    /// How it stands.
    pub state: ShareState,
    /// When it was made.
    pub made: Timestamp,
    /// When it ends by itself.
    pub expires: Option<Timestamp>,
    /// How often each file may be had.
    pub downloads_max: Option<u64>,
    /// Files that were handed out.
    pub downloads: u64,
    /// Whether it needs a passphrase.
    pub passphrase: bool,
    /// Wrong passphrases since the last right one.
    pub wrong: u64,
    /// What its owner noted.
    pub note: String,
    /// Memories of it that were deleted since, and may still be in its files.
    pub deleted_since: Option<u64>,
}

/// How a share stands by what is noted of it.
fn state(row: &ShareRow, files: usize, now: Timestamp) -> ShareState {
    let all = row.downloads_max.map(|max| max.saturating_mul(files as i64));
    match row {
        _ if row.revoked.is_some() => ShareState::Ended,
        _ if row.expires.is_some_and(|at| at <= now.micros()) => ShareState::Expired,
        _ if row.wrong >= passphrases::WRONG_MAX => ShareState::Closed,
        _ if all.is_some_and(|all| row.downloads >= all) => ShareState::UsedUp,
        _ => ShareState::Open,
    }
}

/// Why an export cannot be handed to others by a link, whatever is asked for.
fn refuse_unfit(job: &Job) -> CustodyResult<()> {
    if job.state == ExportState::Begun || job.parts.is_empty() || job.parts.iter().any(Option::is_none) {
        return Err(CustodyError::Refused("it was begun and has not ended: the command that began it goes on with it".into()));
    }
    let is_folder = job.asked.book.is_none() && Container::of(&job.asked.out) == Container::Folder;
    if job.parts.iter().flatten().any(|part| part.length == 0) && !is_folder {
        return Err(CustodyError::Refused("it was made by an earlier version, which noted less of it: export anew, and share that".into()));
    }
    if is_folder {
        return Err(CustodyError::Refused(format!(
            "{} is a folder, and a link leads to files: make it an archive (--out NAME.zip), and share that",
            job.asked.out.display()
        )));
    }
    Ok(())
}

impl Custody {
    /// Makes a link to an export.
    ///
    /// # Errors
    /// The export was not made for others, is not what was made any more, or holds what was erased since.
    pub async fn share_export(&self, owner: OwnerId, id: &str, options: &ShareOptions) -> CustodyResult<MadeShare> {
        let result = self.make_share(owner, id, options).await;
        self.audited_failure(Some(owner), "export.share", id, result).await
    }

    async fn make_share(&self, owner: OwnerId, id: &str, options: &ShareOptions) -> CustodyResult<MadeShare> {
        let base = match &options.base_url {
            Some(base) => base.as_str(),
            None => self.config.get("share.url"),
        };
        let base = token::checked_base(base)?;
        let now = self.now();
        let expires = options.expires.from(now)?;
        if options.downloads == Some(0) {
            return Err(CustodyError::Usage("with no download at all nobody gets anything: say --downloads 1 or more".into()));
        }
        if options.note.chars().count() > NOTE_CHARS_MAX || options.note.chars().any(char::is_control) {
            return Err(CustodyError::Usage(format!("a note is one line of at most {NOTE_CHARS_MAX} characters")));
        }
        let job = self.job(owner, id).await?;
        refuse_unfit(&job)?;
        if !job.asked.for_sharing && !options.private_too {
            return Err(CustodyError::Refused(
                "it was not made for others, and may tell places, devices and what is sensitive: make one with `keepsake export --for-sharing`, or say --private-too".into(),
            ));
        }
        self.refuse_outdated(owner, &job).await?;
        let depot = self.depot_of(&job).await?;
        for number in 0..job.parts.len() {
            if !tokio::task::block_in_place(|| job.is_whole(number, depot.as_ref()))? {
                return Err(CustodyError::Refused(format!(
                    "{} is not what was made any more: make the export again, and share that",
                    job.parts[number].as_ref().map_or_else(|| job.part_path(number, job.parts.len()), |part| part.path.clone()).display()
                )));
            }
        }
        let passphrase = match &options.passphrase {
            Some(passphrase) => Some(self.sealed_passphrase(passphrase.clone()).await?),
            None => None,
        };
        let token = ShareToken::fresh(&*self.ambient);
        let row = ShareRow {
            owner,
            id: token.id(),
            export: job.id.clone(),
            hash: token.hash().to_string(),
            made: now.micros(),
            expires,
            downloads_max: options.downloads.map(i64::from),
            passphrase,
            wrong: 0,
            locked_until: 0,
            revoked: None,
            note: options.note.clone(),
            downloads: 0,
        };
        let told = json!({
            "share": row.id, "expires": row.expires, "downloads": row.downloads_max, "passphrase": row.passphrase.is_some(),
            "forSharing": job.asked.for_sharing,
        });
        let entry = self.entry(Some(owner), "export.share", &job.id, Outcome::Complete, told);
        self.vault.add_share(&row, &entry).await?;
        Ok(MadeShare { link: token.link(base.as_deref()), share: self.share_view(row, Some(&job), now).await? })
    }

    /// That nothing an export holds was erased since.
    async fn refuse_outdated(&self, owner: OwnerId, job: &Job) -> CustodyResult<()> {
        match self.since(owner, job).await? {
            Some(since) if since.erased == 0 => Ok(()),
            Some(_) => Err(CustodyError::Refused(
                "a memory that it may hold was erased since: delete this export, export anew, and share that".into(),
            )),
            None => Err(CustodyError::Refused(
                "the vault's history does not reach back to when it was made, so nobody can know what was erased since: export anew, and share that"
                    .into(),
            )),
        }
    }

    async fn share_view(&self, row: ShareRow, job: Option<&Job>, now: Timestamp) -> CustodyResult<ShareView> {
        let since = match job {
            Some(job) => self.since(row.owner, job).await?,
            None => None,
        };
        let state = match state(&row, job.map_or(1, |job| job.parts.len()), now) {
            ShareState::Open if since.is_none_or(|since| since.erased > 0) => ShareState::Outdated,
            state => state,
        };
        Ok(ShareView {
            state,
            out: job.map_or_else(String::new, |job| job.asked.out.display().to_string()),
            made: Timestamp::from_micros(row.made)?,
            expires: row.expires.map(Timestamp::from_micros).transpose()?,
            downloads_max: row.downloads_max.map(i64::cast_unsigned),
            downloads: row.downloads.cast_unsigned(),
            passphrase: row.passphrase.is_some(),
            wrong: row.wrong.cast_unsigned(),
            deleted_since: since.map(|since| since.deleted),
            id: row.id,
            export: row.export,
            note: row.note,
        })
    }

    /// An owner's shares, or those of one export, the oldest first. Those that ended long ago are forgotten now.
    ///
    /// # Errors
    /// The vault fails, or there is no such export.
    pub async fn shares(&self, owner: OwnerId, export: Option<&str>) -> CustodyResult<Vec<ShareView>> {
        let result = async {
            let now = self.now();
            let purge = self.done(owner, "share.purge", "");
            self.vault.purge_shares(owner, now.micros() - TOLD_MICROS, &purge).await?;
            let wanted = match export {
                Some(id) => Some(self.job(owner, id).await?.id),
                None => None,
            };
            let (rows, jobs) = (self.vault.shares(owner).await?, self.jobs(owner).await?);
            let mut views = Vec::new();
            for row in rows.into_iter().filter(|row| wanted.as_ref().is_none_or(|id| row.export == *id)) {
                let job = jobs.iter().find(|job| job.id == row.export);
                views.push(self.share_view(row, job, now).await?);
            }
            Ok(views)
        };
        let result = result.await;
        self.audited(Some(owner), "share.list", export.unwrap_or_default(), result).await
    }

    /// Ends a share at once.
    ///
    /// # Errors
    /// There is none of this id, or it has ended before.
    pub async fn unshare(&self, owner: OwnerId, id: &str) -> CustodyResult<String> {
        let result = async {
            let rows = self.vault.shares(owner).await?;
            let mut found = rows.into_iter().filter(|row| !id.is_empty() && row.id.starts_with(id));
            let row = match (found.next(), found.next()) {
                (Some(row), None) => row,
                (Some(_), Some(_)) => return Err(CustodyError::Usage(format!("several shares begin with `{id}`: write more of it"))),
                (None, _) => {
                    return Err(CustodyError::Usage(format!("there is no share `{id}`: `keepsake export shares` tells which there are")));
                }
            };
            let entry = self.entry(Some(owner), "export.unshare", &row.id, Outcome::Complete, json!({ "export": row.export }));
            if !self.vault.revoke_share(owner, &row.id, self.now().micros(), &entry).await? {
                return Err(CustodyError::Refused(format!("the share {} was ended before", row.id)));
            }
            Ok(row.id)
        };
        let result = result.await;
        self.audited_failure(Some(owner), "export.unshare", id, result).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_read() {
        let hours = |hours: i64| Ok(Expiry::After(hours * 3_600 * SECOND_MICROS));
        assert_eq!(("7d".parse(), "12h".parse(), "2w".parse(), "never".parse()), (hours(168), hours(12), hours(336), Ok(Expiry::Never)));
        let day: Timestamp = "2027-01-01T00:00:00Z".parse().expect("valid");
        assert_eq!(("2027-01-01".parse(), "2027-01-01T00:00:00Z".parse()), (Ok(Expiry::At(day)), Ok(Expiry::At(day))));
        for bad in ["", "0d", "7", "d", "-1d", "99999999w", "tomorrow", "2027-13-01", "é7d", "forever"] {
            assert!(bad.parse::<Expiry>().is_err(), "{bad}");
        }
        assert!(Expiry::At(day).from(day).is_err(), "an end must lie ahead");
        assert_eq!(Expiry::default().from(day).expect("ahead"), Some(day.micros() + 7 * DAY_MICROS));
    }
}
