//! The layer table: a crate depends only on crates below it.
//!
//! Tests may reach further than the code they test, so dev-dependencies have a table of their own.

use serde_json::Value;

use super::Findings;

const PROTO: &str = "mesh-proto";
const CHUNK: &str = "mesh-chunk";
const FAIR: &str = "mesh-fair";
const ANALYTICS: &str = "mesh-analytics";
const CORE: &str = "mesh-core";
const STORE: &str = "mesh-store";
const NET: &str = "mesh-net";
const SIM: &str = "mesh-sim";
const NODE: &str = "mesh-node";

struct Layer {
    package: &'static str,
    /// Packages of this workspace it may depend on.
    may_use: &'static [&'static str],
    /// Packages its tests may use besides.
    tests_may_use: &'static [&'static str],
}

const LAYERS: [Layer; 13] = [
    Layer { package: PROTO, may_use: &[], tests_may_use: &[] },
    Layer { package: CHUNK, may_use: &[PROTO], tests_may_use: &[] },
    Layer { package: FAIR, may_use: &[PROTO], tests_may_use: &[] },
    Layer { package: ANALYTICS, may_use: &[PROTO], tests_may_use: &[] },
    Layer { package: CORE, may_use: &[PROTO, CHUNK, FAIR, ANALYTICS], tests_may_use: &[] },
    Layer { package: STORE, may_use: &[PROTO, CHUNK], tests_may_use: &[] },
    Layer { package: NET, may_use: &[PROTO], tests_may_use: &[] },
    Layer { package: SIM, may_use: &[PROTO, CHUNK, FAIR, ANALYTICS, CORE, STORE], tests_may_use: &[] },
    Layer { package: NODE, may_use: &[PROTO, CHUNK, FAIR, ANALYTICS, CORE, STORE, NET], tests_may_use: &[] },
    Layer { package: "mesh-tests", may_use: &[PROTO, CHUNK, NODE], tests_may_use: &[] },
    Layer { package: "mesh-benches", may_use: &[PROTO, STORE, SIM, NODE, "mesh-tests"], tests_may_use: &[] },
    Layer {
        package: "mesh-fuzz",
        may_use: &[PROTO, CHUNK, ANALYTICS, CORE, STORE, NET, SIM, NODE],
        tests_may_use: &[],
    },
    Layer { package: "xtask", may_use: &[], tests_may_use: &[] },
];

pub fn check(metadata: &Value) -> Findings {
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    packages.iter().flat_map(check_package).collect()
}

fn check_package(package: &Value) -> Findings {
    let name = text(&package["name"]);
    let Some(layer) = LAYERS.iter().find(|layer| layer.package == name) else {
        return vec![format!("{name} has no place in the layer table (xtask/src/tidy/layers.rs)")];
    };
    let dependencies = package["dependencies"].as_array().map(Vec::as_slice).unwrap_or_default();
    dependencies.iter().filter_map(|dependency| breach(layer, dependency)).collect()
}

fn breach(layer: &Layer, dependency: &Value) -> Option<String> {
    let name = text(&dependency["name"]);
    let ours = LAYERS.iter().any(|other| other.package == name);
    if !ours || layer.may_use.contains(&name) {
        return None;
    }
    let for_tests = dependency["kind"] == "dev";
    if for_tests && layer.tests_may_use.contains(&name) {
        return None;
    }
    let what = if for_tests { "'s tests use" } else { " depends on" };
    Some(format!("{}{what} {name}, which does not lie below it", layer.package))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn package(name: &str, dependency: &str, kind: Value) -> Value {
        json!({"packages": [{"name": name, "dependencies": [{"name": dependency, "kind": kind}]}]})
    }

    #[test]
    fn a_crate_may_not_use_one_above_it() {
        assert_eq!(check(&package("mesh-core", "mesh-store", Value::Null)).len(), 1);
        assert_eq!(check(&package("mesh-core", "mesh-store", json!("dev"))).len(), 1);
        assert!(check(&package("mesh-core", "mesh-fair", Value::Null)).is_empty());
        assert!(check(&package("mesh-net", "libp2p", Value::Null)).is_empty());
    }

    #[test]
    fn an_unknown_crate_is_noticed() {
        assert_eq!(check(&package("mesh-new", "serde", Value::Null)).len(), 1);
    }
}
