//! A home: the folder of an embedded instance, made by `init` and opened by everything else.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use keepsake_formats::programs::Programs;
use keepsake_record::{InstanceId, Owner, OwnerId, OwnerSettings, Timestamp, layout::ShardLimits};
use keepsake_repository::SystemAmbient;
use keepsake_storage::{LocalStore, Store};
use keepsake_vault::{Ambient, AuditEntry, DestinationRow, Outcome, Vault, VaultUrl};
use serde_json::json;

use crate::{Config, CustodyError, CustodyResult, FileKeyProvider, KeyProvider, Monitor, RecoveryKit, places::OpenPlaces};

/// What tests put between a home and a destination of a name.
pub(crate) type Faults = Arc<dyn Fn(&str, Arc<dyn Store>) -> Arc<dyn Store> + Send + Sync>;

/// An open home.
pub struct Custody {
    pub(crate) home: PathBuf,
    pub(crate) config: Config,
    pub(crate) vault: Vault,
    pub(crate) keys: Arc<dyn KeyProvider>,
    pub(crate) ambient: Arc<dyn Ambient>,
    pub(crate) engine: Arc<dyn keepsake_repository::Ambient>,
    pub(crate) actor: String,
    pub(crate) limits: ShardLimits,
    pub(crate) faults: Option<Faults>,
    pub(crate) open_places: OpenPlaces,
    /// Programs of others that exports ask.
    pub(crate) programs: Programs,
    instance: InstanceId,
}

impl std::fmt::Debug for Custody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Custody({})", self.home.display())
    }
}

/// What `init` made.
pub struct InitReport {
    /// The open home.
    pub custody: Custody,
    /// Its first owner.
    pub owner: Owner,
    /// The recovery kit: shown once.
    pub kit: RecoveryKit,
    /// The page with the kit, to print and delete.
    pub kit_page: PathBuf,
}

/// The recovery kit's public key, as a fact of the vault.
pub(crate) const KIT_RECIPIENT: &str = "kit_recipient";
const INSTANCE: &str = "instance_id";
/// The destination that every home has.
pub(crate) const DEFAULT_DESTINATION: &str = "default";

impl Custody {
    /// Makes a home with one owner, the default destination, the recovery kit and the system repository.
    ///
    /// # Errors
    /// There is a home already, or something cannot be written.
    pub async fn init(
        home: &Path,
        environment: &BTreeMap<String, String>,
        owner_name: &str,
        actor: &str,
        ambient: Arc<dyn Ambient>,
    ) -> CustodyResult<InitReport> {
        if home.join("instance.key").exists() {
            return Err(CustodyError::Refused(format!("{} is a home already; `keepsake doctor` tells how it is", home.display())));
        }
        fs::create_dir_all(home).map_err(CustodyError::io(home))?;
        fs::set_permissions(home, fs::Permissions::from_mode(0o700)).map_err(CustodyError::io(home))?;
        let config_path = home.join("keepsake.toml");
        if !config_path.exists() {
            fs::write(&config_path, Config::template()).map_err(CustodyError::io(&config_path))?;
        }
        let mut entropy = zeroize::Zeroizing::new([0; 32]);
        ambient.fill(entropy.as_mut());
        let kit = RecoveryKit::from_entropy(&entropy)?;
        let had_vault = home.join("vault.db").exists();
        // The key comes last of the files: a home without one was not finished, and init may be run again.
        let keys: Arc<dyn KeyProvider> = Arc::new(FileKeyProvider::create(&home.join("instance.key"))?);
        let made = Self::finish_init(home, environment, owner_name, actor, ambient, keys, kit).await;
        if made.is_err() {
            // What this run made goes again, so that the next one starts afresh.
            let vault = ["vault.db", "vault.db-wal", "vault.db-shm"].into_iter().filter(|_| !had_vault);
            for file in vault.chain(["instance.key"]).map(|name| home.join(name)).filter(|file| file.exists()) {
                fs::remove_file(&file).map_err(CustodyError::io(&file))?;
            }
        }
        made
    }

