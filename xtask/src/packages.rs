//! What the tests need of the machine, in one list, and how it comes there.
//!
//! A Debian package of a clock daemon starts that daemon, which would then steer the host's clock. Nothing here
//! may do that: while packages are installed a policy forbids every service to start, and the services that came
//! with them are switched off for the next boot too.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::process;

/// One thing that the tests need.
struct Need {
    /// The Debian package that holds it.
    package: &'static str,
    /// How its presence shows.
    sign: Sign,
    /// What the tests do with it.
    why: &'static str,
    /// The service that the package would start.
    service: Option<&'static str>,
}

enum Sign {
    /// A program of this name.
    Program(&'static str),
    /// A file of this name somewhere below this folder.
    File(&'static str, &'static str),
    /// A module of Python's.
    Module(&'static str),
}

const NEEDS: [Need; 18] = [
    need(
        "chrony",
        Sign::Program("chronyd"),
        "accepts the centre as a source, and is the benchmark's peer",
        Some("chrony"),
    ),
    need("chromium", Sign::Program("chromium"), "opens the console", None),
    need(
        "exim4-daemon-light",
        Sign::Program("exim4"),
        "takes mail in, in servers of the tests' own",
        Some("exim4"),
    ),
    need("faketime", Sign::Program("faketime"), "starts a centre with another time", None),
    need(
        "fonts-noto-cjk",
        Sign::File("/usr/share/fonts", "NotoSansCJK-Regular.ttc"),
        "Korean and Japanese in pictures",
        None,
    ),
    need("g++", Sign::Program("c++"), "builds the fuzzing engine", None),
    need("golang-go", Sign::Program("go"), "builds the foreign verifier of checkpoints and tiles", None),
    need(
        "golang-golang-x-mod-dev",
        Sign::File("/usr/share/gocode/src/golang.org/x/mod", "tlog.go"),
        "is the foreign verifier of checkpoints and tiles",
        None,
    ),
    need("iproute2", Sign::Program("ip"), "addresses on the loopback interface", None),
    need(
        "libfaketime",
        Sign::File("/usr/lib", "libfaketime.so.1"),
        "moves one process's clock, never the machine's",
        None,
    ),
    need(
        "libpam-google-authenticator",
        Sign::Program("google-authenticator"),
        "writes a token that is moved in",
        None,
    ),
    need("nodejs", Sign::Program("node"), "builds the console", None),
    need("npm", Sign::Program("npm"), "builds the console", None),
    need("ntpsec-ntpdate", Sign::Program("ntpdate"), "asks the centre for the time", None),
    need(
        "oathtool",
        Sign::Program("oathtool"),
        "gives the digits of one-time keys that ours must equal",
        None,
    ),
    need(
        "postgresql",
        // Not in anybody's path: each version has a folder of its own.
        Sign::File("/usr/lib/postgresql", "initdb"),
        "is the second database, in servers of the tests' own",
        Some("postgresql"),
    ),
    need("python3", Sign::Program("python3"), "checks a report with docs/verify.py", None),
    need(
        "python3-venv",
        Sign::Module("ensurepip"),
        "holds the foreign verifier of COSE receipts and the reader of Parquet",
        None,
    ),
];

/// What the virtual machine of `judge clock` is made of, beside the above.
const GUEST_NEEDS: [Need; 4] = [
    need("binutils", Sign::Program("strip"), "makes the program small enough for a guest", None),
    need("busybox-static", Sign::Program("busybox"), "is the guest's shell", None),
    need("qemu-system-x86", Sign::Program("qemu-system-x86_64"), "emulates the guest", None),
    need("qemu-utils", Sign::Program("qemu-img"), "makes the disk that holds the guest's snapshots", None),
];

const fn need(package: &'static str, sign: Sign, why: &'static str, service: Option<&'static str>) -> Need {
    Need { package, sign, why, service }
}

/// Installs what is missing when that is possible here, else says what is missing and the one command for it.
pub(crate) fn ensure() -> anyhow::Result<()> {
    ensure_of(&NEEDS)
}

/// The same, and what a virtual machine is made of.
pub(crate) fn ensure_guest() -> anyhow::Result<()> {
    ensure()?;
    ensure_of(&GUEST_NEEDS)
}

fn ensure_of(needs: &[Need]) -> anyhow::Result<()> {
    let missing: Vec<&Need> = needs.iter().filter(|need| !present(&need.sign)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|need| need.package).collect();
    if !(Path::new("/etc/debian_version").exists() && root()) {
        for need in &missing {
            eprintln!("missing: {} ({})", need.package, need.why);
        }
        bail!(
            "the tests need packages that are missing; as root on Debian: apt-get install --yes --no-install-recommends {}",
            names.join(" ")
        );
    }
    install(&missing, &names)?;
    let still: Vec<&str> =
        missing.iter().filter(|need| !present(&need.sign)).map(|need| need.package).collect();
    if !still.is_empty() {
        bail!("these packages were installed, but what they should bring is not there: {}", still.join(" "));
    }
    Ok(())
}

fn install(missing: &[&Need], names: &[&str]) -> anyhow::Result<()> {
    let policy = Policy::forbid_services(Path::new("/usr/sbin"))?;
    process::run(apt().arg("update"))?;
    process::run(apt().args(["install", "--yes", "--no-install-recommends"]).args(names))?;
    for service in missing.iter().filter_map(|need| need.service) {
        process::run(Command::new("update-rc.d").args([service, "disable"]))?;
    }
    policy.lift()
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// Whether this program runs as root.
fn root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn present(sign: &Sign) -> bool {
    match sign {
        Sign::Program(name) => process::program(name).is_some(),
        Sign::File(folder, name) => holds(Path::new(folder), name, 4),
        Sign::Module(name) => Command::new("python3")
            .args(["-c", &format!("import {name}")])
            .output()
            .is_ok_and(|output| output.status.success()),
    }
}

/// Whether a file of this name stands at most `depth` folders below `folder`.
fn holds(folder: &Path, name: &str, depth: u32) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| {
        entry.file_name() == name
            || (depth > 0
                && entry.file_type().is_ok_and(|kind| kind.is_dir())
                && holds(&entry.path(), name, depth - 1))
    })
}

/// Debian's `policy-rc.d`: while it ends with 101, no package starts a service.
///
/// The script only counts as long as this process lives, so that one left behind by a killed run forbids nothing.
struct Policy {
    script: PathBuf,
    kept: PathBuf,
}

const MARK: &str = "# Written by cargo xtask test; it counts only while that runs.";

impl Policy {
    fn forbid_services(folder: &Path) -> anyhow::Result<Self> {
        let policy = Self { script: folder.join("policy-rc.d"), kept: folder.join("policy-rc.d.kept") };
        let ours = fs::read_to_string(&policy.script).is_ok_and(|text| text.contains(MARK));
        if policy.script.exists() && !ours {
            fs::rename(&policy.script, &policy.kept)
                .context("the present policy-rc.d cannot be set aside")?;
        }
        let text = format!(
            "#!/bin/sh\n{MARK}\nkill -0 {} 2>/dev/null && exit 101\n[ -x {kept} ] && exec {kept} \"$@\"\nexit 0\n",
            std::process::id(),
            kept = policy.kept.display(),
        );
        fs::write(&policy.script, text).context("policy-rc.d cannot be written")?;
        fs::set_permissions(&policy.script, fs::Permissions::from_mode(0o755))?;
        Ok(policy)
    }

