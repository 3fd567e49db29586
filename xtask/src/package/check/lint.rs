//! What those who know packages and services say: lintian, and systemd's own look at the unit files.

use anyhow::{Context as _, bail, ensure};

use super::super::Package;
use super::{folder, unit, word};
use crate::step;

/// The most that systemd may find the system unit to expose, in tenths: what speaks to a network can't be at zero.
const EXPOSURE_MAX: u32 = 15;

pub fn check(package: &Package) -> anyhow::Result<()> {
    lintian(package)?;
    let root = folder(package, "extracted")?;
    step::read(step::program("dpkg-deb", ["--extract", word(&package.file)?, word(&root)?]))?;
    let system = unit::find(&root, unit::SYSTEM)?;
    let user = unit::find(&root, unit::USER)?;
    if step::find_program("systemd-analyze").is_none() {
        eprintln!("SKIPPED: the unit files; systemd-analyze is not installed (apt-get install systemd)");
        return Ok(());
    }
    let runtime = folder(package, "runtime")?;
    verify("--system", word(&system)?, word(&runtime)?)?;
    verify("--user", word(&user)?, word(&runtime)?)?;
    exposure(word(&system)?)
}

fn lintian(package: &Package) -> anyhow::Result<()> {
    if step::find_program("lintian").is_none() {
        eprintln!("SKIPPED: lintian is not installed (apt-get install lintian)");
        return Ok(());
    }
    // It is no worse to run as root what only reads our own package.
    let words = ["--fail-on", "error,warning", "--allow-root", "--tag-display-limit", "0", word(&package.file)?];
    step::run(step::program("lintian", words))
}

/// The program of the units is not installed here, so that is the one complaint that does not count.
fn verify(manager: &str, file: &str, runtime: &str) -> anyhow::Result<()> {
    let words = [manager, "verify", "--man=no", "--recursive-errors=no", file];
    let mut command = step::program("systemd-analyze", words);
    // A person's manager has such a folder of its own, and whoever checks may have none.
    command.env("XDG_RUNTIME_DIR", runtime);
    eprintln!("=== systemd-analyze verify {file}");
    let output = command.output().context("starting systemd-analyze failed")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let complaints: Vec<&str> = said.lines().filter(|line| !line.contains("/usr/bin/mesh-node is not exec")).collect();
    ensure!(complaints.is_empty(), "systemd does not like {file}: {}", complaints.join("; "));
    Ok(())
}

fn exposure(file: &str) -> anyhow::Result<()> {
    let words = ["security", "--offline=true", "--no-pager", file];
    let text = step::read(step::program("systemd-analyze", words))?;
    let line = text.lines().find(|line| line.contains("Overall exposure level"));
    let line = line.context("systemd-analyze says nothing of exposure")?;
    eprintln!("{line}");
    let tenths = tenths(line).with_context(|| format!("no number in: {line}"))?;
    if tenths > EXPOSURE_MAX {
        bail!(
            "the system unit is more exposed than {EXPOSURE_MAX} tenths: systemd-analyze security --offline=true {file}"
        );
    }
    Ok(())
}

/// Reads `… for mesh-node.service: 1.3 OK`.
fn tenths(line: &str) -> Option<u32> {
    let number = line.split(": ").nth(1)?.split_whitespace().next()?;
    let (whole, part) = number.split_once('.')?;
    Some(whole.parse::<u32>().ok()? * 10 + part.parse::<u32>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exposure_is_read_in_tenths() {
        assert_eq!(tenths("→ Overall exposure level for mesh-node.service: 1.3 OK 🙂"), Some(13));
        assert_eq!(tenths("→ Overall exposure level for mesh-node.service: 9.6 UNSAFE"), Some(96));
        assert_eq!(tenths("nothing"), None);
    }
}
