//! Archives that only some can open: encrypted with age while they are written, to public keys or with a passphrase.
//!
//! What is encrypted is the same bytes for the same state; what comes out is another file each time, because age takes a new key for each.

use std::{
    fmt, fs,
    io::{self, BufReader, Read, Write},
    path::Path,
};

use age::{Decryptor, Encryptor, secrecy::SecretString, stream::StreamWriter};
use keepsake_formats::bag::{Container, SEALED, Sealed, is_sealed};
use keepsake_repository::Password;

use super::{depot::Depot, job::Job, shares::refuse_short};
use crate::{CustodyError, CustodyResult};

/// How a record calls an export that a passphrase opens.
const BY_PASSPHRASE: &str = "a passphrase";
/// So many keys at most: each takes a line in the head of the file.
const KEYS_MAX: usize = 100;

/// Who can open an export.
#[derive(Clone)]
pub enum SealTo {
    /// Who has one of the keys that belong to these (`age1…`).
    Keys(Vec<age::x25519::Recipient>),
    /// Who knows the passphrase.
    Passphrase(Password),
}

impl fmt::Debug for SealTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealTo({})", self.names().join(", "))
    }
}

/// What opens an export.
#[derive(Clone)]
pub enum Unlock {
    /// Keys (`AGE-SECRET-KEY-1…`).
    Keys(Vec<age::x25519::Identity>),
    /// A passphrase.
    Passphrase(Password),
}

impl SealTo {
    /// Reads public keys, one a line; lines that begin with `#` say something else.
    ///
    /// # Errors
    /// One is none, or there are none or too many.
    pub fn keys(lines: &str) -> CustodyResult<Self> {
        let mut keys = Vec::new();
        for line in worded(lines) {
            let key: age::x25519::Recipient = line.parse().map_err(|e: &str| {
                CustodyError::Usage(format!("`{}` is no public key of age ({e}): it needs the form age1…", shown(line)))
            })?;
            keys.push(key);
        }
        keys.sort_by_key(ToString::to_string);
        keys.dedup_by_key(|key| key.to_string());
        match keys.len() {
            0 => Err(CustodyError::Usage("there is no public key: `age-keygen` makes a key, and prints the public one (age1…)".into())),
            1..=KEYS_MAX => Ok(Self::Keys(keys)),
            _ => Err(CustodyError::Usage(format!("an export can be encrypted to {KEYS_MAX} keys at most"))),
        }
    }

    /// Takes a passphrase.
    ///
    /// # Errors
    /// It is too short: whoever has the file guesses as long as they like.
    pub fn passphrase(passphrase: Password) -> CustodyResult<Self> {
        refuse_short(&passphrase)?;
        Ok(Self::Passphrase(passphrase))
    }

    /// Whom it is encrypted to, as may be noted.
    pub(super) fn names(&self) -> Vec<String> {
        match self {
            Self::Keys(keys) => keys.iter().map(ToString::to_string).collect(),
            Self::Passphrase(_) => vec![BY_PASSPHRASE.into()],
        }
    }

    /// Puts a file under this seal.
    pub(crate) fn put_on(&self, file: fs::File) -> io::Result<Box<dyn Sealed>> {
        let encryptor = match self {
            Self::Keys(keys) => Encryptor::with_recipients(keys.iter().map(|key| key as &dyn age::Recipient)).map_err(io::Error::other)?,
            Self::Passphrase(passphrase) => Encryptor::with_user_passphrase(SecretString::from(passphrase.reveal().to_owned())),
        };
        Ok(Box::new(Sealing(encryptor.wrap_output(file)?)))
    }

    /// Refuses to go on with parts that another passphrase opens: somebody would need two for one export.
    pub(crate) fn refuse_others(&self, job: &Job, depot: Option<&Depot>) -> CustodyResult<()> {
        let (Self::Passphrase(passphrase), Some(part)) = (self, job.parts.iter().flatten().next()) else { return Ok(()) };
        let reader: Box<dyn Read> = match depot.filter(|_| part.sent) {
            Some(depot) => Box::new(depot.read(part)?),
            None => {
                let path = job.here(&part.path);
                Box::new(fs::File::open(&path).map_err(CustodyError::io(&path))?)
            }
        };
        match Unlock::Passphrase(passphrase.clone()).open(reader) {
            Ok(_) => Ok(()),
            Err(error) => Err(unopened(&part.path, error, || {
                "the parts that are there were encrypted with another passphrase: give that one, or begin again with --anew".into()
            })),
        }
    }
}

/// A file that is encrypted as it is written.
struct Sealing(StreamWriter<fs::File>);

impl Write for Sealing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Sealed for Sealing {
    fn finish(self: Box<Self>) -> io::Result<fs::File> {
        self.0.finish()
    }
}