    /// Puts back what was there before, and says so when that fails.
    fn lift(self) -> anyhow::Result<()> {
        self.restore().context("the policy-rc.d of before cannot be put back")
    }

    fn restore(&self) -> std::io::Result<()> {
        if self.kept.exists() {
            fs::rename(&self.kept, &self.script)
        } else if self.script.exists() {
            fs::remove_file(&self.script)
        } else {
            Ok(())
        }
    }
}

impl Drop for Policy {
    /// After a failed installation too; a failure here leaves a script that counts for nothing.
    fn drop(&mut self) {
        let ours = fs::read_to_string(&self.script).is_ok_and(|text| text.contains(MARK));
        if ours && let Err(error) = self.restore() {
            eprintln!("{} is left behind and forbids nothing: {error}", self.script.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(folder: &Path) -> Option<i32> {
        Command::new(folder.join("policy-rc.d")).args(["chrony", "start"]).status().unwrap().code()
    }

    #[test]
    fn services_are_forbidden_while_the_policy_stands_and_not_after() {
        let folder = tempfile::tempdir().unwrap();
        let policy = Policy::forbid_services(folder.path()).unwrap();
        assert_eq!(verdict(folder.path()), Some(101));
        policy.lift().unwrap();
        assert!(!folder.path().join("policy-rc.d").exists());
    }

    #[test]
    fn an_earlier_policy_comes_back_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("policy-rc.d");
        fs::write(&script, "#!/bin/sh\nexit 104\n").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let policy = Policy::forbid_services(folder.path()).unwrap();
        assert_eq!(verdict(folder.path()), Some(101));
        drop(policy);
        assert_eq!(verdict(folder.path()), Some(104));
    }

    #[test]
    fn a_script_left_behind_by_a_killed_run_forbids_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::mem::forget(Policy::forbid_services(folder.path()).unwrap());
        let script = folder.path().join("policy-rc.d");
        // No process has this number: Linux's largest is 4,194,304.
        let text = fs::read_to_string(&script).unwrap().replace(&std::process::id().to_string(), "5000000");
        fs::write(&script, text).unwrap();
        assert_eq!(verdict(folder.path()), Some(0));
    }

    #[test]
    fn every_need_says_what_it_is_for() {
        for need in &NEEDS {
            assert!(!need.why.is_empty() && !need.package.contains(' '), "{}", need.package);
        }
    }
}
