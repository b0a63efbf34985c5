//! Every crate says what it is for.

use anyhow::Context;
use cargo_metadata::Metadata;

use super::Finding;

/// The shortest sentence that says anything.
const SHORTEST: usize = 25;

/// Names crates without a description, and those whose source does not begin with what they are for.
pub(crate) fn check(metadata: &Metadata) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for package in metadata.workspace_packages() {
        if package.description.as_ref().is_none_or(|text| text.len() < SHORTEST) {
            findings.push(format!("{}: Cargo.toml says nothing in `description`", package.name));
        }
        let roots = package.targets.iter().filter(|target| {
            target.is_lib() || target.is_bin() || target.is_bench() || target.is_test() || target.is_example()
        });
        for target in roots {
            let text = std::fs::read_to_string(&target.src_path)
                .with_context(|| format!("{} cannot be read", target.src_path))?;
            if first_sentence(&text).len() < SHORTEST && !target.is_bin() {
                findings.push(format!("{}: does not begin with what it is for (`//!`)", target.src_path));
            } else if first_sentence(&text).is_empty() {
                findings.push(format!("{}: does not begin with `//!`", target.src_path));
            }
        }
    }
    Ok(findings)
}

/// The first paragraph of a file's own documentation.
fn first_sentence(text: &str) -> String {
    text.lines()
        .skip_while(|line| line.starts_with("#![") || line.is_empty())
        .map_while(|line| line.strip_prefix("//!"))
        .take_while(|line| !line.trim().is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_paragraph_is_what_counts() {
        assert_eq!(first_sentence("//! One.\n//! Two.\n//!\n//! Three.\nfn f() {}\n"), " One. Two.");
        assert_eq!(first_sentence("fn f() {}\n//! One.\n"), "");
    }
}
