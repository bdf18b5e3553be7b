//! Carries readings out without a link: what the cloud does not have yet, as batches in one file
//! for a USB stick. Works beside a running gateway, and changes nothing in its store.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use riverwatts_shared::batch::{Announcement, Batch, Item};
use riverwatts_shared::carry;
use riverwatts_shared::receipt::BatchId;
use riverwatts_shared::time::UtcMs;
use serde::Serialize;
use uuid::Uuid;

use crate::config::Config;
use crate::enroll::{Credential, EnrollError};
use crate::store::{History, LeftBehind, StoreError};
use crate::upload::announcement;

/// Readings from which on a batch is full; a segment may go beyond.
const READINGS_MAX: usize = 20_000;
/// Values from which on it is: far below what an encoded batch may take.
const VALUES_MAX: usize = 1 << 17;
/// Most items of a batch.
const ITEMS_MAX: usize = 1_024;

/// What was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// The file.
    pub file: PathBuf,
    /// How many readings are in it.
    pub readings: u64,
    /// How many gaps.
    pub gaps: u64,
    /// The oldest reading; `null` without any.
    pub from: Option<UtcMs>,
    /// The newest.
    pub to: Option<UtcMs>,
    /// Size of the file.
    pub bytes: u64,
    /// Readings that stay behind until the clock can be trusted.
    pub undated: u64,
}

