//! Contracts of the records: each is given a database of its own with all tables, once of either kind.

/// Declares each contract as a test on either engine.
macro_rules! contracts {
    ($($name:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $name() {
                let folder = tempfile::tempdir().unwrap();
                let db = super::Db::open_sqlite(folder.path()).await.unwrap();
                super::migrate(&db).await.unwrap();
                super::$name(&db).await;
                db.close().await;
            })+
        }

        mod on_postgres {
            $(#[tokio::test]
            async fn $name() {
                let cluster = super::postgres::Cluster::start();
                let db = super::Db::open_postgres(&cluster.url()).await.unwrap();
                super::migrate(&db).await.unwrap();
                super::$name(&db).await;
                db.close().await;
            })+
        }
    };
}
