//! A container with this machine's own system in it: a real systemd, where the package is installed and its services run.
//!
//! Its root is this machine's, under a layer in memory that takes all changes; its network has only a loopback
//! interface. So nothing here is changed, nothing has to be fetched, and no node outside is met.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::super::Package;
use super::{folder, word};
use crate::step;

/// What a container needs, and the Debian package that has it.
const PROGRAMS: [(&str, &str); 6] = [
    ("systemd-nspawn", "systemd-container"),
    ("unshare", "util-linux"),
    ("dbus-daemon", "dbus"),
    ("runuser", "util-linux"),
    ("ip", "iproute2"),
    ("pgrep", "procps"),
];
/// The init that it boots.
const INIT: &str = "/lib/systemd/systemd";
/// The module by which a person's manager is started.
const SESSIONS: &str = "systemd-logind";

/// How long all of it may take, booting included.
const SECONDS_MAX: &str = "300";
/// Where the container sees what it is given.
pub const GIVEN: &str = "/run/mesh-package";

/// Mounts the layer over the root and boots it, in a mount namespace that ends with it. `$1` is a folder of ours, `$2` the
/// command that is the container's only task; what follows are options of systemd-nspawn.
const SCRIPT: &str = r#"
layers=$1 task=$2; shift 2
mount -t tmpfs tmpfs "$layers"
mkdir "$layers/upper" "$layers/work" "$layers/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$layers/upper,workdir=$layers/work" "$layers/root"
# The first is this machine's alone; the second, of images without a manager, forbids maintainer scripts to stop services.
rm -f "$layers/root/etc/machine-id" "$layers/root/usr/sbin/policy-rc.d"
cat > "$layers/root/etc/systemd/system/mesh-package-check.service" <<UNIT
[Unit]
After=basic.target
SuccessAction=exit
FailureAction=exit
FailureActionExitStatus=1
[Service]
Type=oneshot
ExecStart=$task
StandardOutput=file:/run/mesh-package-out/log
StandardError=inherit
UNIT
exec systemd-nspawn --quiet --machine="mesh-package-$$" --directory="$layers/root" --register=no --keep-unit \
    --private-network --console=pipe "$@" --boot systemd.unit=mesh-package-check.service
"#;

/// Why no container can be booted here, in words for people.
pub fn obstacle(package: &Package) -> anyhow::Result<Option<String>> {
    if step::read(step::program("id", ["-u"]))?.trim() != "0" {
        return Ok(Some("only root can".to_owned()));
    }
    let missing = PROGRAMS.iter().filter(|(program, _)| step::find_program(program).is_none());
    let missing: Vec<String> =
        missing.map(|(program, of)| format!("{program} is not installed (apt-get install {of})")).collect();
    if !missing.is_empty() {
        return Ok(Some(missing.join(", ")));
    }
    if !Path::new(INIT).exists() {
        return Ok(Some("systemd is not installed (apt-get install systemd libpam-systemd)".to_owned()));
    }
    // Whether it boots at all: from there on, what fails is a fault of the package.
    let tried = boot(package, "/bin/true", &[])?;
    Ok((!tried.passed).then(|| format!("it does not boot: {}", tried.said.trim())))
}

/// Installs the package in a container, and looks at it there.
pub fn check(package: &Package) -> anyhow::Result<()> {
    eprintln!("=== check: installed in a container, with {SESSIONS} and systemd");
    let ourselves = std::env::current_exe().context("finding this very program failed")?;
    let given = [
        format!("--bind-ro={}:{GIVEN}/xtask", word(&ourselves)?),
        format!("--bind-ro={}:{GIVEN}/mesh-node.deb", word(&package.file.canonicalize()?)?),
    ];
    let task = format!("{GIVEN}/xtask package-installed {GIVEN}/mesh-node.deb");
    let booted = boot(package, &task, &given)?;
    eprint!("{}", booted.log);
    ensure!(booted.passed, "the package did not pass in the container; what it said is above: {}", booted.said.trim());
    Ok(())
}

struct Booted {
    /// Whether its task was done.
    passed: bool,
    /// What the task said.
    log: String,
    /// What the container said.
    said: String,
}

fn boot(package: &Package, task: &str, given: &[String]) -> anyhow::Result<Booted> {
    let (layers, out) = (folder(package, "layers")?, folder(package, "out")?);
    let mut command = Command::new("timeout");
    command.args(["--kill-after=10", SECONDS_MAX, "unshare", "--mount", "--propagation", "private"]);
    command.args(["sh", "-ec", SCRIPT, "sh", word(&layers)?, task]);
    command.arg(format!("--bind={}:/run/mesh-package-out", word(&out)?)).args(given);
    let output = command.stdin(std::process::Stdio::null()).output().context("starting the container failed")?;
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    let log = fs::read_to_string(out.join("log")).unwrap_or_default();
    Ok(Booted { passed: output.status.success(), log, said })
}