/// Lines that say something, without what is around them.
fn worded(lines: &str) -> impl Iterator<Item = &str> {
    lines.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The beginning of a word; whoever pasted a secret key sees which, and nobody reads it.
fn shown(word: &str) -> String {
    let some: String = word.chars().filter(|c| !c.is_control()).take(12).collect();
    if some.len() < word.len() { format!("{some}…") } else { some }
}

/// That the name says whether it is encrypted.
pub(super) fn check(out: &Path, seal: Option<&SealTo>) -> CustodyResult<()> {
    match (seal.is_some(), is_sealed(out)) {
        (true, false) => Err(CustodyError::Usage(format!(
            "what is encrypted is called so, and only archives are: say --out {}{SEALED}",
            if Container::of(out) == Container::Folder { "memories.zip".to_owned() } else { out.display().to_string() }
        ))),
        (true, true) if Container::of(out) == Container::Folder => {
            Err(CustodyError::Usage("only archives are encrypted: call it NAME.zip.age or NAME.tar.gz.age".into()))
        }
        (false, true) => Err(CustodyError::Usage(format!(
            "{} ends like what is encrypted: say whom to with --encrypt-to, or --encrypt for a passphrase",
            out.display()
        ))),
        _ => Ok(()),
    }
}

impl Unlock {
    /// Reads keys as `age-keygen` writes them.
    ///
    /// # Errors
    /// A line is none, or there is none.
    pub fn keys(lines: &str) -> CustodyResult<Self> {
        let wrong = |number: usize| CustodyError::Usage(format!("line {number} of the identity file is no key of age (AGE-SECRET-KEY-1…)"));
        let keys: Vec<age::x25519::Identity> =
            worded(lines).zip(1..).map(|(line, number)| line.parse().map_err(|_: &str| wrong(number))).collect::<CustodyResult<_>>()?;
        if keys.is_empty() { Err(CustodyError::Usage("the identity file holds no key".into())) } else { Ok(Self::Keys(keys)) }
    }

    /// What is under a seal, in the clear.
    pub(super) fn open<R: Read>(&self, sealed: R) -> Result<impl Read, age::DecryptError> {
        let decryptor = Decryptor::new_buffered(BufReader::new(sealed))?;
        match self {
            Self::Keys(keys) => decryptor.decrypt(keys.iter().map(|key| key as &dyn age::Identity)),
            Self::Passphrase(passphrase) => {
                let identity = age::scrypt::Identity::new(SecretString::from(passphrase.reveal().to_owned()));
                decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity))
            }
        }
    }
}

/// Why something does not open: not everything is a wrong key.
pub(super) fn unopened(path: &Path, error: age::DecryptError, wrong: impl FnOnce() -> String) -> CustodyError {
    use age::DecryptError::{DecryptionFailed, Io, KeyDecryptionFailed, NoMatchingKeys};
    match error {
        Io(error) => CustodyError::io(path)(error),
        DecryptionFailed | KeyDecryptionFailed | NoMatchingKeys => CustodyError::WrongKey(wrong()),
        other => CustodyError::Damaged(format!("{} does not open: {other}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_and_secrets_not_shown() {
        let secret = age::x25519::Identity::generate();
        let public = secret.to_public().to_string();
        let seal = SealTo::keys(&format!("# mine\n{public}\n\n{public}\n")).expect("a key");
        assert_eq!(seal.names(), [public]);
        for bad in ["", "# only words", "age1", "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQ"] {
            let error = SealTo::keys(bad).expect_err(bad).to_string();
            assert!(!error.contains("QQQQQQ"), "{error}");
        }
        assert!(Unlock::keys("nothing").is_err() && Unlock::keys("").is_err());
        let told = format!("{:?}", SealTo::passphrase(Password::new("hunter2 and more".into())).expect("one"));
        assert!(told.contains(BY_PASSPHRASE) && !told.contains("hunter2"), "{told}");
        for short in ["", "hunter2"] {
            assert!(SealTo::passphrase(Password::new(short.into())).is_err(), "{short}");
        }
    }

    #[test]
    fn names_say_what_is_encrypted() {
        let seal = SealTo::passphrase(Password::new("a passphrase".into())).expect("one");
        for (name, seal, fits) in [
            ("a.zip.age", Some(&seal), true),
            ("a.tar.gz.age", Some(&seal), true),
            ("a.zip", Some(&seal), false),
            ("a.age", Some(&seal), false),
            ("a", Some(&seal), false),
            ("a.zip", None, true),
            ("a.zip.age", None, false),
        ] {
            assert_eq!(check(Path::new(name), seal).is_ok(), fits, "{name}");
        }
    }
}
