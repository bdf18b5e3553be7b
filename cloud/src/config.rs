//! Settings: arguments, then the environment (the plan's names), then defaults. All mistakes are
//! reported at once.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use riverwatts_shared::time::parse_duration;
use tracing::level_filters::LevelFilter;

/// Shortest secret that signs tokens, in bytes.
const SECRET_BYTES_MIN: usize = 32;

/// How the service is set.
#[derive(Clone)]
pub struct Config {
    /// Folder of all files.
    pub data: PathBuf,
    /// Where it listens.
    pub listen: SocketAddr,
    /// PostgreSQL for records and readings; SQLite in the data folder when unset.
    pub database_url: Option<String>,
    /// `JWT_SECRET`; one is made in the data folder when unset.
    pub jwt_secret: Option<String>,
    /// `JWT_REFRESH_SECRET`; derived from the other when unset.
    pub jwt_refresh_secret: Option<String>,
    /// `JWT_EXPIRES_IN`.
    pub access_lives: Duration,
    /// `JWT_REFRESH_EXPIRES_IN`.
    pub refresh_lives: Duration,
    /// `REGISTRATION=on`: anybody may register as a customer.
    pub registration: bool,
    /// `FRONTEND_URL`: how browsers reach the service; with `https:` cookies are sent by it only.
    pub frontend_url: Option<String>,
    /// `CORS_ORIGIN`: other origins whose pages may use the API and open sockets.
    pub cors_origins: Vec<String>,
    /// `METRICS_TOKEN`: reads `/metrics` from elsewhere.
    pub metrics_token: Option<String>,
}

/// How the program logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// `LOG_FORMAT=json`; else text.
    pub json: bool,
    /// `LOG_LEVEL`.
    pub level: LevelFilter,
}

/// What the command line says; it wins over the environment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arguments {
    /// `--data`.
    pub data: Option<PathBuf>,
    /// `--host`.
    pub host: Option<IpAddr>,
    /// `--port`.
    pub port: Option<u16>,
}

/// All that is wrong with the settings, one line each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

impl Config {
    /// The settings by arguments and `env`, which looks up a variable.
    ///
    /// # Errors
    /// Every mistake, each with the name of its variable and the remedy.
    pub fn read(arguments: &Arguments, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, ConfigError> {
        let mut mistakes = Vec::new();
        let get = |name: &str| env(name).filter(|value| !value.is_empty());
        let mut parse = |name: &str, default: &str, wanted: &str, fits: &dyn Fn(&str) -> bool| {
            let value = get(name).unwrap_or_else(|| default.to_owned());
            if fits(&value) {
                value
            } else {
                mistakes.push(format!("{name}: `{value}` is {wanted}"));
                default.to_owned()
            }
        };
        let host = parse("HOST", "127.0.0.1", "no IP address", &|text| text.parse::<IpAddr>().is_ok());
        let port = parse("PORT", "8000", "no port (0 to 65535)", &|text| text.parse::<u16>().is_ok());
        let no_life = "no life of a token; write it like 15m or 7d, at least 1m";
        let lives = |text: &str| parse_duration(text).is_ok_and(|life| life >= Duration::from_secs(60));
        let access_lives = parse("JWT_EXPIRES_IN", "15m", no_life, &lives);
        let refresh_lives = parse("JWT_REFRESH_EXPIRES_IN", "7d", no_life, &lives);
        let registration = parse("REGISTRATION", "off", "neither `on` nor `off`", &|text| is_switch(text));
        let no_origins = "no list of origins; write them like `https://river.example, http://localhost:3000`";
        let are_origins = |text: &str| text.is_empty() || origins(text).all(is_origin);
        let cors_origins = parse("CORS_ORIGIN", "", no_origins, &are_origins);
        let database_url = get("DATABASE_URL");
        if database_url.as_ref().is_some_and(|url| !url.starts_with("postgres://") && !url.starts_with("postgresql://"))
        {
            // Without the value: it may have a password.
            mistakes.push("DATABASE_URL: begins with postgresql://, or is unset for SQLite".to_owned());
        }
        for name in ["JWT_SECRET", "JWT_REFRESH_SECRET"] {
            if get(name).is_some_and(|secret| secret.len() < SECRET_BYTES_MIN) {
                mistakes
                    .push(format!("{name}: shorter than {SECRET_BYTES_MIN} characters; try `openssl rand -hex 32`"));
            }
        }
        if get("JWT_SECRET").is_some() && get("JWT_SECRET") == get("JWT_REFRESH_SECRET") {
            mistakes.push("JWT_REFRESH_SECRET: is JWT_SECRET; the two must differ".to_owned());
        }
        if !mistakes.is_empty() {
            return Err(ConfigError(mistakes));
        }
        let host = arguments.host.or_else(|| host.parse().ok()).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let port = arguments.port.or_else(|| port.parse().ok()).unwrap_or_default();
        Ok(Config {
            data: data_folder(arguments, &get),
            listen: SocketAddr::new(host, port),
            database_url,
            jwt_secret: get("JWT_SECRET"),
            jwt_refresh_secret: get("JWT_REFRESH_SECRET"),
            access_lives: parse_duration(&access_lives).unwrap_or_default(),
            refresh_lives: parse_duration(&refresh_lives).unwrap_or_default(),
            registration: registration == "on",
            frontend_url: get("FRONTEND_URL"),
            cors_origins: origins(&cors_origins).filter(|origin| !origin.is_empty()).map(str::to_owned).collect(),
            metrics_token: get("METRICS_TOKEN"),
        })
    }
}

impl LogConfig {
    /// The settings by `env`, which looks up a variable.
    pub fn read(env: &dyn Fn(&str) -> Option<String>) -> Result<LogConfig, ConfigError> {
        let mut mistakes = Vec::new();
        let format = env("LOG_FORMAT").unwrap_or_default();
        if !["", "json", "text"].contains(&format.as_str()) {
            mistakes.push(format!("LOG_FORMAT: `{format}` is neither `json` nor `text`"));
        }
        let level = env("LOG_LEVEL").filter(|level| !level.is_empty()).unwrap_or_else(|| "info".to_owned());
        match level.parse() {
            Ok(level) if mistakes.is_empty() => return Ok(LogConfig { json: format == "json", level }),
            Ok(_) => {}
            Err(_) => mistakes.push(format!("LOG_LEVEL: `{level}` is none of error, warn, info, debug, trace, off")),
        }
        Err(ConfigError(mistakes))
    }
}

fn is_switch(text: &str) -> bool {
    text == "on" || text == "off"
}

fn origins(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim)
}

