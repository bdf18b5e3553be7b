//! Where records and readings stand: in a folder, or in PostgreSQL.

use riverwatts_cloud::db::Db;
use riverwatts_cloud::db::migrate::migrate;
use riverwatts_cloud::readings::Readings;
use tempfile::TempDir;

use crate::postgres::Cluster;

/// Declares each test on either engine; a test is given its place.
macro_rules! on_each_engine {
    ($($name:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(super::place::Place::sqlite()).await;
            })+
        }

        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(super::place::Place::postgres()).await;
            })+
        }
    };
}

/// A place of the test's own.
pub struct Place {
    /// Of what does not stand in the database.
    pub folder: TempDir,
    cluster: Option<Cluster>,
}

impl Place {
    pub fn sqlite() -> Place {
        Place { folder: tempfile::tempdir().unwrap(), cluster: None }
    }

    pub fn postgres() -> Place {
        Place { cluster: Some(Cluster::start()), ..Place::sqlite() }
    }

    /// Another one of the same kind.
    #[allow(dead_code, reason = "not every suite needs several")]
    pub fn another(&self) -> Place {
        if self.cluster.is_some() { Place::postgres() } else { Place::sqlite() }
    }

    /// What stands there, empty at first.
    pub async fn open(&self) -> (Db, Readings) {
        let db = match &self.cluster {
            None => Db::open_sqlite(self.folder.path()).await.unwrap(),
            Some(cluster) => Db::open_postgres(&cluster.url()).await.unwrap(),
        };
        migrate(&db).await.unwrap();
        let readings = Readings::open(&db, self.folder.path()).await.unwrap();
        (db, readings)
    }
}