    async fn finish_init(
        home: &Path,
        environment: &BTreeMap<String, String>,
        owner_name: &str,
        actor: &str,
        ambient: Arc<dyn Ambient>,
        keys: Arc<dyn KeyProvider>,
        kit: RecoveryKit,
    ) -> CustodyResult<InitReport> {
        let mut custody = Self::assemble(home, environment, actor, ambient, keys).await?;
        let now = custody.now();
        if custody.vault.fact(INSTANCE).await?.is_some() {
            return Err(CustodyError::Refused("this vault belongs to another home, whose instance.key is needed to open it".into()));
        }
        custody.instance = custody.new_id(InstanceId::from_parts);
        let entry = custody.instance_entry("init", &home.display().to_string());
        let recipient = kit.recipient();
        custody.vault.set_fact(KIT_RECIPIENT, &recipient, &entry).await?;
        let backups = DestinationRow { name: DEFAULT_DESTINATION.into(), url: "file:backups".into(), ..DestinationRow::default() };
        custody.vault.add_destination(&backups, &custody.instance_entry("destination.add", &backups.name)).await?;
        let owner = custody.new_owner(owner_name);
        custody.vault.create_owner(&owner, &custody.done(owner.id, "owner.create", &owner.name)).await?;
        custody.system_repository().await?;
        custody.close_places().await?;
        // The instance id comes last: a home without one was not finished.
        let kit_page = home.join("recovery-kit.html");
        fs::write(&kit_page, kit.page(&custody.instance.to_string(), &now.to_string())).map_err(CustodyError::io(&kit_page))?;
        fs::set_permissions(&kit_page, fs::Permissions::from_mode(0o600)).map_err(CustodyError::io(&kit_page))?;
        custody.vault.set_fact(INSTANCE, &custody.instance.to_string(), &entry).await?;
        Ok(InitReport { custody, owner, kit, kit_page })
    }

    /// Opens a home.
    ///
    /// # Errors
    /// There is none, its key is missing or readable by others, or its vault is newer than this program.
    pub async fn open(home: &Path, environment: &BTreeMap<String, String>, actor: &str, ambient: Arc<dyn Ambient>) -> CustodyResult<Self> {
        let key = home.join("instance.key");
        if !key.exists() && home.join("vault.db").exists() {
            let lost = "put it back from a copy, or bring the memories into a new home with the recovery kit (`keepsake key kit --open`)";
            return Err(CustodyError::Damaged(format!("the vault at {} is here but its instance.key is missing: {lost}", home.display())));
        }
        if !key.exists() {
            return Err(CustodyError::Usage(format!("there is no Keepsake home at {}: make one with `keepsake init`", home.display())));
        }
        let keys = Arc::new(FileKeyProvider::load(&key)?);
        let mut custody = Self::assemble(home, environment, actor, ambient, keys).await?;
        let Some(instance) = custody.vault.fact(INSTANCE).await? else {
            return Err(CustodyError::Damaged(format!(
                "the home at {} was not finished: remove it and run `keepsake init` again",
                home.display()
            )));
        };
        custody.instance = instance.parse()?;
        // What cannot be removed is named by the next import.
        drop(custody.sweep_unsealed());
        Ok(custody)
    }

    async fn assemble(
        home: &Path,
        environment: &BTreeMap<String, String>,
        actor: &str,
        ambient: Arc<dyn Ambient>,
        keys: Arc<dyn KeyProvider>,
    ) -> CustodyResult<Self> {
        let home = std::path::absolute(home).map_err(CustodyError::io(home))?;
        let config = Config::load(&home.join("keepsake.toml"), environment)?;
        let url = match config.get("vault.url").parse()? {
            VaultUrl::Sqlite(path) => VaultUrl::Sqlite(home.join(path)),
            other => other,
        };
        let media = Arc::new(LocalStore::open(home.join(config.get("media.path")))?);
        let vault = Vault::open(&url, media, ambient.clone()).await?;
        if let VaultUrl::Sqlite(path) = &url {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(CustodyError::io(path))?;
        }
        let instance = InstanceId::from_bytes([0; 16]);
        Ok(Self {
            home,
            config,
            vault,
            keys,
            ambient,
            engine: Arc::new(SystemAmbient),
            actor: actor.into(),
            limits: ShardLimits::FORMAT,
            faults: None,
            open_places: OpenPlaces::default(),
            programs: Programs::of_path(environment.get("PATH").map_or("", String::as_str)),
            instance,
        })
    }

