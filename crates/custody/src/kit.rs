//! The recovery kit: 24 words on paper that open every repository when all else is gone.
//!
//! The words are BIP-39 (English, 256 bits); their entropy is the secret of an age X25519 identity, so that the stock `age`
//! program opens the files beside each repository too. Only its public half is kept.

use bech32::{Bech32, Hrp};
use zeroize::Zeroizing;

use crate::{CustodyError, CustodyResult};

/// The kit itself, while it is being made or used.
pub struct RecoveryKit {
    words: Zeroizing<String>,
    identity: age::x25519::Identity,
}

impl RecoveryKit {
    /// Makes a kit of 256 random bits.
    ///
    /// # Errors
    /// Never for 32 bytes.
    pub fn from_entropy(entropy: &[u8; 32]) -> CustodyResult<Self> {
        let words = bip39::Mnemonic::from_entropy(entropy).map_err(|e| CustodyError::WrongKey(e.to_string()))?;
        Self::of(&words)
    }

    /// Reads the words of a kit; case and white space do not matter.
    ///
    /// # Errors
    /// Not 24 words of the list, or their check sum is wrong: a word was misread.
    pub fn from_words(text: &str) -> CustodyResult<Self> {
        let normal = Zeroizing::new(text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>().join(" "));
        let words = bip39::Mnemonic::parse_in_normalized(bip39::Language::English, &normal)
            .map_err(|e| CustodyError::WrongKey(format!("these are not the words of a recovery kit: {e}")))?;
        if words.word_count() != 24 {
            return Err(CustodyError::WrongKey("a recovery kit has 24 words".into()));
        }
        Self::of(&words)
    }

    fn of(words: &bip39::Mnemonic) -> CustodyResult<Self> {
        let entropy = Zeroizing::new(words.to_entropy());
        let bad = |e: String| CustodyError::WrongKey(format!("the kit's key cannot be made: {e}"));
        let hrp = Hrp::parse("age-secret-key-").map_err(|e| bad(e.to_string()))?;
        let text = Zeroizing::new(bech32::encode::<Bech32>(hrp, &entropy).map_err(|e| bad(e.to_string()))?.to_uppercase());
        let identity = text.parse().map_err(|e: &str| bad(e.to_owned()))?;
        Ok(Self { words: Zeroizing::new(words.to_string()), identity })
    }

    /// The words, to show once and print.
    pub fn words(&self) -> &str {
        &self.words
    }

    /// The public half, which is kept.
    pub fn recipient(&self) -> String {
        self.identity.to_public().to_string()
    }

    /// Opens a file that was sealed to this kit.
    ///
    /// # Errors
    /// It was sealed to another.
    pub fn open(&self, sealed: &[u8]) -> CustodyResult<Zeroizing<Vec<u8>>> {
        age::decrypt(&self.identity, sealed)
            .map(Zeroizing::new)
            .map_err(|_| CustodyError::WrongKey("this kit does not open it: it belongs to another installation".into()))
    }

    /// A page to print and put away: plain HTML without anything from elsewhere.
    pub fn page(&self, instance: &str, made: &str) -> String {
        let cells: String = self.words.split(' ').enumerate().map(|(i, word)| format!("<li value=\"{}\">{word}</li>", i + 1)).collect();
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Keepsake recovery kit</title>\n<style>\n\
             body {{ font: 12pt/1.5 Georgia, serif; max-width: 42em; margin: 3em auto; padding: 0 1em; color: #111; background: #fff }}\n\
             ol {{ columns: 3; font: 14pt/2 ui-monospace, monospace; border: 1px solid #111; padding: 1em 1em 1em 3.5em }}\n\
             @media print {{ body {{ margin: 0 }} }}\n</style>\n</head>\n<body>\n<h1>Keepsake recovery kit</h1>\n\
             <p>These 24 words open every backup of this installation when its computer, its keys and its passwords are gone. \
             Print this page, put it where you keep your passport, and delete the file. Whoever has the words can read every memory.</p>\n\
             <ol>{cells}</ol>\n<h2>To use it</h2>\n<p>Install Keepsake on any computer, take the words and the place of a backup, and run \
             <code>keepsake key kit --open PLACE</code>. It asks for the words and answers the password of the repository there; \
             Keepsake or the stock program <code>restic</code> then restores from it.</p>\n\
             <p>Installation {instance}, made {made}. Public key {}.</p>\n</body>\n</html>\n",
            self.recipient()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of docs/FORMAT.md.
    #[test]
    fn words_key_and_files_belong_together() {
        let kit = RecoveryKit::from_entropy(&[0; 32]).expect("32 bytes");
        assert_eq!(kit.words(), format!("{}art", "abandon ".repeat(23)));
        assert_eq!(kit.recipient(), "age19ljhmg68e43yx9fgm2k9lwefquc0la5y4lzvlshdjzv47kxt8d6qr9vf4p");
        let sealed = crate::keys::seal_to(&kit.recipient().parse().expect("a recipient"), b"password").expect("seal");
        let again = RecoveryKit::from_words(&kit.words().to_uppercase().replace(' ', "\n ")).expect("the same words");
        assert_eq!(again.open(&sealed).expect("opens").as_slice(), b"password");
        let other = RecoveryKit::from_entropy(&[1; 32]).expect("32 bytes");
        assert!(other.open(&sealed).is_err());
        assert!(RecoveryKit::from_words(&"abandon ".repeat(24)).is_err(), "the check sum is wrong");
    }
}
