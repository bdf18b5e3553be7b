//! Decodes every `*.samples.toml` beside the profiles: raw words and what they must mean.

use std::collections::BTreeSet;
use std::path::PathBuf;

use riverwatts_shared::profile::{Profile, builtin, builtin_names, parse};

use crate::samples::problems;

/// A built-in profile, parsed.
pub(crate) fn profile(name: &str) -> Profile {
    let text = builtin(name).unwrap_or_else(|| panic!("no profile {name}"));
    parse(&format!("{name}.toml"), text).unwrap_or_else(|problems| {
        panic!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../firmware-configs")
}

#[test]
fn every_sample_of_every_profile_decodes_to_what_it_says() {
    for name in builtin_names() {
        let profile = profile(name);
        let path = folder().join(format!("{name}.samples.toml"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(text.matches("[[sample]]").count() >= 2, "{name} has too few samples");
        assert_eq!(problems(&profile, &format!("{name}.samples.toml"), &text), []);
    }
}

#[test]
fn every_profile_in_the_folder_is_built_in() {
    let files: BTreeSet<_> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|file| file.strip_suffix(".toml").map(str::to_owned))
        .filter(|name| !name.ends_with(".samples"))
        .collect();
    assert_eq!(files, builtin_names().map(str::to_owned).collect());
}
