//! Which version is packaged, and the time that everything in the package bears.
//!
//! Both come from the commit, so that whoever packages it again gets the same.

use std::env;
use std::process::Command;

use anyhow::Context as _;

use super::program::Linking;
use crate::step;

/// The revision of the Debian package of one upstream version: there is one only.
const DEBIAN_REVISION: &str = "1";

/// A state of the sources.
pub struct Revision {
    /// The version of what is packaged: that of the workspace, and before its release the commit behind it.
    pub upstream: String,
    /// Its time, in seconds of Unix time.
    pub epoch: u64,
    /// The same, as a changelog of Debian says it.
    pub date: String,
    /// What was packaged, for people.
    pub what: String,
}

impl Revision {
    /// The state of the workspace as it lies here.
    ///
    /// # Errors
    /// Without git's history, if nothing else says of what time the sources are.
    pub fn of_workspace(linking: Linking) -> anyhow::Result<Self> {
        let release = workspace_version()?;
        let commit = step::output_of(git(&["rev-parse", "--short=12", "HEAD"])).map(|text| text.trim().to_owned());
        let epoch = match env::var("SOURCE_DATE_EPOCH") {
            Ok(text) => text,
            Err(_) => step::read(git(&["log", "-1", "--format=%ct"]))
                .context("of what time are these sources? Say it in SOURCE_DATE_EPOCH, in seconds of Unix time")?,
        };
        let epoch: u64 = epoch.trim().parse().context("SOURCE_DATE_EPOCH is no number of seconds")?;
        let (mut upstream, what) = match commit {
            Some(commit) if !is_tagged(&release) => {
                let stamp = date(epoch, "+%Y%m%d%H%M%S")?;
                // Something else than the commit says, so it must not bear its name.
                let dirty = if step::read(git(&["status", "--porcelain"]))?.is_empty() { "" } else { ".dirty" };
                let what = format!("The sources as of commit {commit}{}.", dirty.replace('.', ", "));
                (format!("{release}~{stamp}.{commit}{dirty}"), what)
            }
            _ => (release.clone(), format!("Release {release}.")),
        };
        if linking == Linking::Static {
            upstream.push_str("+static");
        }
        Ok(Self { upstream, epoch, date: date(epoch, "+%a, %d %b %Y %H:%M:%S +0000")?, what })
    }

    /// The version of the Debian package.
    pub fn debian(&self) -> String {
        format!("{}-{DEBIAN_REVISION}", self.upstream)
    }
}

fn git(words: &[&str]) -> Command {
    step::program("git", words.iter().copied())
}

fn is_tagged(release: &str) -> bool {
    let tags = step::output_of(git(&["tag", "--points-at", "HEAD"])).unwrap_or_default();
    tags.lines().any(|tag| tag.strip_prefix('v') == Some(release))
}

fn workspace_version() -> anyhow::Result<String> {
    let metadata = crate::tidy::metadata()?;
    let packages = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    let node = packages.iter().find(|package| package["name"] == "mesh-node").context("there is no mesh-node here")?;
    node["version"].as_str().map(ToOwned::to_owned).context("mesh-node has no version")
}

/// A time as text, in the language of Debian's files, and in the zone that everybody has.
fn date(epoch: u64, format: &str) -> anyhow::Result<String> {
    let mut command = step::program("date", ["--utc", &format!("--date=@{epoch}"), format]);
    command.env("LC_ALL", "C");
    Ok(step::read(command)?.trim().to_owned())
}
