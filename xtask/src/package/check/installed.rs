//! Inside the container: installs the package and does with it what people would.
//!
//! Start at [`run`]. The unit of the system must see what its drop-in names and nothing else; the unit of a person must
//! see that person's files; both must be ready when they say so, exchange a file, stop when asked, and be gone with the
//! package.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use clap::Args;

use super::unit;
use crate::step;

#[derive(Args)]
pub struct Options {
    /// The package.
    file: PathBuf,
}

/// The unit, in either manager.
const UNIT: &str = "mesh-node";
/// The user of the unit of the system, and its data.
const SYSTEM_USER: &str = "_mesh-node";
const SYSTEM_DATA: &str = "/var/lib/mesh-node";
/// A person, made for this.
const PERSON: &str = "mesh-person";
/// What the drop-in names: a folder to share from, and one to fetch into.
const PUBLIC: &str = "/srv/mesh-public";
const INCOMING: &str = "/srv/mesh-incoming";
const DROP_IN: &str = "/etc/systemd/system/mesh-node.service.d/folders.conf";
/// The example of it, as the package has it.
const EXAMPLE: &str = "/usr/share/doc/mesh-node/examples/folders.conf";

/// Has bash complete `mesh-node sha`, by whatever function the file registers.
const COMPLETE: &str = r#"
source /usr/share/bash-completion/completions/mesh-node
how=$(complete -p mesh-node) how=${how#*-F }
COMP_WORDS=(mesh-node sha) COMP_CWORD=1
"${how%% *}" mesh-node sha mesh-node
echo "${COMPREPLY[@]}"
"#;

/// Where the program looks whether the clock follows a server, and how many files it wants to open.
const CLOCK: &str = "/run/systemd/timesync/synchronized";
const OPEN_FILES: &str = "65536";

/// An address for documentation, which nobody has.
const ADDRESS: &str = "192.0.2.1/24";

/// Longer than the five seconds after which a service that died is started again.
const WAIT: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(200);

/// Does all of it.
///
/// # Errors
/// What is not as it should be.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let file = options.file.to_str().context("the package's path is not UTF-8")?;
    install(file)?;
    pages()?;
    completions()?;
    run_shown("mesh-node", &["demo"])?;
    system_unit()?;
    let person = Person::log_in()?;
    exchange(&person)?;
    stop(&person)?;
    remove(&person)
}

fn install(file: &str) -> anyhow::Result<()> {
    say("installing changes nothing but files, a user and a folder in /run");
    // Some images leave out manual pages; ours are looked for below.
    run_shown("dpkg", &["--path-include=*", "--install", file])?;
    let altered = read("dpkg", &["--verify", "mesh-node"])?;
    ensure!(altered.trim().is_empty(), "installed, files differ from the package: {altered}");
    read("id", &[SYSTEM_USER]).context("the user of the service was not made")?;
    for manager in ["--system", "--global"] {
        let enabled = said("systemctl", &[manager, "is-enabled", UNIT]);
        ensure!(enabled.trim() == "disabled", "nobody asked for it, and {manager} says: {enabled}");
    }
    ensure!(said("systemctl", &["is-active", UNIT]).trim() == "inactive", "it was started and nobody asked for it");
    let version = read("mesh-node", &["--version"])?;
    ensure!(version.starts_with("mesh-node "), "mesh-node --version says: {version}");
    Ok(())
}

fn pages() -> anyhow::Result<()> {
    if step::find_program("man").is_none() {
        say("SKIPPED: manual pages as man shows them; it is not installed (apt-get install man-db)");
        return Ok(());
    }
    say("man shows the pages");
    for (page, word) in
        [("mesh-node", "Exit codes"), ("mesh-node-get", "--output"), ("mesh-node-member-revoke", "--force")]
    {
        // The page itself has its hyphens escaped.
        let text = read("man", &["--pager=cat", "--encoding=ascii", page])?;
        ensure!(text.contains(word), "the page {page} does not speak of {word}");
    }
    Ok(())
}

fn completions() -> anyhow::Result<()> {
    say("bash completes a command");
    let words = read("bash", &["-c", COMPLETE])?;
    ensure!(words.trim() == "share", "bash completes `mesh-node sha` to: {words}");
    let others = [
        ("zsh", "--no-exec", "/usr/share/zsh/vendor-completions/_mesh-node"),
        ("fish", "--no-execute", "/usr/share/fish/vendor_completions.d/mesh-node.fish"),
    ];
    for (shell, option, file) in others {
        if step::find_program(shell).is_none() {
            say(&format!("SKIPPED: {file} in its shell; {shell} is not installed"));
            continue;
        }
        say(&format!("{shell} reads its completions"));
        read(shell, &[option, file])?;
    }
    Ok(())
}

