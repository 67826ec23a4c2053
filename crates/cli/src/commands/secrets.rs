//! Words that nobody else is to see: from a file, or asked for. Never from the arguments of a program, which everybody on a machine may read.

use std::{
    io::{BufRead, IsTerminal},
    path::Path,
};

use keepsake_custody::{CustodyError, CustodyResult, Password, SealTo, Unlock};

use crate::args;

/// Files of secrets are short; whatever is longer was named by mistake.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A file that holds a secret, or public keys.
pub fn file(path: &Path) -> CustodyResult<String> {
    let failed = |source| CustodyError::Io { path: path.display().to_string(), source };
    if std::fs::metadata(path).map_err(failed)?.len() > FILE_BYTES_MAX {
        return Err(CustodyError::Usage(format!("{} is too long to hold what was asked for", path.display())));
    }
    std::fs::read_to_string(path).map_err(failed)
}

/// The first line of a file, or what somebody types, unseen.
pub fn line(from: Option<&Path>, question: &str) -> CustodyResult<Password> {
    let failed = |source| CustodyError::Io { path: "standard input".into(), source };
    if let Some(path) = from {
        let text = file(path)?;
        return Ok(Password::new(text.lines().next().unwrap_or_default().to_owned()));
    }
    if std::io::stdin().is_terminal() {
        return rpassword::prompt_password(format!("{question}: ")).map(Password::new).map_err(failed);
    }
    let mut text = String::new();
    std::io::stdin().lock().read_line(&mut text).map_err(failed)?;
    Ok(Password::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// A passphrase that is new: on a terminal it is asked for twice.
pub fn new_passphrase(from: Option<&Path>) -> CustodyResult<Password> {
    let first = line(from, "New passphrase")?;
    if from.is_none() && std::io::stdin().is_terminal() && line(None, "Once more")?.reveal() != first.reveal() {
        return Err(CustodyError::Usage("the two are not the same: run it again".into()));
    }
    Ok(first)
}

/// Who can open an export, if it is encrypted.
pub fn seal(args: &args::Whither) -> CustodyResult<Option<SealTo>> {
    if args.encrypt {
        return SealTo::passphrase(new_passphrase(args.passphrase_file.as_deref())?).map(Some);
    }
    if !args.is_encrypted() {
        return Ok(None);
    }
    let mut keys = args.encrypt_to.clone();
    for path in &args.encrypt_to_file {
        keys.push(file(path)?);
    }
    SealTo::keys(&keys.join("\n")).map(Some)
}

/// What opens encrypted files that are imported, if something was given.
pub fn unlock(args: &args::Import) -> CustodyResult<Option<Unlock>> {
    match (&args.identity, &args.passphrase_file) {
        (Some(path), _) => Unlock::keys(&file(path)?).map(Some),
        (None, Some(path)) => Ok(Some(Unlock::Passphrase(line(Some(path), "")?))),
        (None, None) => Ok(None),
    }
}
