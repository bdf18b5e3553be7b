//! The cloud service. Dependencies run one way: `db` ← `store`, `readings` ← `presence` ← `live` ←
//! `ingest`, `rollup`, `jobs`, `fleet` ← `http` ← `serve` ← `main`. Work never imports axum; `http` holds no rules.

pub mod config;
pub mod db;
pub mod store;
pub mod readings;
pub mod presence;
pub mod live;
pub mod ingest;
pub mod rollup;
pub mod jobs;
pub mod fleet;
pub mod auth;
pub mod http;
pub mod serve;