fn system_unit() -> anyhow::Result<()> {
    say("the unit of the system is ready when its start is done, and rules of its sandbox hold");
    // Nodes of this machine meet over the loopback interface; the container has no other.
    run_shown("ip", &["link", "set", "lo", "up"])?;
    for folder in [PUBLIC, INCOMING] {
        fs::create_dir_all(folder).with_context(|| format!("making {folder} failed"))?;
    }
    run_shown("chown", &[SYSTEM_USER, INCOMING])?;
    let shared = Path::new(PUBLIC).join("shared");
    fs::write(&shared, "of the system\n")?;
    fs::write("/tmp/mesh-outside", "of somebody else\n")?;
    // As systemd-timesyncd makes it, which does not run in containers.
    let clock = Path::new(CLOCK);
    fs::create_dir_all(clock.parent().context("a file lies in a folder")?).and_then(|()| fs::write(clock, ""))?;
    run_shown("systemctl", &["start", UNIT])?;
    sandbox()?;

    interfaces()?;

    say("it sees nothing before the drop-in names it");
    for hidden in ["/etc/passwd", "/tmp/mesh-outside", &format!("{PUBLIC}/shared")] {
        refused(&["share", hidden])?;
    }
    drop_in()?;
    run_shown("systemctl", &["daemon-reload"])?;
    run_shown("systemctl", &["restart", UNIT])?;
    system_node(&["share", &format!("{PUBLIC}/shared")])?;
    refused(&["share", "/etc/passwd"])?;

    say("killed, it comes back");
    let before = property("MainPID")?;
    run_shown("systemctl", &["kill", "--signal=KILL", UNIT])?;
    let deadline = Instant::now() + WAIT;
    while property("MainPID")? == before || property("ActiveState")? != "active" {
        ensure!(Instant::now() < deadline, "killed, it did not come back: {}", said("systemctl", &["status", UNIT]));
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// The node hears of new addresses over netlink, which its sandbox must let through.
fn interfaces() -> anyhow::Result<()> {
    say("it hears of an interface that comes up");
    run_shown("ip", &["link", "add", "mesh0", "type", "veth", "peer", "name", "mesh1"])?;
    run_shown("ip", &["address", "add", ADDRESS, "dev", "mesh0"])?;
    for interface in ["mesh0", "mesh1"] {
        run_shown("ip", &["link", "set", interface, "up"])?;
    }
    let own = format!("/ip4/{}/tcp/", ADDRESS.split('/').next().unwrap_or_default());
    let deadline = Instant::now() + WAIT;
    while !system_node(&["status"])?.contains(&own) {
        ensure!(Instant::now() < deadline, "it does not listen on an address that came later: {own}");
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// What the kernel says of the running process.
fn sandbox() -> anyhow::Result<()> {
    let pid = property("MainPID")?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("reading of the running node failed")?;
    let rules = [("NoNewPrivs", "1"), ("Seccomp", "2"), ("CapEff", "0000000000000000"), ("CapBnd", "0000000000000000")];
    for (name, value) in rules {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        ensure!(line.map(str::trim) == Some(value), "{name} of the running node is {line:?} and not {value}");
    }
    let user = read("stat", &["--format=%U", &format!("/proc/{pid}")])?;
    ensure!(user.trim() == SYSTEM_USER, "it runs as {user}");
    let entries = fs::read_dir(format!("/proc/{pid}/root/")).context("looking at its root failed")?;
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    let names = names.collect::<Result<Vec<_>, _>>()?;
    let known = ["dev", "etc", "home", "lib", "lib64", "proc", "root", "run", "sys", "tmp", "usr", "var"];
    let more: Vec<&String> = names.iter().filter(|name| !known.contains(&name.as_str())).collect();
    ensure!(more.is_empty(), "it sees more at its root than it should: {more:?}");
    ensure!(Path::new(&format!("/proc/{pid}/root{CLOCK}")).exists(), "it can't see whether the clock follows a server");
    let limits = fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap_or_default();
    // The softer of the two, which the program raises as far as the harder lets it.
    let [soft, hard] = [0, 1].map(|index| files.split_whitespace().nth(index));
    ensure!(soft == Some(OPEN_FILES) || soft == hard, "it could not raise how many files it may open: {files}");
    let etc = fs::read_dir(format!("/proc/{pid}/root/etc"))?.count();
    ensure!(etc <= 1, "it sees {etc} files in /etc and needs the cache of the loader only");
    Ok(())
}

/// The example that the package brings, with its lines made true.
fn drop_in() -> anyhow::Result<()> {
    let example = fs::read_to_string(EXAMPLE).with_context(|| format!("reading {EXAMPLE} failed"))?;
    let text = example.replace("#Bind", "Bind").replace("/srv/public", PUBLIC).replace("/srv/incoming", INCOMING);
    ensure!(unit::values(&text, "BindReadOnlyPaths").eq([PUBLIC]), "the example names other folders: {example}");
    ensure!(unit::values(&text, "BindPaths").eq([INCOMING]), "the example names other folders: {example}");
    let folder = Path::new(DROP_IN).parent().context("a file lies in a folder")?;
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(DROP_IN, text))
        .with_context(|| format!("writing {DROP_IN} failed"))
}

fn exchange(person: &Person) -> anyhow::Result<()> {
    say("the unit of a person is ready when its start is done, and sees that person's files");
    person.run(&["systemctl", "--user", "start", UNIT])?;
    let ticket = system_node(&["--quiet", "share", &format!("{PUBLIC}/shared")])?;
    let got = format!("{}/got", person.home);
    person.run(&["mesh-node", "get", ticket.trim(), "--timeout", "60s", "--output", &got])?;
    same(&format!("{PUBLIC}/shared"), &got)?;

    say("the unit of the system fetches into the folder that the drop-in lets it write, and into no other");
    let own = format!("{}/own", person.home);
    person.run(&["sh", "-c", &format!("echo of a person > {own}")])?;
    let ticket = person.run(&["mesh-node", "--quiet", "share", &own])?;
    refused(&["get", ticket.trim(), "--timeout", "60s", "--output", &format!("{PUBLIC}/got")])?;
    system_node(&["get", ticket.trim(), "--timeout", "60s", "--output", &format!("{INCOMING}/got")])?;
    same(&own, &format!("{INCOMING}/got"))
}

fn stop(person: &Person) -> anyhow::Result<()> {
    say("asked to stop, the unit of the person ends well");
    person.run(&["systemctl", "--user", "stop", UNIT])?;
    let result = person.run(&["systemctl", "--user", "show", "--property=Result,ExecMainStatus", UNIT])?;
    ensure!(result.contains("Result=success") && result.contains("ExecMainStatus=0"), "it ended badly: {result}");
    // Running again, for what comes next.
    person.run(&["systemctl", "--user", "start", UNIT]).map(|_| ())
}

fn remove(person: &Person) -> anyhow::Result<()> {
    say("removed, everything is gone but the nodes' data, and both services were stopped");
    let listed = read("dpkg", &["--listfiles", "mesh-node"])?;
    run_shown("dpkg", &["--remove", "mesh-node"])?;
    let left: Vec<&str> =
        listed.lines().filter(|path| path.contains("mesh-node") && Path::new(path).exists()).collect();
    // What the system unit's root was is in memory, and empty.
    let left: Vec<&str> = left.into_iter().filter(|path| !path.starts_with("/run/")).collect();
    ensure!(left.is_empty(), "removed, these stay: {}", left.join(", "));
    ensure!(said("systemctl", &["is-active", UNIT]).trim() != "active", "removed, it still runs");
    ensure!(read("pgrep", &["--exact", "mesh-node"]).is_err(), "removed, a node of it still runs");
    let result = property("Result")?;
    ensure!(result == "success", "stopped with its package, it ended badly: {result}");
    ensure!(Path::new(SYSTEM_DATA).join("identity").is_dir(), "removed, its keys are gone with it");
    ensure!(Path::new(&person.home).join("own").is_file(), "removed, a file of a person is gone with it");
    run_shown("dpkg", &["--purge", "mesh-node"])
}

/// A person with a service manager of their own.
struct Person {
    home: String,
    runtime: String,
}

impl Person {
    fn log_in() -> anyhow::Result<Self> {
        run_shown("useradd", &["--create-home", PERSON])?;
        let id = read("id", &["-u", PERSON])?.trim().to_owned();
        // They are not part of the few things that this container boots with.
        run_shown("systemctl", &["start", "dbus", "systemd-logind"])?;
        run_shown("systemctl", &["start", &format!("user@{id}.service")])?;
        Ok(Self { home: format!("/home/{PERSON}"), runtime: format!("/run/user/{id}") })
    }

    fn run(&self, words: &[&str]) -> anyhow::Result<String> {
        let (home, runtime) = (format!("HOME={}", self.home), format!("XDG_RUNTIME_DIR={}", self.runtime));
        read("runuser", &[&["-u", PERSON, "--", "env", &home, &runtime], words].concat())
    }
}

/// A command of the node of the system, as its own user.
fn system_node(words: &[&str]) -> anyhow::Result<String> {
    read("runuser", &[&["-u", SYSTEM_USER, "--", "mesh-node", "--data", SYSTEM_DATA], words].concat())
}

/// The same, where it must be refused.
fn refused(words: &[&str]) -> anyhow::Result<()> {
    match system_node(words) {
        Ok(said) => bail!("`mesh-node {}` was to be refused, and it says: {said}", words.join(" ")),
        // Refused by the node, and not because there is none.
        Err(_) => system_node(&["status"]).map(|_| ()),
    }
}

fn property(name: &str) -> anyhow::Result<String> {
    Ok(read("systemctl", &["show", "--value", &format!("--property={name}"), UNIT])?.trim().to_owned())
}

fn same(one: &str, other: &str) -> anyhow::Result<()> {
    let contents = [one, other].map(|path| fs::read(path).with_context(|| format!("reading {path} failed")));
    let [one_bytes, other_bytes] = contents;
    ensure!(one_bytes? == other_bytes?, "{one} and {other} differ");
    Ok(())
}

fn say(what: &str) {
    eprintln!("--- {what}");
}

fn read(name: &str, words: &[&str]) -> anyhow::Result<String> {
    step::read(step::program(name, words.iter().copied()))
}

fn run_shown(name: &str, words: &[&str]) -> anyhow::Result<()> {
    step::run(step::program(name, words.iter().copied()))
}

/// What a program prints, however it ends.
fn said(name: &str, words: &[&str]) -> String {
    let output = step::program(name, words.iter().copied()).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}