    /// Cuts days into smaller files than the format does, so that tests reach every case with few memories.
    #[doc(hidden)]
    #[must_use]
    pub fn with_limits_for_tests(mut self, limits: ShardLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Puts something between this home and its destinations.
    #[doc(hidden)]
    #[must_use]
    pub fn with_faults_for_tests(mut self, faults: Faults) -> Self {
        self.faults = Some(faults);
        self
    }

    /// Asks these programs instead of those that are installed.
    #[doc(hidden)]
    #[must_use]
    pub fn with_programs_for_tests(mut self, programs: Programs) -> Self {
        self.programs = programs;
        self
    }

    /// The programs that an export asks, until somebody asks it to stop.
    pub(crate) fn programs_until(&self, monitor: &Arc<dyn Monitor>) -> Programs {
        let monitor = monitor.clone();
        self.programs.anew().until(move || monitor.cancelled())
    }

    /// Where programs work for files that will stand in a folder: in the home for what is sealed, since that is the clear.
    pub(crate) fn workspace(&self, folder: &Path, is_sealed: bool) -> PathBuf {
        if is_sealed { self.home.clone() } else { folder.to_owned() }
    }

    /// Closes the vault.
    pub async fn close(&self) {
        self.vault.close().await;
    }

    /// The folder.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The configuration in force.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The vault, for tests and for readers that need more than the verbs give.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// This installation.
    pub fn instance(&self) -> InstanceId {
        self.instance
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.ambient.now()
    }

    pub(crate) fn new_id<T>(&self, make: impl FnOnce(u64, [u8; 10]) -> T) -> T {
        let mut random = [0; 10];
        self.ambient.fill(&mut random);
        make(self.now().id_millis(), random)
    }

    pub(crate) fn instance_entry(&self, verb: &'static str, subject: &str) -> AuditEntry {
        self.entry(None, verb, subject, Outcome::Complete, json!({}))
    }

    fn new_owner(&self, name: &str) -> Owner {
        Owner {
            created: self.now(),
            id: self.new_id(OwnerId::from_parts),
            name: name.into(),
            settings: OwnerSettings::default(),
            extra: BTreeMap::new(),
        }
    }

    /// All owners, by name.
    ///
    /// # Errors
    /// The vault fails.
    pub async fn owners(&self) -> CustodyResult<Vec<Owner>> {
        Ok(self.vault.owners().await?)
    }

    /// Makes another owner.
    ///
    /// # Errors
    /// The name is taken or breaks a rule.
    pub async fn create_owner(&self, name: &str) -> CustodyResult<Owner> {
        let owner = self.new_owner(name);
        let result = self.vault.create_owner(&owner, &self.done(owner.id, "owner.create", name)).await;
        self.audited_failure(None, "owner.create", name, result.map_err(CustodyError::from)).await?;
        Ok(owner)
    }

    /// The owner of a name; without one, the only owner.
    ///
    /// # Errors
    /// There is no such owner, or several and none was named.
    pub async fn owner(&self, name: Option<&str>) -> CustodyResult<Owner> {
        let mut owners = self.owners().await?;
        let names = owners.iter().map(|o| o.name.as_str()).collect::<Vec<_>>().join(", ");
        match name {
            Some(name) => match owners.into_iter().find(|o| o.name == name || o.id.to_string() == name) {
                Some(owner) => Ok(owner),
                None => Err(CustodyError::Usage(format!("there is no owner `{name}`; there are {names}"))),
            },
            None if owners.len() == 1 => Ok(owners.remove(0)),
            None => Err(CustodyError::Usage(format!("this home has several owners: name one with --owner ({names})"))),
        }
    }
}
