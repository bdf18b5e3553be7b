//! The layers above the file: environment variables and `--set` arguments.

/// Prefix of every variable of the gateway.
const PREFIX: &str = "RIVERWATTS_";
/// Tables whose settings a variable may give; other variables with the prefix are not ours.
const TABLES: [&str; 6] = ["SITE_", "CLOUD_", "STORE_", "UPLOAD_", "PANEL_", "MQTT_"];

/// Settings from the environment and from arguments; an argument wins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Name of the variable without its prefix, and its value.
    variables: Vec<(String, String)>,
    /// Key such as `panel.listen`, and its value.
    arguments: Vec<(String, String)>,
}

impl Overrides {
    /// From the `RIVERWATTS_…` among `variables`, and from `(key, value)` of `--set key=value`.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>, arguments: Vec<(String, String)>) -> Self {
        let variables = variables
            .into_iter()
            .filter_map(|(name, value)| Some((name.strip_prefix(PREFIX)?.to_owned(), value)))
            .filter(|(name, _)| name == "PROFILES" || TABLES.iter().any(|table| name.starts_with(table)))
            .collect();
        Overrides { variables, arguments }
    }

    /// What the highest layer says of `key`.
    pub(super) fn find(&self, key: &str) -> Option<Override<'_>> {
        let argument = self.arguments.iter().rev().find(|(name, _)| name == key);
        let variable = || self.variables.iter().find(|(name, _)| *name == variable_of(key));
        argument
            .map(|(_, value)| Override::Argument(value))
            .or_else(|| variable().map(|(_, value)| Override::Variable(value)))
    }

    /// Layer, key and name of everything that is not among the `asked` keys.
    pub(super) fn unused(&self, asked: &[String]) -> Vec<(&'static str, String, String)> {
        let variables = self.variables.iter().filter(|(name, _)| !asked.iter().any(|key| variable_of(key) == *name));
        let arguments = self.arguments.iter().filter(|(name, _)| !asked.contains(name));
        variables
            .map(|(name, _)| ("environment", name.to_lowercase().replacen('_', ".", 1), format!("{PREFIX}{name}")))
            .chain(arguments.map(|(name, _)| ("arguments", name.clone(), format!("--set {name}"))))
            .collect()
    }
}

/// A setting of a layer above the file.
pub(super) enum Override<'a> {
    Variable(&'a str),
    Argument(&'a str),
}

impl Override<'_> {
    pub(super) fn text(&self) -> &str {
        match self {
            Override::Variable(text) | Override::Argument(text) => text,
        }
    }

    pub(super) const fn layer(&self) -> &'static str {
        match self {
            Override::Variable(_) => "environment",
            Override::Argument(_) => "arguments",
        }
    }

    /// How a person wrote the setting `key` in this layer.
    pub(super) fn name(&self, key: &str) -> String {
        match self {
            Override::Variable(_) => format!("{PREFIX}{}", variable_of(key)),
            Override::Argument(_) => format!("--set {key}"),
        }
    }
}

fn variable_of(key: &str) -> String {
    key.replace('.', "_").to_uppercase()
}
