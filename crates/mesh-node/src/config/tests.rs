//! What is read is what was written, and what is wrong is shown.

use super::*;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Path::new("/data"), Path::new("mesh.toml"), text)
}

/// The sample with every key taken out of its comment.
fn uncommented() -> String {
    Config::sample()
        .lines()
        .filter_map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn an_unknown_key_is_refused_with_its_line() {
    let error = parse("mdns = true\nmnds = false\n").unwrap_err().to_string();
    assert!(error.contains("line 2") && error.contains("mnds = false"), "{error}");
    assert!(error.contains("unknown field"), "{error}");
}

#[test]
fn a_value_out_of_range_is_refused_with_its_line() {
    for (line, why) in [
        ("limit_up = \"fast\"", "rate"),
        ("quota = \"much\"", "size"),
        ("discipline = \"none\"", "first-come"),
        ("ping_interval = \"1ms\"", "out of range"),
        ("gossip_interval = \"0s\"", "out of range"),
        ("api_listen = \"0.0.0.0:80\"", "outside"),
        ("listen = []", "at least one"),
        ("peers = [\"somewhere\"]", "somewhere"),
        ("log = \"a=b=c\"", "filter"),
        ("log = \"blah blah\"", "not a level"),
    ] {
        let error = parse(&format!("# first\nmdns = true\n{line}\n")).unwrap_err().to_string();
        assert!(error.contains("line 3") && error.contains(line) && error.contains(why), "{error}");
    }
}

#[test]
fn the_table_has_every_key_and_the_defaults_that_hold() {
    let text = uncommented();
    let mut config = parse(&text).unwrap();
    assert!(!config.listen_is_default);
    config.listen_is_default = true;
    assert_eq!(config, parse("").unwrap());
    // An unknown key is answered with the list of those known: all of them must be in the table.
    let error = parse("zzz = 1").unwrap_err().to_string();
    let known = error.split("expected one of").nth(1).unwrap();
    let mut known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
    let mut table: Vec<&str> = table::KEYS.iter().map(|key| key.name).collect();
    known.sort_unstable();
    table.sort_unstable();
    assert_eq!(known, table);
    for key in table {
        assert!(Config::document().contains(&format!("## `{key}`")));
    }
}

#[test]
fn what_is_set_is_what_holds() {
    let config = parse(
        "name = \"attic\"\nlisten = [\"/ip4/127.0.0.1/tcp/0\"]\nlimit_up = \"10 MB/s\"\nlimit_down = 5000\n\
         quota = \"1 GiB\"\nmdns = false\nping_interval = \"0s\"\njournal = true\napi_listen = \"[::1]:9\"\n",
    )
    .unwrap();
    assert_eq!(config.brain.node_name, "attic");
    assert_eq!(config.brain.limit_up_bytes_per_s, 10_000_000);
    assert_eq!(config.brain.limit_down_bytes_per_s, 5000);
    assert_eq!(config.brain.quota_bytes, 1 << 30);
    assert_eq!(config.brain.ping_interval_ms, 0);
    assert!(!config.brain.mdns && config.journal && !config.listen_is_default);
    assert_eq!(config.api_listen, "[::1]:9".parse().unwrap());
}

#[test]
fn the_first_run_writes_a_file_that_the_second_reads() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let first = Config::load(&data, &Overrides::default()).unwrap();
    assert_eq!(fs::read_to_string(data.join("mesh.toml")).unwrap(), Config::sample());
    assert_eq!(Config::load(&data, &Overrides::default()).unwrap(), first);
}

#[test]
fn overrides_beat_the_file_and_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mesh.toml"), "limit_up = 5\npeers = [\"/ip4/10.0.0.1/tcp/1\"]\n").unwrap();
    let overrides = Overrides {
        listen: vec!["/ip4/127.0.0.1/tcp/0".to_owned()],
        peers: vec!["/ip4/10.0.0.2/tcp/1".to_owned()],
        no_mdns: true,
        limit_up: Some(0),
        ..Overrides::default()
    };
    let config = Config::load(folder.path(), &overrides).unwrap();
    assert_eq!(config.listen, overrides.listen);
    assert_eq!(config.brain.seeds.len(), 2);
    assert_eq!(config.brain.limit_up_bytes_per_s, 0);
    assert!(!config.brain.mdns);
    let wrong = Overrides { listen: vec!["nowhere".to_owned()], ..Overrides::default() };
    assert!(matches!(Config::load(folder.path(), &wrong), Err(ConfigError::Override { key: "listen", .. })));
}
