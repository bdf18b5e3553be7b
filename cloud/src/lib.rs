//! The cloud service. Dependencies run one way: `db` ← `store`, `readings` ← `ingest`, `rollup`,
//! `presence`, `fleet` ← `http` ← `serve` ← `main`. Work never imports axum; `http` holds no rules.

pub mod config;
pub mod db;
pub mod store;
pub mod readings;
pub mod ingest;
pub mod rollup;
pub mod presence;
pub mod fleet;
pub mod auth;
pub mod http;
pub mod serve;
