//! `cargo xtask tidy`: what the house must look like, proven instead of promised.

mod catalogues;
mod crates;
mod layers;
mod licences;
mod links;
mod purity;
mod samples;
mod sizes;
mod spots;

use anyhow::bail;

use crate::workspace::Workspace;

/// One thing that is not as it must be, in one line.
type Finding = String;

/// Checks everything and prints every finding; an error when there is one.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    let policy = licences::Policy::read(&workspace.root.join("deny.toml"))?;
    let metadata = workspace.metadata(&policy.platform)?;
    let files = workspace.files()?;
    let root = workspace.root.as_path();
    let rules: [(&str, Vec<Finding>); 9] = [
        ("arrows between crates", layers::check(&metadata)),
        ("purity of the cores", purity::check(&metadata, root, &files)?),
        ("what each crate says it is for", crates::check(&metadata)?),
        ("licences and duplicates", policy.check(&workspace.packages(&policy.platform)?)),
        ("file sizes", sizes::check(root, &files)?),
        ("links", links::check(root, &files)?),
        ("sample configurations", samples::check(root, &files)?),
        ("words in every language", catalogues::check(root, &files)?),
        ("paths of somebody's machine", spots::check(root, &files)?),
    ];
    let mut total = 0;
    for (rule, findings) in rules {
        eprintln!("{} {rule}", if findings.is_empty() { "ok  " } else { "FAIL" });
        for finding in &findings {
            eprintln!("     {finding}");
        }
        total += findings.len();
    }
    if total > 0 {
        bail!("tidy found {total} thing(s) to put right");
    }
    Ok(())
}