/// As browsers write it: scheme, host and, when it is not the scheme's own, port.
fn is_origin(text: &str) -> bool {
    let authority = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte);
    authority.is_some_and(|authority| !authority.is_empty() && authority.bytes().all(fits))
}

fn data_folder(arguments: &Arguments, get: &dyn Fn(&str) -> Option<String>) -> PathBuf {
    arguments
        .data
        .clone()
        .or_else(|| get("RIVERWATTS_DATA").map(PathBuf::from))
        .unwrap_or_else(|| Path::new("data").into())
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("data", &self.data)
            .field("listen", &self.listen)
            .field("postgres", &self.database_url.is_some())
            .field("registration", &self.registration)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &Arguments, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::read(arguments, &|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn arguments_win_over_the_environment_and_that_over_defaults() {
        let config = read(&Arguments::default(), &[]).unwrap();
        assert_eq!(config.listen, "127.0.0.1:8000".parse().unwrap());
        assert_eq!((config.access_lives.as_secs(), config.refresh_lives.as_secs()), (900, 604_800));
        let environment = [("PORT", "9000"), ("HOST", "::1"), ("RIVERWATTS_DATA", "/srv/x"), ("REGISTRATION", "on")];
        let config = read(&Arguments::default(), &environment).unwrap();
        assert_eq!(config.listen, "[::1]:9000".parse().unwrap());
        assert!(config.registration);
        assert_eq!(config.data, Path::new("/srv/x"));
        let arguments = Arguments { data: Some("/srv/y".into()), host: None, port: Some(0) };
        let config = read(&arguments, &environment).unwrap();
        assert_eq!((config.listen.port(), config.data.as_path()), (0, Path::new("/srv/y")));
    }

    #[test]
    fn origins_are_listed_as_browsers_write_them() {
        let listed =
            |text| read(&Arguments::default(), &[("CORS_ORIGIN", text)]).map(|config| config.cors_origins).ok();
        assert_eq!(listed(""), Some(Vec::new()));
        let two = ["https://river.example", "http://[::1]:3000"].map(str::to_owned).to_vec();
        assert_eq!(listed(" https://river.example,http://[::1]:3000 "), Some(two));
        for wrong in ["*", "null", "river.example", "https://", "https://river.example/", "https://a@b", "http://a,,"] {
            assert_eq!(listed(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn all_mistakes_are_told_at_once_and_without_secrets() {
        let error = read(
            &Arguments::default(),
            &[
                ("PORT", "70000"),
                ("HOST", "river"),
                ("JWT_EXPIRES_IN", "soon"),
                ("REGISTRATION", "maybe"),
                ("CORS_ORIGIN", "http://localhost:3000, *"),
                ("JWT_SECRET", "hunter2"),
                ("DATABASE_URL", "mysql://user:hunter3@db"),
            ],
        )
        .unwrap_err();
        assert_eq!(error.0.len(), 7, "{error}");
        assert!(!error.to_string().contains("hunter"), "{error}");
    }
}
