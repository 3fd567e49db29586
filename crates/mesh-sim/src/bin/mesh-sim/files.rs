//! Where scenarios lie, and how they are read.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use mesh_sim::experiment::MEASURES;
use mesh_sim::result::Expectation;
use mesh_sim::scenario::{FILE_BYTES_MAX, Scenario, Seeds};
use mesh_sim::topology::TopologyPlan;
use mesh_sim::topology::import::IMPORT_BYTES_MAX;
use mesh_sim::workload::{Trace, Workload};

/// One run of a scenario.
#[derive(clap::Args)]
pub struct OneRun {
    /// A scenario's name, or a file, such as the hunt saves.
    scenario: String,
    /// The seed; by default the scenario's first.
    #[arg(long)]
    seed: Option<u64>,
    /// Sets a value of the scenario, such as topology.nodes=50; may be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl OneRun {
    /// The scenario, the seed, and the traces that it names.
    pub fn read(&self) -> anyhow::Result<(Scenario, u64, BTreeMap<String, Trace>)> {
        let (path, scenario) = scenario(&self.scenario, &self.set, None)?;
        let seed = self.seed.or_else(|| scenario.seeds.all().first().copied()).unwrap_or(1);
        let traces = traces(&path, [&scenario])?;
        Ok((scenario, seed, traces))
    }
}

/// The folder of the scenarios that come with the simulator.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// Whether a file is one of the scenarios that come with the simulator.
pub fn comes_with_the_simulator(path: &Path) -> bool {
    let whole = |path: &Path| path.canonicalize().ok();
    path.parent().and_then(whole).is_some_and(|parent| Some(parent) == whole(&folder()))
}

/// Makes a folder that something will be written into: if that can't be, it is better known before what takes long.
pub fn make_folder(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("can't make the folder {}", folder.display()))
}

/// The scenarios that come with the simulator, by name.
pub fn all() -> anyhow::Result<Vec<(PathBuf, Scenario)>> {
    let folder = folder();
    let entries = std::fs::read_dir(&folder).with_context(|| format!("can't list {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    paths.into_iter().map(|path| Ok((path.clone(), read(&path)?))).collect()
}

/// A scenario by its name or by its file, with values set as asked.
pub fn scenario(name: &str, set: &[String], seeds: Option<&Seeds>) -> anyhow::Result<(PathBuf, Scenario)> {
    let own = folder().join(format!("{name}.toml"));
    let path = match Path::new(name) {
        path if path.is_file() => path.to_owned(),
        _ if own.is_file() => own,
        _ => {
            let names: Vec<String> = all()?.into_iter().map(|(_, scenario)| scenario.name).collect();
            bail!("there is no scenario `{name}`, and no such file; there are: {}", names.join(", "));
        }
    };
    let mut scenario = read(&path)?;
    for assignment in set {
        let (place, value) = assignment.split_once('=').with_context(|| {
            format!("`{assignment}` is not KEY=VALUE, such as topology.nodes=50 or catalogue.contents=3")
        })?;
        scenario = scenario.set(place.trim(), value.trim())?;
    }
    if let Some(seeds) = seeds {
        scenario.seeds = seeds.clone();
    }
    read_topology(&path, &mut scenario)?;
    let asked = scenario.measures.iter().map(String::as_str).chain(scenario.expect.iter().map(Expectation::measure));
    for name in asked {
        if !MEASURES.iter().any(|measure| measure.name == name) {
            bail!("{} names `{name}`, which nobody measures; `list --measures` tells what can be", path.display());
        }
    }
    Ok((path, scenario))
}

fn read(path: &Path) -> anyhow::Result<Scenario> {
    let length = std::fs::metadata(path).with_context(|| format!("can't read {}", path.display()))?.len();
    if length > FILE_BYTES_MAX as u64 {
        bail!("{} is too long for a scenario: {length} bytes", path.display());
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
    Scenario::from_toml(&text).with_context(|| format!("in {}", path.display()))
}

/// Reads the file of a scenario's topology, if it is one.
fn read_topology(path: &Path, scenario: &mut Scenario) -> anyhow::Result<()> {
    let TopologyPlan::File(file) = &mut scenario.topology else { return Ok(()) };
    let path = path.parent().unwrap_or(Path::new(".")).join(&file.path);
    let mut bytes = Vec::new();
    let opened =
        std::fs::File::open(&path).and_then(|file| file.take(IMPORT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes));
    opened.with_context(|| format!("can't read the topology {}", path.display()))?;
    file.take(&bytes).with_context(|| format!("in {}", path.display()))
}

/// The traces that variants of a scenario need, read from beside it.
pub fn traces<'a>(
    path: &Path,
    variants: impl IntoIterator<Item = &'a Scenario>,
) -> anyhow::Result<BTreeMap<String, Trace>> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let workloads: Vec<Workload> = variants.into_iter().map(Scenario::workload).collect();
    let names: BTreeSet<&str> = workloads.iter().flat_map(Workload::files).collect();
    let read = |name: &str| {
        let path = folder.join(name);
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("can't read the trace {}", path.display()))?;
        let trace = Trace::from_csv(&text).with_context(|| format!("in {}", path.display()))?;
        anyhow::Ok((name.to_owned(), trace))
    };
    names.into_iter().map(read).collect()
}
