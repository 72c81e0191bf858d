//! A bucket of an object store in which pictures lie.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use delta_kernel::object_store::{
    self, ObjectStore, ObjectStoreExt as _, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    path::Path,
};
use larder_records::{DeadReason, wire::Refused};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::JoinHandle,
    time::sleep,
};
use url::Url;

use super::{
    KafkaError,
    pictures::{refused, too_large},
};

/// How long to wait before a store is asked again: at first, and at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(10)];

/// The longest name of an object, in bytes.
const LONGEST_NAME: usize = 1024;

/// The name of an object that need not be there.
const PROBE: &str = ".larder";

/// A prefix of a bucket, with those who read it.
pub(super) struct Store {
    bucket: Arc<Bucket>,
    runtime: Runtime,
}

struct Bucket {
    objects: Box<dyn ObjectStore>,
    url: Url,
    prefix: Path,
    /// The largest picture that is read, in bytes.
    limit: u64,
    /// Whether the last one that was asked for could not be had, which was said.
    is_away: AtomicBool,
}

/// Why an object was not read.
enum Unread {
    /// It cannot be.
    Refused(Refused),
    /// The store is not to be reached now, or does not let this reader in.
    Away(object_store::Error),
}

impl Store {
    /// The bucket and prefix of `url`, with region, keys and endpoint from the environment, where it is to be reached within `patience`.
    ///
    /// # Errors
    /// [`KafkaError::Pictures`].
    pub(super) fn open(url: &Url, limit: u64, patience: Duration) -> Result<Self, KafkaError> {
        let failed = |fault: String| KafkaError::Pictures { url: url.to_string(), fault };
        let mut builder = AmazonS3Builder::from_env().with_url(url.as_str());
        let endpoint = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint]
            .iter()
            .find_map(|key| builder.get_config_value(key));
        if endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")) {
            builder = builder.with_allow_http(true);
        }
        // whoever waits for a picture is told that it does not come
        let retry = RetryConfig { max_retries: 0, ..RetryConfig::default() };
        let objects = builder.with_retry(retry).build().map_err(|error| failed(told(&error)))?;
        let prefix = Path::from_url_path(url.path()).map_err(|error| failed(error.to_string()))?;
        let bucket =
            Bucket { objects: Box::new(objects), url: url.clone(), prefix, limit, is_away: AtomicBool::new(false) };
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("pictures").enable_all().build();
        let runtime = runtime.map_err(|error: io::Error| failed(error.to_string()))?;
        runtime.block_on(bucket.answers(patience)).map_err(|error| failed(told(&error)))?;
        Ok(Self { bucket: Arc::new(bucket), runtime })
    }

    /// Begins to read the object of that name below the prefix, for as long as it takes.
    ///
    /// # Errors
    /// [`Refused`] for a name that is none.
    pub(super) fn read(&self, path: &str) -> Result<Errand, Refused> {
        let name = self.bucket.name(path)?;
        let (bucket, path) = (self.bucket.clone(), path.to_owned());
        let task = self.runtime.spawn(async move { bucket.read_on(&path, &name).await });
        Ok(Errand { task, runtime: self.runtime.handle().clone() })
    }
}

/// An object on its way.
pub(super) struct Errand {
    task: JoinHandle<Result<Bytes, Refused>>,
    runtime: Handle,
}

impl Errand {
    /// Whether there is no more to wait for.
    pub(super) fn is_done(&self) -> bool {
        self.task.is_finished()
    }

    /// What came of it.
    pub(super) fn end(self, path: &str) -> Result<Bytes, Refused> {
        let ended = self.runtime.block_on(self.task);
        ended.unwrap_or_else(|error| Err(refused(path, DeadReason::BadImage, &error.to_string())))
    }
}

impl Bucket {
    fn name(&self, path: &str) -> Result<Path, Refused> {
        let whole = format!("{}/{path}", self.prefix);
        let name = Path::parse(whole).ok().filter(|name| name.as_ref().len() <= LONGEST_NAME);
        name.ok_or_else(|| refused(path, DeadReason::Malformed, "no object has such a name"))
    }

    /// Whether it tells what is there from what is not.
    async fn probe(&self) -> Result<(), object_store::Error> {
        let probe = Path::from_iter(self.prefix.parts().chain([PROBE.into()]));
        match self.objects.get(&probe).await {
            Err(error) if !is_missing(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Waits until the store lets this reader in.
    async fn answers(&self, patience: Duration) -> Result<(), object_store::Error> {
        let began = Instant::now();
        loop {
            match self.probe().await {
                Ok(()) => return Ok(()),
                Err(error) if began.elapsed() >= patience => return Err(error),
                Err(error) => self.miss(&error),
            }
            sleep(PAUSES[0]).await;
        }
    }

    /// Reads an object, however long the store is away.
    async fn read_on(&self, path: &str, name: &Path) -> Result<Bytes, Refused> {
        let [mut pause, longest] = PAUSES;
        loop {
            match self.read(path, name).await {
                Ok(data) => return Ok(data),
                Err(Unread::Refused(refused)) => return Err(refused),
                Err(Unread::Away(error)) => self.miss(&error),
            }
            sleep(pause).await;
            pause = (2 * pause).min(longest);
        }
    }

    /// Says once that the store is away.
    fn miss(&self, error: &object_store::Error) {
        if !self.is_away.swap(true, Ordering::Relaxed) {
            tracing::error!("the pictures at {}: {}; records that name them wait, trying on", self.url, told(error));
        }
    }

    async fn read(&self, path: &str, name: &Path) -> Result<Bytes, Unread> {
        let found = match self.objects.get(name).await {
            Ok(found) => found,
            Err(error) => return Err(self.unread(path, error).await),
        };
        self.is_away.store(false, Ordering::Relaxed);
        // told before the picture itself comes
        if found.meta.size > self.limit {
            return Err(Unread::Refused(too_large(path, self.limit)));
        }
        found.bytes().await.map_err(Unread::Away)
    }

    async fn unread(&self, path: &str, error: object_store::Error) -> Unread {
        use object_store::Error::{PermissionDenied, Unauthenticated};
        let forbidden = matches!(error, PermissionDenied { .. } | Unauthenticated { .. });
        // what the store says besides is another with every request
        let why = if is_missing(&error) {
            "there is no such object"
        } else if forbidden && self.probe().await.is_ok() {
            "the store does not let it be read"
        } else {
            return Unread::Away(error);
        };
        self.is_away.store(false, Ordering::Relaxed);
        Unread::Refused(refused(path, DeadReason::BadImage, why))
    }
}

/// Whether an object is not there, in a bucket that is.
fn is_missing(error: &object_store::Error) -> bool {
    match error {
        object_store::Error::NotFound { source, .. } => !source.to_string().contains("<Code>NoSuchBucket</Code>"),
        _ => false,
    }
}

/// An error in one line.
fn told(error: &object_store::Error) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}