/// Why nothing was carried out.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// There is no store.
    #[error("{} holds no store; run the gateway first, or name its configuration by --config", .0.display())]
    NoStore(PathBuf),
    /// Another version of the program wrote the store.
    #[error("the store in {} is of another version; start the gateway of this version once, then export", .0.display())]
    OtherVersion(PathBuf),
    /// The file is there already.
    #[error("{} is there already; name another file, or a folder", .0.display())]
    Exists(PathBuf),
    /// The file cannot be written.
    #[error("{} cannot be written: {cause}; is the stick full, or write-protected?", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The store cannot be read.
    #[error("the store cannot be read: {0}")]
    Store(#[from] StoreError),
    /// The credential cannot be read.
    #[error(transparent)]
    Credential(#[from] EnrollError),
}

impl From<rusqlite::Error> for ExportError {
    fn from(error: rusqlite::Error) -> Self {
        ExportError::Store(error.into())
    }
}

/// Writes what the cloud has not settled, and with `all` everything that is still here, into the
/// file `to`, or into a new one in the folder `to`. The file has its name only once it is whole.
///
/// # Errors
/// See [`ExportError`].
pub fn export(config: &Config, to: &Path, all: bool, now: UtcMs) -> Result<Exported, ExportError> {
    let history = History::of(&config.store.dir);
    if !history.exists() {
        return Err(ExportError::NoStore(config.store.dir.clone()));
    }
    if !history.is_current()? {
        return Err(ExportError::OtherVersion(config.store.dir.clone()));
    }
    let path = if to.is_dir() { to.join(file_name(&config.site.key, now)) } else { to.to_owned() };
    if path.exists() {
        return Err(ExportError::Exists(path));
    }
    let gateway_id = Credential::load(&config.store.dir)?.map(|credential| credential.gateway_id);
    let aside = path.with_extension("part");
    let wrong = |cause| ExportError::File { path: path.clone(), cause };
    let file = File::create(&aside).map_err(wrong)?;
    let mut out = Out::new(path.clone(), file);
    let done = write(config, &history, gateway_id, all, &mut out).and_then(|left| {
        std::fs::rename(&aside, &path).map_err(wrong)?;
        Ok(left)
    });
    let left = done.inspect_err(|_| {
        // What is half there helps nobody; that it cannot be removed changes nothing.
        let _ = std::fs::remove_file(&aside);
    })?;
    let Out { readings, gaps, span, bytes, .. } = out;
    let (from, to) = span.unzip();
    Ok(Exported { file: path, readings, gaps, from, to, bytes, undated: left.undated })
}

fn write(
    config: &Config,
    history: &History,
    gateway_id: Option<Uuid>,
    all: bool,
    out: &mut Out,
) -> Result<LeftBehind, ExportError> {
    out.put(&carry::head(gateway_id))?;
    let announced = history.announced()?;
    for announcement in announcements(config, &announced) {
        out.add(Item::Announcement(announcement))?;
    }
    let left = history.walk_all(all, |item| out.add(item))?;
    if left.broken > 0 {
        tracing::warn!(rows = left.broken, "rows of the store are broken and were left out");
    }
    out.close_batch()?;
    out.put(&carry::end(out.batches))?;
    out.finish()?;
    Ok(left)
}

/// As the cloud has taken them, else what is known without asking the device.
fn announcements(config: &Config, announced: &BTreeMap<String, String>) -> Vec<Announcement> {
    let known = |key: &str| serde_json::from_str(announced.get(key)?).ok();
    config.devices.iter().map(|device| known(&device.id).unwrap_or_else(|| announcement(device, None))).collect()
}

fn file_name(site: &str, now: UtcMs) -> String {
    let time: String = now.to_string().chars().filter(char::is_ascii_alphanumeric).take(15).collect();
    format!("{site}-{time}Z.{}", carry::EXTENSION)
}

/// The file in the making, and its batch in the making.
struct Out {
    path: PathBuf,
    file: BufWriter<File>,
    /// Batches of one file have an identity of their own, so that the same file twice is known again.
    id: Uuid,
    items: Vec<Item>,
    batch_readings: usize,
    batch_values: usize,
    batches: u32,
    readings: u64,
    gaps: u64,
    span: Option<(UtcMs, UtcMs)>,
    bytes: u64,
}

impl Out {
    fn new(path: PathBuf, file: File) -> Self {
        Out {
            path,
            file: BufWriter::new(file),
            id: Uuid::new_v4(),
            items: Vec::new(),
            batch_readings: 0,
            batch_values: 0,
            batches: 0,
            readings: 0,
            gaps: 0,
            span: None,
            bytes: 0,
        }
    }

    fn add(&mut self, item: Item) -> Result<(), ExportError> {
        match &item {
            Item::Announcement(_) | Item::Configuration(_) => {}
            Item::Gap(_) => self.gaps += 1,
            Item::Segment { segment, .. } => {
                self.batch_readings += segment.rows();
                self.batch_values += segment.rows() * segment.columns.len();
                self.readings += segment.rows() as u64;
                if let (Some(&first), Some(&last)) = (segment.times.first(), segment.times.last()) {
                    let (from, to) = self.span.unwrap_or((UtcMs(first), UtcMs(last)));
                    self.span = Some((from.min(UtcMs(first)), to.max(UtcMs(last))));
                }
            }
        }
        self.items.push(item);
        let is_full =
            self.batch_readings >= READINGS_MAX || self.batch_values >= VALUES_MAX || self.items.len() >= ITEMS_MAX;
        if is_full { self.close_batch() } else { Ok(()) }
    }

    fn close_batch(&mut self) -> Result<(), ExportError> {
        if self.items.is_empty() {
            return Ok(());
        }
        self.batches += 1;
        let id = BatchId { store: self.id, sequence: u64::from(self.batches) };
        let batch = Batch { id, revision: 0, items: std::mem::take(&mut self.items) };
        (self.batch_readings, self.batch_values) = (0, 0);
        self.put(&carry::frame(&batch.encode()))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|cause| self.wrong(cause))
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        let done = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        done.map_err(|cause| self.wrong(cause))
    }

    fn wrong(&self, cause: io::Error) -> ExportError {
        ExportError::File { path: self.path.clone(), cause }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use riverwatts_shared::carry::{Part, Reader};
    use riverwatts_shared::metric::Metric;
    use riverwatts_shared::reading::{Reading, Value};
    use riverwatts_shared::segment::Segment;
    use riverwatts_shared::time::ManualClock;

    use super::*;
    use crate::config::{Overrides, parse};
    use crate::store::{self, Flush, Lane, Limits, Settings, Settlement, Store};

    const T: i64 = 1_795_508_000_000;
    const CONFIG: &str = "[store]\ndir = \"store\"\n[[bus]]\nid = \"lan\"\nkind = \"tcp\"\naddress = \"127.0.0.1:1\"\n\
        [[device]]\nid = \"a\"\nbus = \"lan\"\nprofile = \"ott-svr100\"\nunit = 1\n\
        [[device]]\nid = \"b\"\nbus = \"lan\"\nprofile = \"ott-svr100\"\nunit = 2\n";

    fn flush(dated: bool, parts: &[(u16, &[i64])]) -> Arc<Flush> {
        let reading = |&ms: &i64| Reading { time: UtcMs(ms), values: vec![Value::ok(Metric::POWER, ms % 1_000)] };
        let segment = |times: &[i64]| Segment::from_readings(&times.iter().map(reading).collect::<Vec<_>>());
        let segments = parts.iter().map(|(place, times)| (*place, segment(times))).collect();
        Arc::new(Flush { dated, segments, ..Flush::default() })
    }

    fn site(folder: &Path) -> (Config, Store) {
        site_at(folder, Arc::new(ManualClock::at(UtcMs(T))))
    }

    fn site_at(folder: &Path, clock: Arc<ManualClock>) -> (Config, Store) {
        let config = parse(CONFIG, "edge.toml", folder, &Overrides::default()).unwrap();
        let keys = ["a", "b"].map(str::to_owned).to_vec();
        let dir = config.store.dir.clone();
        let settings = Settings { dir, max_bytes: 1 << 30, keep_free: None, keys, boot: Uuid::from_u128(1) };
        let (store, _) = store::start(settings, clock).unwrap();
        (config, store)
    }

    /// Device and time of every reading of a file, its announced keys, and its gateway.
    fn read(path: &Path) -> (Vec<(String, i64)>, Vec<String>, Option<Uuid>) {
        let mut reader = Reader::default();
        reader.feed(&std::fs::read(path).unwrap());
        let (mut readings, mut announced, mut gateway) = (Vec::new(), Vec::new(), None);
        while let Some(part) = reader.read().unwrap() {
            match part {
                Part::Head(id) => gateway = id,
                Part::End => {}
                Part::Batch(bytes) => {
                    for item in Batch::decode(&bytes).unwrap().items {
                        match item {
                            Item::Announcement(announcement) => announced.push(announcement.key),
                            Item::Segment { device, segment } => {
                                readings.extend(segment.times.iter().map(|&ms| (device.clone(), ms)));
                            }
                            Item::Gap(_) | Item::Configuration(_) => {}
                        }
                    }
                }
            }
        }
        assert_eq!(reader.finish(), Ok(()));
        readings.sort();
        (readings, announced, gateway)
    }

    fn expect(pairs: &[(&str, &[i64])]) -> Vec<(String, i64)> {
        pairs.iter().flat_map(|(key, times)| times.iter().map(|&ms| ((*key).to_owned(), T + ms))).collect()
    }

    #[tokio::test]
    async fn a_file_has_what_the_cloud_has_not_and_nothing_is_settled_by_it() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(UtcMs(T)));
        let (config, store) = site_at(folder.path(), Arc::clone(&clock));
        store.flush(flush(true, &[(0, &[T, T + 1]), (1, &[T])])).await.unwrap();
        let all = Limits { units: 100, readings: 1_000, bytes: 1 << 20 };
        let first = store.take(Lane::Backlog, all).await.unwrap().unwrap();
        // The cloud has it but for what it does not take of `b` yet.
        let kept = ["b".to_owned()].into();
        store.settle(first.cargo, Settlement { kept, ..Settlement::default() }).await.unwrap();
        // Receipts are written with a later flush; until then the file has what they settle, too.
        clock.advance(Duration::from_secs(60));
        store.flush(flush(true, &[(0, &[T + 2]), (1, &[T + 3])])).await.unwrap();
        store.flush(flush(false, &[(0, &[50, 60])])).await.unwrap();
        Credential {
            url: "https://cloud.example".to_owned(),
            gateway_id: Uuid::from_u128(7),
            credential: "x".to_owned(),
        }
        .save(&config.store.dir)
        .unwrap();

        let exported = export(&config, folder.path(), false, UtcMs(T)).unwrap();
        assert_eq!((exported.readings, exported.undated), (3, 2), "{exported:?}");
        assert_eq!((exported.from, exported.to), (Some(UtcMs(T)), Some(UtcMs(T + 3))));
        assert_eq!(exported.bytes, std::fs::metadata(&exported.file).unwrap().len());
        let (readings, announced, gateway) = read(&exported.file);
        assert_eq!(readings, expect(&[("a", &[2]), ("b", &[0, 3])]));
        assert_eq!((announced, gateway), (vec!["a".to_owned(), "b".to_owned()], Some(Uuid::from_u128(7))));
        let name = exported.file.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with("site-2026") && name.ends_with("Z.riverwatts"), "{name}");

        let whole = folder.path().join("whole.riverwatts");
        export(&config, &whole, true, UtcMs(T)).unwrap();
        assert_eq!(read(&whole).0, expect(&[("a", &[0, 1, 2]), ("b", &[0, 3])]));
        assert!(matches!(export(&config, &whole, true, UtcMs(T)), Err(ExportError::Exists(_))));
        assert_eq!(store.figures().backlog, 5, "what was carried out still goes by the link");
        store.close().await.unwrap();
        let left = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(!left.into_iter().any(|name| name.to_string_lossy().ends_with(".part")));
    }

    #[tokio::test]
    async fn sealed_readings_are_carried_too_in_batches_that_a_cloud_takes() {
        let folder = tempfile::tempdir().unwrap();
        let (config, store) = site(folder.path());
        let rows: Vec<i64> = (0..500).collect();
        for number in 0..120i64 {
            let times: Vec<i64> = rows.iter().map(|row| T + number * 500 + row).collect();
            store.flush(flush(true, &[(0, &times)])).await.unwrap();
        }
        store.close().await.unwrap();
        let path = folder.path().join("carried");
        let exported = export(&config, &path, false, UtcMs(T)).unwrap();
        assert_eq!(exported.readings, 60_000);
        assert_eq!(read(&path).0.len(), 60_000);
    }

    #[test]
    fn without_a_store_or_a_stick_the_remedy_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let config = parse(CONFIG, "edge.toml", folder.path(), &Overrides::default()).unwrap();
        let words = export(&config, folder.path(), false, UtcMs(T)).unwrap_err().to_string();
        assert!(words.contains("holds no store"), "{words}");
        drop(site(folder.path()));
        let file = rusqlite::Connection::open(config.store.dir.join("store.db")).unwrap();
        let version: i64 = file.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        for (version, words) in [(1, "of another version; start the gateway"), (version, "cannot be written")] {
            file.pragma_update(None, "user_version", version).unwrap();
            let told = export(&config, &folder.path().join("no/such/stick"), false, UtcMs(T)).unwrap_err().to_string();
            assert!(told.contains(words), "{told}");
        }
    }
}
